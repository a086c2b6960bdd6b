"""The doors into the project must lead to the same versions."""

import re
from importlib.metadata import distributions

import yaml
from packaging.specifiers import SpecifierSet

from lib import paths


def pins(name):
    lines = (line.split("#")[0].strip() for line in (paths.ROOT / name).read_text().splitlines())
    return {re.sub("[-_.]+", "-", line.split("==")[0]).lower(): line.split("==")[1] for line in lines if line}


def test_the_lock_holds_the_version_of_every_direct_dependency():
    lock = pins("requirements.lock")
    assert {name: lock.get(name) for name in pins("requirements.txt")} == pins("requirements.txt")


def test_every_package_installs_on_the_oldest_python_in_wide_use():
    needs = {dist.name: dist.metadata.get("Requires-Python", "") for dist in distributions()}
    assert not {name for name, python in needs.items() if "3.11.2" not in SpecifierSet(python)}, "Debian 12 has 3.11.2"


def test_conda_users_get_the_versions_of_the_lock():
    environment = yaml.safe_load((paths.ROOT / "environment.yml").read_text())
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    pip = next(line["pip"] for line in environment["dependencies"] if isinstance(line, dict))
    assert conda == ["python=3.11", "pip"], "a version named here could drift from the lock"
    assert "--requirement requirements.lock" in pip


def test_every_direct_dependency_says_why_it_is_there():
    lines = [line for line in (paths.ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.search(r"==\S+\s+# \w+", line) for line in lines)


def test_the_landing_check_calls_the_readme_s_test_command():
    assert "\nmake test\n" in (paths.ROOT / ".ci/run").read_text()
    assert "make test" in (paths.ROOT / "README.md").read_text()
