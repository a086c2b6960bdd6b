"""The crops of a data set of videos: what is on disk, what was skipped, and what is cut anew."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import paths
from lib.data import cut, faces, video
from lib.data.image import read_image, write_png
from lib.params import DataSet


def test_prepare_cuts_every_face_and_says_what_it_skipped(world, capsys):
    table = faces.prepare(world.data_set, world.settings, 0)
    assert set(table["video"]) == {"original/000", "original/953"} | {
        f"Deepfakes/{name}" for name in ("000_003", "003_000", "953_974", "974_953")
    }
    assert all(list(frames) == [0, 2, 4] for _, frames in table.groupby("video")["frame"])
    for row in table.itertuples():
        assert read_image(row.path).shape == (64, 64, 3)
    report = pd.read_csv(world.faces.glob("*/c23/report.csv").__next__()).set_index("video")
    assert "truncated" in report.loc["original/003", "reason"]
    assert report.loc["original/974", "reason"] == "no face in 3 of 3 frames"
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2 and "2 of 8 videos skipped" in printed and "original/003" in printed


def test_the_manifest_on_disk_can_be_moved_to_another_machine(world):
    table = faces.prepare(world.data_set, world.settings, 0)
    file = next(world.faces.glob("*/c23/manifest.csv"))
    manifest = pd.read_csv(file, dtype={"identity": str}).fillna("")
    assert str(world.faces) not in file.read_text()
    assert [str(file.parent / path) for path in manifest["path"]] == table["path"].tolist()
    assert manifest[["label", "method", "video", "identity", "split", "frame"]].equals(
        table[["label", "method", "video", "identity", "split", "frame"]].astype({"frame": manifest["frame"].dtype})
    )


def test_a_mask_is_cut_with_the_box_of_its_face(world):
    table = faces.prepare(world.data_set, world.settings, 0)
    masked = table[table["mask"] != ""]
    assert set(masked["video"]) == {"Deepfakes/000_003"}
    for row in masked.itertuples():
        box = np.array([row.x1, row.y1, row.x2, row.y2])
        mask = np.zeros((256, 288), np.uint8)
        mask[60:200, 60:200] = 255
        expected = cut.crop_square(mask, box, 1.3, 64)
        assert (np.abs(read_image(row.mask)[..., 0].astype(int) - expected) < 64).mean() > 0.97


def test_an_interrupted_run_continues_and_ends_as_if_it_had_not_been_interrupted(world, interrupted, monkeypatch):
    calls = interrupted(cut, "cut_video", at=4)
    with pytest.raises(KeyboardInterrupt):
        faces.prepare(world.data_set, world.settings, 0)
    continued = faces.prepare(world.data_set, world.settings, 0)
    assert len(calls) == 4 + 4  # of 7 readable videos 3 were finished before
    assert faces.prepare(world.data_set, world.settings, 0).equals(continued) and len(calls) == 8
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "fresh")
    fresh = faces.prepare(world.data_set, world.settings, 0)
    assert fresh.drop(columns=["path", "mask"]).equals(continued.drop(columns=["path", "mask"]))
    for one, other in zip(fresh["path"], continued["path"], strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()


def test_faces_are_cut_anew_when_the_code_that_cuts_them_has_changed_and_only_then(world, interrupted, monkeypatch):
    faces.prepare(world.data_set, world.settings, 0)
    calls = interrupted(cut, "cut_video", at=0)
    code = {"lib.data.cut": "as it is", "lib.data.faces": "as it is", "lib.data.layouts": "as it is"}
    monkeypatch.setattr(faces.staleness, "code", lambda *modules: "".join(code[module] for module in modules))
    faces.prepare(world.data_set, world.settings, 0)
    assert len(calls) == 7  # the eighth cannot be read
    code |= {"lib.data.faces": "changed", "lib.data.layouts": "changed"}
    faces.prepare(world.data_set, world.settings, 0)
    assert len(calls) == 7
    code["lib.data.cut"] = "changed"
    faces.prepare(world.data_set, world.settings, 0)
    assert len(calls) == 14


def test_every_sampled_frame_has_a_line_that_says_what_became_of_it(world):
    faces.prepare(world.data_set, world.settings, 0)
    frames = pd.read_csv(next(world.faces.glob("*/c23/frames.csv")))
    assert list(frames.columns) == ["video", "frame", *faces.BOX, "faces", "status"]
    found = frames[frames["status"] == "face"]
    assert len(found) == 6 * 3 and found[faces.BOX].notna().all(axis=None)
    nobody = frames[frames["video"] == "original/974"]
    assert nobody["status"].tolist() == ["no face"] * 3 and nobody["faces"].tolist() == [0] * 3
    assert set(found["faces"]) == {1}
    broken = frames[frames["video"] == "original/003"]
    assert len(broken) == 1 and broken["frame"].isna().all() and "truncated" in broken["status"].item()


def test_the_rate_is_printed_and_kept(world, capsys):
    faces.prepare(world.data_set, world.settings, 0)
    assert re.search(r"8 videos in \d+ s, [\d.]+ a minute and core", capsys.readouterr().out)
    (name, rate), *others = json.loads((paths.RESULTS / "throughput.json").read_text()).items()
    assert name.endswith("/c23") and not others and rate["videos"] == 8
    assert rate["per_minute_and_core"] == pytest.approx(60 * 8 / rate["core_seconds"], rel=0.2)
    faces.prepare(world.data_set, world.settings, 0)
    assert "a minute and core" not in capsys.readouterr().out


def test_two_processes_cut_the_same_faces_as_one(world, monkeypatch):
    one = faces.prepare(world.data_set, world.settings, 0)
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "two")
    world.settings = world.settings.replace(workers=2)
    two = faces.prepare(world.data_set, world.settings, 0)
    assert two.drop(columns=["path", "mask"]).equals(one.drop(columns=["path", "mask"]))
    for a, b in zip(one["path"], two["path"], strict=True):
        assert Path(a).read_bytes() == Path(b).read_bytes()


def test_other_settings_cut_anew_and_leave_the_old_crops_alone(world):
    small = faces.prepare(world.data_set, world.settings, 0)
    world.settings = world.settings.replace(size=32)
    smaller = faces.prepare(world.data_set, world.settings, 0)
    assert read_image(smaller["path"][0]).shape == (32, 32, 3) and read_image(small["path"][0]).shape == (64, 64, 3)


def test_a_replaced_video_is_cut_anew(world):
    faces.prepare(world.data_set, world.settings, 0)
    video.write_video(world.root / "original_sequences/youtube/c23/videos/974.mp4", world.moving(9))
    table = faces.prepare(world.data_set, world.settings, 0)
    assert (table["video"] == "original/974").sum() == 3


def test_c40_shares_the_crops_boxes_of_c23(world, monkeypatch):
    for file in (world.root / "original_sequences/youtube/c23/videos").glob("*.mp4"):
        video.write_video(file.parents[2] / "c40/videos" / file.name, world.moving(int(file.stem) % 40 + 1), crf=40)
    low = DataSet(layout="FaceForensics++", root=world.data_set.root, compression="c40")
    high = faces.prepare(world.data_set, world.settings, 0).set_index(["video", "frame"])
    table = faces.prepare(low, world.settings, 0).set_index(["video", "frame"])
    shared = table.index.intersection(high.index)
    assert len(shared) == 6 and len(table) == 12  # 003 and 974 are whole here and are searched on their own
    frames = pd.read_csv(next(world.faces.glob("*/c40/frames.csv"))).set_index("video")["status"]
    assert set(frames["original/000"]) == {"box of c23"} and set(frames["original/974"]) == {"face"}
    assert table.loc[shared, faces.BOX].equals(high.loc[shared, faces.BOX])
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "alone")
    assert len(faces.prepare(low, world.settings, 0)) == 12


def test_a_broken_mask_costs_the_mask_and_not_the_faces(world):
    mask = next(world.root.rglob("masks/videos/*.mp4"))
    mask.write_text("broken")
    table = faces.prepare(world.data_set, world.settings, 0)
    assert (table["video"] == "Deepfakes/000_003").sum() == 3 and (table["mask"] == "").all()
    assert "mask not used" in next(world.faces.glob("*/c23/report.csv")).read_text()


def test_no_face_anywhere_is_one_line_that_names_the_data_set(world):
    for file in world.root.rglob("*.mp4"):
        file.write_text("broken")
    with pytest.raises(ValueError, match="no face in any of 8 videos"):
        faces.prepare(world.data_set, world.settings, 0)


def test_folders_of_faces_need_no_cutting(tmp_path, world):
    for kind in ("real", "fake"):
        write_png(tmp_path / kind / "a.png", np.zeros((4, 4, 3), np.uint8))
    table = faces.prepare(DataSet(layout="folders", root=str(tmp_path)), world.settings, 0)
    assert table["label"].tolist() == [0, 1] and table["path"].iloc[0].endswith("real/a.png")
