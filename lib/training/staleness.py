"""What a result depends on: the code of `lib` that made it."""

import ast
import hashlib

from lib import paths


def code(*modules):
    """Return a digest of modules of lib ("lib.data.cut") and of all that they import of it; comments do not count."""
    digest = hashlib.sha256()
    for file in sorted(_closure(modules)):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def _closure(modules):
    todo, found = list(modules), set()
    while todo:
        name = todo.pop()
        base = paths.ROOT.joinpath(*name.split("."))
        file = next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)
        if not name.startswith("lib") or file is None or file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):  # what is imported may be a module or something inside one
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found
