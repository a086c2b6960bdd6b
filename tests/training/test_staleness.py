"""lib.training.staleness: what changes a result changes its key, and nothing else does."""

import pandas as pd
import pytest

from lib.training import staleness

NETWORK = "lib.small.network"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small library of its own: a network that imports a layer, out of a package that imports more."""
    monkeypatch.setattr(staleness, "ROOT", tmp_path)
    small = tmp_path / "lib/small"
    small.mkdir(parents=True)
    (small / "__init__.py").write_text("from lib.small.unrelated import other\n")
    (small / "network.py").write_text(
        '"""A network."""\n\nfrom lib.small.layer import width\n\nSIZE = width() # pixels\n'
    )
    (small / "layer.py").write_text("def width():\n    from lib.deep import number\n    return number\n")
    (small / "unrelated.py").write_text("other = 1\n")
    (tmp_path / "lib/deep").mkdir()
    (tmp_path / "lib/deep/__init__.py").write_text("number = 3\n")
    (tmp_path / "lib/deep/kernel.h").write_text("int number = 3; // three\n")
    return tmp_path / "lib"


def changed(file, old, new):
    before = staleness.code(NETWORK)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return staleness.code(NETWORK) != before


def test_code_counts_with_all_that_it_imports_inside_functions_too_and_the_cpp_beside_it(tree):
    assert changed(tree / "small/network.py", "SIZE = width()", "SIZE = 2 * width()")
    assert changed(tree / "small/layer.py", "return number", "return number + 1")
    assert changed(tree / "deep/__init__.py", "3", "4")
    assert changed(tree / "deep/kernel.h", "= 3", "= 4")


def test_words_and_code_that_is_not_run_change_nothing(tree):
    assert not changed(tree / "small/network.py", "A network.", "The same network, described better.\n\nAt length.\n")
    assert not changed(tree / "small/network.py", "# pixels", "# in pixels")
    assert not changed(tree / "deep/kernel.h", "// three", "/* three\n of them */")
    assert not changed(tree / "small/unrelated.py", "1", "2"), "the package of a module that is imported by name"
    assert not changed(tree / "small/__init__.py", "other", "other as another")


def test_a_string_that_looks_like_a_comment_is_none(tree):
    (tree / "small/layer.py").write_text('width = lambda: "#3"\n')
    assert changed(tree / "small/layer.py", '"#3"', '"#4"')


def test_a_module_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="^lib.nothing: no such module"):
        staleness.code("lib.nothing")


def test_settings_count_by_their_values():
    assert staleness.key(size=64) == staleness.key(size=64) != staleness.key(size=128)
    assert staleness.key(size=64, code=("lib.data.items",)) != staleness.key(size=64)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "a.png").write_bytes(b"first")
    (tmp_path / "b.png").write_bytes(b"second")
    files = [str(tmp_path / name) for name in ("a.png", "b.png")]
    return pd.DataFrame({"path": files, "label": [0, 1], "split": ["train", "val"], "mask": ""})


def test_images_count_by_their_rows_and_bytes_and_not_by_where_they_lie(table, tmp_path):
    before = staleness.images(table)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("a.png", "b.png"):
        (elsewhere / name).write_bytes((tmp_path / name).read_bytes())
    moved = table.assign(path=[str(elsewhere / name) for name in ("a.png", "b.png")])
    assert staleness.images(moved) == before
    (elsewhere / "b.png").write_bytes(b"Second")
    assert staleness.images(moved) != before
    assert staleness.images(table.assign(label=[1, 1])) != before
    assert staleness.images(table.iloc[::-1]) != before
