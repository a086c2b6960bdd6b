"""What an installed wheel holds: setuptools reads it from pyproject.toml, and forgets what that does not name."""

import tomllib

import setuptools

from lib import paths

SETTINGS = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FILES = {file for file in (paths.ROOT / "lib").rglob("*") if file.is_file() and "__pycache__" not in file.parts}


def test_every_folder_with_code_or_data_belongs_to_a_package_that_is_installed():
    found = set(setuptools.find_namespace_packages(paths.ROOT, **SETTINGS["packages"]["find"]))
    folders = {file.parent for file in FILES if file.suffix == ".py"}
    assert {".".join(folder.relative_to(paths.ROOT).parts) for folder in folders} <= found
    assert set(SETTINGS["package-data"]) <= found


def test_every_file_that_is_not_python_is_installed_too():
    data = {file for file in FILES if file.suffix != ".py"}
    named = {
        file
        for package, patterns in SETTINGS["package-data"].items()
        for pattern in patterns
        for file in paths.ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    assert data == named and {".cpp", ".h", ".csv"} <= {file.suffix for file in data}
