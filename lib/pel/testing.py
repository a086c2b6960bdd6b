"""The scores of a detector for the faces of each test of PEL's Tables 1 to 3."""

import pandas as pd

from lib.data import perturb
from lib.data.items import FaceImages
from lib.evaluation.predict import predict

COLUMNS = ["train", "test", "label", "method", "video", "identity", "frame", "score"]


def scores(entry, model, tests, size):
    """Return the scores of a trained detector: the rows of all `tests`, with two more columns, test and score.

    entry: of the detector in lib.detectors; tests: {name: table of faces}; size: side of an image in pixels.
    """
    parts = []
    for name, table in tests.items():  # one after the other, because one set alone may fill the memory
        images = entry.items(FaceImages(table, size), model)
        parts.append(table.assign(test=name, score=predict(model, images)))
    return pd.concat(parts, ignore_index=True)


def changed_scores(entry, model, table, size, seed):
    """Return the same as `scores` for the faces of a table after each change of perturb.PEL_TABLE3, at each strength.

    Real and fake faces are changed in the same way. Add-Net gets the masks of the unchanged faces. seed: of the noise.
    """
    images, parts = entry.items(FaceImages(table, size), model), []
    for change, (function, strengths) in perturb.PEL_TABLE3.items():
        for strength in strengths[1:]:
            at = lambda image, rng, function=function, strength=strength: function(image, strength, rng)
            changed = perturb.Changed(images, table, at, seed, fakes_only=False)
            parts.append(table.assign(test=robustness_test(change, strength), score=predict(model, changed)))
    return pd.concat(parts, ignore_index=True)


def robustness_test(change, strength):
    """Return the name of the test with this change, such as "Gaussian blur 7"."""
    return f"{change} {strength:.3g}"
