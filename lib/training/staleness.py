"""Whether something must be made again: a key of all that a result depends on is kept with the result.

The code that trains or scores states what its result depends on: settings, images, and the modules of `lib` that
compute it. A module counts with its source and with all that it imports from `lib`, without comments and docstrings,
and with the C++ sources in its folder. dvc.yaml names the same modules as dependencies of its stages.
"""

import ast
import functools
import hashlib
import io
import json
import os
import re
import tokenize
from pathlib import Path

from lib import paths

ROOT = paths.ROOT  # the folder that contains the package lib
NO_RESULT = ("lib.paths", "lib.params", "lib.sections", "lib.preflight", "lib.data.jobs",
             "lib.training.staleness", "lib.training.checkpoints")  # fmt: skip
"""Modules that change no number: where files are, what is kept, who does the work. Settings count by their values."""


def key(**what):
    """Return a hash of anything that JSON can hold; of `code`, names of modules, their sources are hashed."""
    what["code"] = code(*what.get("code", ()))
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def code(*modules):
    """Return a hash of modules of `lib`, by name, and of all that they import, without comments and docstrings."""
    digest = hashlib.sha256()
    for file in sources(*modules):
        digest.update(f"{file.relative_to(ROOT).as_posix()}\n{_plain(file, file.stat().st_mtime_ns)}\n".encode())
    return digest.hexdigest()


def sources(*modules):
    """Return the files of modules of `lib`, of all that they import from it, and of C++ files beside them, sorted.

    The __init__.py of a package is included only if a name that it defines is imported, not for one of its modules.
    Raises ValueError for a module that does not exist.
    """
    found, todo = set(), list(modules)
    while todo:
        file = _file(todo.pop())
        if file not in found:
            found |= {file, *file.parent.glob("*.cpp"), *file.parent.glob("*.h")}
            todo += [name for name in imported(file.read_text()) if name not in NO_RESULT]
    return sorted(found)


def imported(source):
    """Return the names of the modules of `lib` that a Python source imports, inside functions, too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in whole if _file(name, missing=True)}
            names |= modules | ({node.module} if whole - modules else set())
    return {name for name in names if name.startswith("lib.")}


def images(table):
    """Return a hash of a table of images: its rows in order, and the name and `fingerprint` of each file."""
    digest = hashlib.sha256(table.drop(columns=["path", "mask"], errors="ignore").to_csv(index=False).encode())
    for column in ("path", "mask"):
        for path in table.get(column, ()):
            digest.update(repr(path and (Path(path).name, fingerprint(path))).encode())
    return digest.hexdigest()


def fingerprint(path):
    """Return [size, checksum of both ends] of a file, by which a change is noticed without reading all of it.

    The checksum is not a CRC, because a PNG contains its own CRC, which makes the CRC of all PNGs of one length equal.
    """
    state = os.stat(path)
    return list(_fingerprint(str(path), state.st_size, state.st_mtime_ns))


@functools.lru_cache(2**18)
def _fingerprint(path, size, _modified):
    with open(path, "rb") as file:
        head = file.read(2**16)
        file.seek(max(size - 2**16, 0))
        return size, hashlib.blake2b(head + file.read(), digest_size=8).hexdigest()


def _file(module, missing=False):
    base = ROOT.joinpath(*module.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file
    if missing:
        return None
    raise ValueError(f"{module}: no such module of lib")


@functools.cache
def _plain(file, _modified):
    """Return a source without comments, docstrings and blank lines: the same text on every version of Python."""
    source = file.read_text()
    if file.suffix != ".py":
        return _without_blank_lines(re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.S))
    lines = source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return _without_blank_lines("\n".join(lines))


def _without_blank_lines(text):
    return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())
