import tarfile
import types
from pathlib import Path

import pandas as pd
import pytest

from lib import paths
from lib.data import faces, layouts, unpack
from lib.data import wild_deepfake as data_wild_deepfake
from lib.data.image import read_image
from lib.params import Faces

SETTINGS = Faces(frames_per_video=3, size=64, margin=1.3, detector="mtcnn", workers=1)


@pytest.fixture
def world(tmp_path, monkeypatch, wild_deepfake):
    """Four archives a part of two sequences of seven images each; three images a sequence are wanted."""
    monkeypatch.setattr(paths, "FACES", tmp_path / "faces")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    data_set = wild_deepfake(tmp_path / "set")
    return types.SimpleNamespace(data_set=data_set, root=tmp_path / "set", faces=tmp_path / "faces")


def test_images_are_used_as_they_are_at_equal_intervals_with_our_labels(world):
    table = faces.prepare(world.data_set, SETTINGS, 0)
    assert len(table) == 4 * 4 * 2 * 3
    assert table.groupby("video")["frame"].apply(list).tolist() == [[0, 9, 18]] * 32
    assert set(table["label"][table["path"].str.contains("fake_")]) == {1}
    row = table[table["video"] == "real_test/2/2-real-1"].iloc[1]
    assert (row["label"], row["method"], row["identity"], row["split"]) == (0, "real", "real_test/2", "test")
    names = unpack.sequences(world.root / "real_test/2.tar.gz")["2-real-1"]
    assert names == [f"2/real/1/{3 * f}.png" for f in range(7)]
    with tarfile.open(world.root / "real_test/2.tar.gz") as archive:
        assert Path(row["path"]).read_bytes() == archive.extractfile(names[3]).read()


def test_an_archive_never_lies_in_two_splits_and_a_tenth_of_the_training_ones_is_held_out(tmp_path, wild_deepfake):
    data_set = wild_deepfake(tmp_path, archives=40, sequences=1, frames=1)
    listed = pd.DataFrame(data_wild_deepfake.archives(tmp_path), columns=["file", "label", "split", "name"])
    assert listed["name"].is_unique and len(listed) == 160
    assert (listed[listed["name"].str.contains("test")]["split"] == "test").all()
    held_out = listed[listed["split"] == "val"]
    assert held_out["name"].str.contains("train").all() and 2 <= len(held_out) <= 16
    again = pd.DataFrame(data_wild_deepfake.archives(tmp_path, seed=1), columns=listed.columns)
    assert not again["split"].equals(listed["split"]) and data_set.layout == "WildDeepfake"


@pytest.mark.parametrize("name", ["real train", "real-train", "realtrain"])
def test_folders_are_found_however_their_two_words_are_joined(world, name):
    (world.root / "real_train").rename(world.root / name)
    assert len(data_wild_deepfake.archives(world.root)) == 16


def test_a_damaged_archive_and_a_damaged_image_cost_one_line_each(world, pack, capsys):
    broken = world.root / "fake_train/3.tar.gz"
    broken.write_bytes(broken.read_bytes()[:-40])
    pack(world.root / "real_test/1.tar.gz", {"s/1.png": 1, "s/2.png": b"no image", "s/3.png": 3})
    table = faces.prepare(world.data_set, SETTINGS, 0)
    report = pd.read_csv(next(world.faces.glob("*/report.csv"))).set_index("archive")
    assert list(report.index) == ["real_test/1", "fake_train/3"] and report["frames"].tolist() == [2, 0]
    assert report.loc["real_test/1", "reason"] == "1 images cannot be read, the first is s/2.png"
    assert "damaged archive" in report.loc["fake_train/3", "reason"]
    assert "fake_train/3" in capsys.readouterr().out and "fake_train/3" not in set(table["identity"])
    for path in table["path"]:
        read_image(path)


def test_an_interrupted_run_continues_with_the_same_images(world, interrupted):
    calls = interrupted(unpack, "unpack", at=5)
    with pytest.raises(KeyboardInterrupt):
        faces.prepare(world.data_set, SETTINGS, 0)
    table = faces.prepare(world.data_set, SETTINGS, 0)
    assert len(calls) == 5 + 12  # four archives were finished before, the fifth was asked for twice
    assert faces.prepare(world.data_set, SETTINGS, 0).equals(table) and len(calls) == 17


def test_members_that_would_leave_the_folder_are_left_out(tmp_path, pack):
    pack(tmp_path / "1.tar.gz", {"../../x/1.png": 1, "s/2.png": 2, "s/._2.png": b"", "s/a.txt": b""})
    assert unpack.sequences(tmp_path / "1.tar.gz") == {"s": ["s/2.png"]}


def test_a_missing_part_and_the_wrong_door_are_named(world):
    for file in (world.root / "fake_test").iterdir():
        file.unlink()
    (world.root / "fake_test").rmdir()
    with pytest.raises(FileNotFoundError, match="no folder fake_test"):
        faces.prepare(world.data_set, SETTINGS, 0)
    with pytest.raises(ValueError, match=r"faces\.prepare unpacks them"):
        layouts.images(world.data_set)
