"""Videos of two people: the one who was manipulated is cut out, though the other is larger."""

import json
import weakref

import cv2
import numpy as np
import pandas as pd
import pytest

from lib import paths
from lib.data import cut, face_detectors, faces, video
from lib.data.image import read_image
from lib.fakes.forge import faceswap, make, scene
from lib.params import DataSet, Faces

SETTINGS = Faces(frames_per_video=4, size=64, margin=1.3, detector="mtcnn", workers=1)
HEIGHT, WIDTH, RIGHT = 384, 640, 380  # the person at the left fills the height, the one at the right begins at RIGHT
FRAMES = 6


def beside(small, large, large_until=FRAMES, ground=128):
    """Return frames (n, H, W) uint8 of a large person at the left, until a frame, and a small one at the right."""
    frames = np.full((FRAMES, HEIGHT, WIDTH), ground, np.uint8)
    for index, frame in enumerate(frames):
        if index < large_until:
            frame[:, :360] = cv2.resize(large, (360, HEIGHT), interpolation=cv2.INTER_LINEAR)
        frame[60 : 60 + scene.HEIGHT, RIGHT + index : RIGHT + index + scene.WIDTH] = small
    return frames


def grey(picture):
    return np.uint8(np.rint(255 * picture))


@pytest.fixture(scope="session")
def filmed(tmp_path_factory):
    """The frames of an original of two people, of a fake of the smaller one, and of its mask."""
    target, source, other = (scene.faces_of(f"{person:03d}")[:1] for person in (0, 3, 5))
    forged, masks = faceswap.forge(target, source)
    nobody = np.zeros((scene.HEIGHT, scene.WIDTH), np.uint8)
    changed = np.uint8(255 * (masks[0] > make.CHANGED))
    return {"original": beside(grey(target[0].scene), grey(other[0].scene)),
            "alone": beside(grey(target[0].scene), grey(other[0].scene), large_until=3),
            "fake": beside(grey(forged[0]), grey(other[0].scene)),
            "mask": beside(changed, nobody, ground=0)}  # fmt: skip


@pytest.fixture
def write(tmp_path, monkeypatch, filmed):
    """A function that writes {path: name of the frames} below a data set; results go to tmp_path."""
    monkeypatch.setattr(paths, "FACES", tmp_path / "faces")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")

    def lay_out(layout, files, **given):
        for path, name in files.items():
            video.write_video(tmp_path / "set" / path, filmed[name][: 5 if name == "mask" else None])
        (tmp_path / "set/splits").mkdir(exist_ok=True)
        for split in ("train", "val", "test"):
            pairs = [["000", "003"]] if split == "test" else []
            (tmp_path / f"set/splits/{split}.json").write_text(json.dumps(pairs))
        return DataSet(layout=layout, root=str(tmp_path / "set"), **given)

    return lay_out


ORIGINAL, FAKE = (
    "original_sequences/youtube/c23/videos/000.mp4",
    "manipulated_sequences/FaceSwap/c23/videos/000_003.mp4",
)
MASK = "manipulated_sequences/FaceSwap/masks/videos/000_003.mp4"


def sides(table):
    """Return {video: where its faces lie}."""
    centre = (table["x1"] + table["x2"]) / 2
    return {name: set(np.where(part > RIGHT, "right", "left")) for name, part in centre.groupby(table["video"])}


def on_disk(tmp_path, name, compression="c23"):
    return pd.read_csv(next((tmp_path / "faces").glob(f"*/{compression}/{name}.csv")), keep_default_na=False)


def test_the_manipulated_face_is_cut_although_the_other_is_larger(write, tmp_path, filmed, capsys):
    table = faces.prepare(write("FaceForensics++", {FAKE: "fake", MASK: "mask"}), SETTINGS, 0)
    assert sides(table) == {"FaceSwap/000_003": {"right"}} and len(table) == 4
    box = table.iloc[0][faces.BOX].tolist()
    expected = cut.crop_square(filmed["fake"][0], box, 1.3, 64).astype(int)
    assert np.abs(read_image(table["path"][0])[..., 0] - expected).mean() < 6
    assert "1 of 1 videos show several faces: 1 chosen by mask" in capsys.readouterr().out
    report = on_disk(tmp_path, "report")
    assert list(report.columns) == ["video", "frames", "faces", "choice", "reason"]
    assert report[["faces", "choice"]].values.tolist() == [[2, "mask"]]
    assert on_disk(tmp_path, "frames")["faces"].tolist() == [2] * 4


def test_an_original_shows_the_person_who_is_manipulated_in_its_fake(write, tmp_path):
    table = faces.prepare(write("FaceForensics++", {ORIGINAL: "original", FAKE: "fake", MASK: "mask"}), SETTINGS, 0)
    assert sides(table) == {"original/000": {"right"}, "FaceSwap/000_003": {"right"}}
    assert set(table.loc[table["label"] == 0, "mask"]) == {""}
    assert on_disk(tmp_path, "report")["choice"].tolist() == ["mask", "mask"]


def test_actors_of_deepfake_detection_are_told_apart_by_the_mask_of_their_scene(write):
    fakes, scenes = "manipulated_sequences/DeepFakeDetection", "original_sequences/actors/c23/videos"
    files = {f"{scenes}/01__exit_phone_room.mp4": "original", f"{scenes}/01__podium.mp4": "original",
             f"{fakes}/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4": "fake",
             f"{fakes}/masks/videos/01_02__exit_phone_room__YVGY8LOK.mp4": "mask"}  # fmt: skip
    found = sides(faces.prepare(write("DeepfakeDetection", files), SETTINGS, 0))
    assert found == {"original/01__exit_phone_room": {"right"}, "original/01__podium": {"left"},
                     "DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK": {"right"}}  # fmt: skip


def test_without_a_mask_the_face_that_is_seen_longest_is_cut(write, tmp_path):
    table = faces.prepare(write("FaceForensics++", {FAKE: "fake", ORIGINAL: "alone"}), SETTINGS, 0)
    assert sides(table) == {"FaceSwap/000_003": {"left"}, "original/000": {"right"}}  # equally long: the larger
    assert len(table) == 8
    report, frames = on_disk(tmp_path, "report"), on_disk(tmp_path, "frames").set_index("video")
    assert report["choice"].tolist() == ["track", "track"]
    assert frames.loc["original/000", "faces"].tolist() == [2, 2, 1, 1]


@pytest.mark.parametrize("content", ["broken", "black"])
def test_a_mask_that_shows_nobody_leaves_the_choice_to_the_track(write, tmp_path, content):
    data_set = write("FaceForensics++", {FAKE: "fake", MASK: "mask"})
    if content == "broken":
        (tmp_path / "set" / MASK).write_text("broken")
    else:
        video.write_video(tmp_path / "set" / MASK, np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8))
    assert sides(faces.prepare(data_set, SETTINGS, 0)) == {"FaceSwap/000_003": {"left"}}
    assert on_disk(tmp_path, "report")["choice"].tolist() == ["track"]


def test_a_frame_in_which_only_the_other_person_is_seen_says_so(write, tmp_path, monkeypatch):
    class Detector:
        def __init__(self):
            self.frame = 0

        def detect(self, rgb):
            self.frame += 1
            both = [[20, 20, 60, 60], [400, 20, 440, 60]]
            return np.array(both[:1] if self.frame == 2 else both[1:] if self.frame == 3 else both, float), None, None

    data_set = write("FaceForensics++", {FAKE: "fake"})
    monkeypatch.setattr(cut, "detector", lambda name: Detector())
    faces.prepare(data_set, SETTINGS, 0)
    frames = on_disk(tmp_path, "frames")
    assert frames["status"].tolist() == ["face", "face", "another face", "face"]
    assert on_disk(tmp_path, "report")["reason"].tolist() == ["another face in 1 of 4 frames"]


def test_both_qualities_show_the_same_person(write, tmp_path):
    files = {path.replace("c23", quality): name for quality in ("c23", "c40")
             for path, name in ((ORIGINAL, "original"), (FAKE, "fake"), (MASK, "mask"))}  # fmt: skip
    high = write("FaceForensics++", files)
    low = high.replace(compression="c40")
    one, other = (faces.prepare(data_set, SETTINGS, 0) for data_set in (high, low))
    assert one[["video", "frame", *faces.BOX]].equals(other[["video", "frame", *faces.BOX]])
    for name in ("faces", "choice"):
        assert on_disk(tmp_path, "report", "c40")[name].tolist() == on_disk(tmp_path, "report")[name].tolist()
    assert on_disk(tmp_path, "frames", "c40")["faces"].tolist() == [2] * 8


def test_boxes_that_older_code_chose_are_not_taken_over_by_another_quality(write, tmp_path, monkeypatch):
    files = {FAKE: "fake", MASK: "mask", FAKE.replace("c23", "c40"): "fake"}
    high = write("FaceForensics++", files)
    faces.prepare(high, SETTINGS, 0)
    record = next((tmp_path / "faces").glob("*/c23/FaceSwap/000_003/record.json"))
    kept = json.loads(record.read_text())
    record.write_text(json.dumps(kept | {"code": "older", "boxes": [[0, 0, 60, 60]] * 4}))
    assert sides(faces.prepare(high.replace(compression="c40"), SETTINGS, 0)) == {"FaceSwap/000_003": {"right"}}


def test_the_frames_of_a_video_are_not_held_in_memory():
    class Frame(np.ndarray):
        pass

    made, most = [], []

    def frames():
        for index in range(8):
            frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8).view(Frame)
            made.append(weakref.ref(frame))
            yield index, frame
            most.append(sum(frame() is not None for frame in made))

    class Detector:
        def detect(self, rgb):
            return np.array([[20.0, 20, 60, 60], [400, 20, 440, 60]]), None, None

    found = cut.follow_faces(frames(), Detector(), 1.3, 64)
    assert [len(track) for track in found] == [8, 8] and max(most) <= 2


def test_a_real_detector_sees_both_people(filmed):
    rgb = np.repeat(filmed["original"][0][..., None], 3, axis=2)
    boxes, _, _ = face_detectors.detector("mtcnn").detect(rgb)
    assert len(boxes) == 2
