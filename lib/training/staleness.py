"""One answer to "must this be made again?": a key of all that a result depends on, kept with the result.

Whoever trains or scores states what the result depends on: settings, images, and the modules of `lib` that compute it.
The key of a module is that of its source and of all that it imports from `lib`, without comments and docstrings; C++
sources count with the folder that they lie in. dvc.yaml names the same modules as dependencies of its stages.
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

ROOT = paths.ROOT  # of the sources that are looked at
NO_RESULT = ("lib.paths", "lib.params", "lib.data.jobs", "lib.training.staleness", "lib.training.checkpoints")
"""Modules that say where things lie, what is kept and who works, and change no number; settings count by values."""


def key(**what):
    """Return a hash of anything that JSON can hold; `code=(module, ...)` counts by what these modules say."""
    what["code"] = code(*what.get("code", ()))
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def code(*modules):
    """Return a hash of modules of `lib`, by name, and of all that they import: no comment or docstring changes it."""
    digest = hashlib.sha256()
    for file in sources(*modules):
        digest.update(f"{file.relative_to(ROOT).as_posix()}\n{_plain(file, file.stat().st_mtime_ns)}\n".encode())
    return digest.hexdigest()


def sources(*modules):
    """Return the files of modules of `lib`, of all that they import from it, and of the C++ beside them; sorted.

    A module that is imported out of a package brings the package's own __init__.py only where a name comes from there.
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
    """Return the modules of `lib` that a Python source imports, by name; inside functions, too."""
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
    """Return a hash of a table of images: its rows, in order, and the bytes of its files, wherever these lie."""
    digest = hashlib.sha256(table.drop(columns=["path", "mask"], errors="ignore").to_csv(index=False).encode())
    for column in ("path", "mask"):
        for path in table.get(column, ()):
            digest.update(repr(path and (Path(path).name, fingerprint(path))).encode())
    return digest.hexdigest()


def fingerprint(path):
    """Return [size, checksum of both ends] of a file: one made anew is noticed without reading it whole.

    No CRC: a PNG carries its own, which gives all PNGs of one length the same.
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
    raise ValueError(f"{module}: no such module, on which a result could depend")


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
