"""`python -m lib.pel.score METHOD ...` trains detectors of forged faces and writes the score of each test face.

The networks of PEL's Tables 1-3 (Gu et al., AAAI 2022), trained by the same code on the same faces.
"""

import argparse

import pandas as pd

from lib import paths
from lib.data import perturb
from lib.evaluation.predict import predict
from lib.params import ParamsError, load
from lib.pel.sets import FaceSets, images_for, spread
from lib.pel.train import METHODS, trained

SCORES = paths.RESULTS / "scores" / "pel"


COLUMNS = ["train", "test", "label", "method", "video", "identity", "frame", "score"]


def robustness_test(change, strength):
    """Return the name of a test of `scores`: "Gaussian blur 7"."""
    return f"{change} {strength:.3g}"


def scores(method, model, params, name, sets):
    """Return the scores of a network that was trained on the data set `name`: COLUMNS, a row an image and test.

    test: each of `data_sets`, and each change and strength of perturb.PEL_TABLE3 on up to `curve_images` test faces of
    the training set, real and fake alike; Add-Net keeps the masks of the unchanged faces.
    """
    parts = []
    for test in sets.names:  # one after the other, since each set may fill the memory
        part = sets.test(test)
        parts.append(part.assign(test=test, score=predict(model, images_for(method, part, params.faces.size))))
    few = spread(sets.test(name), params.pel_detectors.curve_images)
    images = images_for(method, few, params.faces.size)
    for change, (function, strengths) in perturb.PEL_TABLE3.items():
        for strength in strengths[1:]:
            at = lambda image, rng, function=function, strength=strength: function(image, strength, rng)
            changed = perturb.Changed(images, few, at, params.seed, fakes_only=False)
            test = robustness_test(change, strength)
            parts.append(few.assign(test=test, score=predict(model, changed)))
    return pd.concat(parts, ignore_index=True).assign(train=name)[COLUMNS]


def run(method, params, seed=None, sets=None):
    """Train a method on each training set, write results/scores/pel/METHOD.csv and return what is in it."""
    sets, rows = sets or FaceSets(params), []
    for name in sets.training():
        model, _ = trained(method, params, name, seed, sets)
        rows.append(scores(method, model, params, name, sets))
    table = pd.concat(rows, ignore_index=True)
    write_scores(score_file(method, params, seed), table)
    return table


def write_scores(file, table):
    """Write a table of scores, six digits a score."""
    paths.replace(file, lambda temporary: table.to_csv(temporary, index=False, float_format="%.6g"))


def read_scores(file):
    """Return a table of scores; names that are numbers stay text, so that 000 is not 0."""
    return pd.read_csv(file, dtype={"video": str, "identity": str})


def score_file(method, params, seed=None):
    """Return the path of the scores of a method."""
    return SCORES / (method + ("" if seed in (None, params.seed) else f"_seed{seed}") + ".csv")


def read(params, methods=METHODS, seed=None):
    """Return the scores of methods as one table with a column network; what has no score file is trained now."""
    sets, parts = FaceSets(params), []
    for method in methods:
        file = score_file(method, params, seed)
        table = read_scores(file) if file.is_file() else run(method, params, seed, sets)
        parts.append(table.assign(network=method))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", choices=METHODS, nargs="+", metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    try:
        params = load()
        sets = FaceSets(params)
        sets.cut()
        for method in arguments.methods:
            run(method, params, arguments.seed, sets)
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
