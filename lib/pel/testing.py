"""What a detector says of the faces of each test of PEL's Tables 1 to 3."""

import pandas as pd

from lib.data import perturb
from lib.data.items import FaceImages
from lib.evaluation.predict import predict

COLUMNS = ["train", "test", "label", "method", "video", "identity", "frame", "score"]


def scores(entry, model, tests, size):
    """Return the scores of a trained detector, a row an image: the tables of `tests`, {name: faces}, and test, score.

    entry: of the detector in lib.detectors; size: of the images.
    """
    parts = []
    for name, table in tests.items():  # one after the other, since each set may fill the memory
        images = entry.items(FaceImages(table, size), model)
        parts.append(table.assign(test=name, score=predict(model, images)))
    return pd.concat(parts, ignore_index=True)


def changed_scores(entry, model, table, size, seed):
    """Return what `scores` does for the faces of a table after each change of perturb.PEL_TABLE3, at each strength.

    Real and fake faces are changed alike; Add-Net keeps the masks of the unchanged ones. seed: of the noise.
    """
    images, parts = entry.items(FaceImages(table, size), model), []
    for change, (function, strengths) in perturb.PEL_TABLE3.items():
        for strength in strengths[1:]:
            at = lambda image, rng, function=function, strength=strength: function(image, strength, rng)
            changed = perturb.Changed(images, table, at, seed, fakes_only=False)
            parts.append(table.assign(test=robustness_test(change, strength), score=predict(model, changed)))
    return pd.concat(parts, ignore_index=True)


def robustness_test(change, strength):
    """Return the name of a test after a change: "Gaussian blur 7"."""
    return f"{change} {strength:.3g}"
