"""README.md and docs: what they show a newcomer works as it stands there."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from lib import paths
from lib.data.image import write_png
from lib.evaluation import readme

README = (paths.ROOT / "README.md").read_text()
PAGES = [paths.ROOT / "README.md", *sorted((paths.ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_a_network_of_one_s_own_is_one_file_and_one_line(tmp_path):
    page = (paths.ROOT / "docs/code.md").read_text()
    example = re.search(r"`(lib/rivals/\w+\.py)`:\n\n```python\n(.*?)```", page, re.S)
    line = re.search(r"at the end of `lib/rivals/__init__.py`: `(.*?)`", page)[1]
    shutil.copytree(paths.ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / example[1]).write_text(example[2])
    with open(tmp_path / "lib/rivals/__init__.py", "a") as init:
        init.write(f"{line}\n")
    random = np.random.default_rng(0)
    for person in range(30):
        for kind in ("real", "fake"):
            write_png(tmp_path / f"faces/{kind}/{person:03}.png", random.integers(0, 256, (64, 64, 3), np.uint8))
    raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
    raw["data"] |= {"forged": {"layout": "folders", "root": str(tmp_path / "faces"), "resize": True}}
    raw["data"]["generated"] = raw["data"]["forged"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    command = [sys.executable, "-m", "lib.pel.score", "Mine"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "DEEPFAKE_SCALE": "smoke"}
    environment |= {"DEEPFAKE_PARAMS": str(tmp_path / "params.yaml"), "DEEPFAKE_OUTPUTS": str(tmp_path / "out")}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    scores = pd.read_csv(tmp_path / "out/results/scores/pel/Mine.csv", comment="#")
    assert set(scores["label"]) == {0, 1} and scores["score"].between(0, 1).all()
    assert (tmp_path / "out/checkpoints/pel/Mine.safetensors").is_file()


@every_page
def test_every_module_that_is_named_can_be_started_or_imported(page):
    for module in set(re.findall(r"python\s+-m\s+(lib(?:\.\w+)*)", page.read_text())):
        base = paths.ROOT / module.replace(".", "/")
        assert base.with_suffix(".py").is_file() or (base / "__main__.py").is_file(), module


@every_page
def test_no_link_is_dead(page):
    links = re.findall(r"\]\(([\w./-]+)\)", page.read_text())
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]


def test_readme_can_be_read_at_one_sitting():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", readme.PAGES, ids=lambda page: page.name)
def test_the_tables_of_results_are_those_of_the_last_run(page):
    assert readme.filled(page.read_text()) == page.read_text(), "run `python -m lib.evaluation.readme`"


def test_every_table_of_results_has_its_place():
    marks = [mark for page in readme.PAGES for mark in re.findall(r"<!-- (\w+) -->\n\|", page.read_text())]
    assert sorted(marks) == sorted(readme.BLOCKS)


def test_a_mark_without_a_table_is_named():
    with pytest.raises(ValueError, match="<!-- claim --> is not one of claims, "):
        readme.filled("<!-- claim -->\n<!-- end -->")


def test_text_between_two_tables_stays_where_both_are_empty(monkeypatch):
    monkeypatch.setattr(readme, "BLOCKS", {"one": lambda: "| 1 |", "two": lambda: "| 2 |"})
    empty = "<!-- one -->\n<!-- end -->\nbetween\n<!-- two -->\n<!-- end -->\n"
    full = "<!-- one -->\n| 1 |\n<!-- end -->\nbetween\n<!-- two -->\n| 2 |\n<!-- end -->\n"
    assert readme.filled(empty) == full == readme.filled(full)
