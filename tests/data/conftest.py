import json

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
        return DataSet("FaceForensics++", str(root))

    return make


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path
