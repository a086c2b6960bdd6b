import io
import json
import tarfile

import cv2
import numpy as np
import pytest

from lib.data import layouts
from lib.params import DataSet

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
