"""`python -m lib.pel.ablations [ROW ...]` trains rows of PEL's Tables 4 and 5 and writes the score of each test face.

By default these are the rows that params.yaml names (`ablations.rows`); `python -m lib.seeds` trains all of ROWS.
"""

import argparse
import dataclasses
import functools

import numpy as np

from lib import detectors, paths, preflight
from lib.data import faces as data_faces
from lib.evaluation import score_files
from lib.params import ParamsError, load, one_of
from lib.pel import network, sets, testing, train
from lib.training import checkpoints, staleness
from lib.training.side_by_side import side_by_side

BOTH = ("rgb", "freq")
# Table 4: row: (streams, self-enhancement, mutual enhancement); of a single stream the last one is spatial attention.
COMPONENTS = {
    "rgb": (("rgb",), False, False),
    "freq": (("freq",), False, False),
    "rgb_enhanced": (("rgb",), True, True),
    "freq_enhanced": (("freq",), True, True),
    "both": (BOTH, False, False),
    "both_self": (BOTH, True, False),
    "both_mutual": (BOTH, False, True),
    "pel": (BOTH, True, True),
}
# Table 5: row: (name of the denoiser in the table, its kind, its kernel sizes); the first row is PEL itself.
DENOISERS = {
    "pel": ("median3", "median", 3),
    "mean3": ("mean3", "mean", 3),
    "nlm3": ("nlm3", "non_local_means", 3),
    "median5": ("median5", "median", 5),
    "median7": ("median7", "median", 7),
    "median3_5": ("median3+5", "median", (3, 5)),
    "median3_5_7": ("median3+5+7", "median", (3, 5, 7)),
}
# In neither table: PEL with a random first layer of the frequency stream, not one that repeats that of the RGB stream.
RANDOM_START = "pel_random"
ROWS = tuple(dict.fromkeys([*COMPONENTS, *DENOISERS, RANDOM_START]))
SCORES = paths.RESULTS / "scores" / "pel_ablations"


def entry(row):
    """Return a row as an Entry of lib.detectors: PEL with other options. Raises ValueError for a row not in ROWS."""
    if row not in ROWS:
        raise ValueError(f"row: {row!r} is not one of {', '.join(ROWS)}")
    streams, alone, mutual = COMPONENTS.get(row, COMPONENTS["pel"])
    _, denoiser, kernel_size = DENOISERS.get(row, DENOISERS["pel"])
    changes = {"streams": streams, "self_enhancement": alone, "mutual_enhancement": mutual,
               "denoiser": denoiser, "kernel_size": kernel_size}  # fmt: skip
    changes |= {"frequency_start": "random"} if row == RANDOM_START else {}
    return dataclasses.replace(detectors.entry("PEL"), name=row, options=functools.partial(network.options, **changes))


def data_set(data, compression):
    """Return data.forged with the `compression` of the ablations, or unchanged if that is not on disk."""
    wanted = data.forged.replace(compression=compression)
    return next((each for each in sets.data_sets(data).values() if each == wanted), data.forged)


def recipe(data, pel, ablations):
    """Return the settings that all rows share as text; only results with the same text can be compared."""
    a, training = ablations, ablations.training
    return (
        f"{sets.set_name(data_set(data, a.compression))}, {pel.backbone}, {a.size} px, {a.frames_per_video} frames a "
        f"video, {training.epochs} epochs of batches of {training.batch_size}, learning rate {training.learning_rate:g}"
    )


def face_table(data, faces, ablations, seed):
    """Return the faces of the ablations: up to `frames_per_video` of each video, at equal intervals."""
    table = data_faces.prepare(data_set(data, ablations.compression), faces, seed)
    order, length = (table.groupby("video")["frame"].transform(how) for how in ("rank", "size"))
    step = (length / ablations.frames_per_video).clip(lower=1)
    kept = np.floor((order - 1) / step) != np.floor((order - 2) / step)
    return table[kept].reset_index(drop=True)


def common(data, faces, pel, ablations, seed):
    """Return the arguments of `run` that are the same for all rows and seeds, as a dict."""
    table, where = face_table(data, faces, ablations, seed), sets.set_name(data_set(data, ablations.compression))
    faces = faces.replace(size=ablations.size)
    return {"table": table, "where": where, "faces": faces, "pel": pel, "training": ablations.training}


def run(row, seed, table, where, faces, pel, training):
    """Train a row and return its scores of the faces of the test people, with the columns testing.COLUMNS.

    where: the name of the data set; the other arguments: see `common`. The weights stay until `forget` removes them: if
    a run is killed while it scores, the row is not trained again.
    """
    model, _ = train.train(entry(row), table, faces, training, seed, _weights(row, seed), pel=pel)
    tests = {where: table[table["split"] == "test"].reset_index(drop=True)}
    return testing.scores(entry(row), model, tests, faces.size).assign(train=where)[testing.COLUMNS]


def forget(row, seed):
    """Remove the weights and the history of a row: only its scores are needed."""
    checkpoints.file(_weights(row, seed)).unlink(missing_ok=True)
    (paths.HISTORY / f"{_weights(row, seed)}.csv").unlink(missing_ok=True)


def _weights(row, seed):
    return f"pel_ablations/{row}_{seed}"


def _key(row, seed, table, where, faces, pel, training):
    images, budget = table.drop(columns="mask", errors="ignore"), training.model_dump(exclude={"workers"})
    settings = {"options": entry(row).options(pel), "training": budget, "size": faces.size, "seed": seed}
    code = (train.__name__, testing.__name__, *entry(row).code)
    return staleness.key(**settings, where=where, images=staleness.images(images), code=code)


def run_all(rows, seed, shared, threads=1):
    """Train the rows whose files in results/scores/pel_ablations are stale, and write them; shared: see `common`."""
    side_by_side(functools.partial(_score, seed, shared), rows, desc="rows", threads=threads)


def _score(seed, shared, row):
    file, key = SCORES / f"{row}.csv", _key(row, seed, **shared)
    if not score_files.fresh(file, key):
        score_files.write(file, run(row, seed, **shared), key)
    forget(row, seed)


def read(rows=()):
    """Return {row: scores} of the default run (no rows: of all). Raises FileNotFoundError that names the stage."""
    return {row: score_files.read(SCORES / f"{row}.csv") for row in rows or ROWS}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m lib.pel.ablations", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; those of params.yaml by default")
    parser.add_argument("--every", action="store_true", help="all rows where none is named")
    given = parser.parse_args(arguments)
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"{min(unknown)!r} is not one of {', '.join(ROWS)}")
    params = load()
    preflight.stop(params)
    for row in params.ablations.rows:
        one_of("ablations.rows", row, ROWS)
    rows = given.rows or (() if given.every else params.ablations.rows) or ROWS
    shared = common(params.data, params.faces, params.pel, params.ablations, params.seed)
    run_all(rows, params.training_seed, shared, params.machine.threads)
    score_files.keep_only(SCORES, ROWS)


if __name__ == "__main__":
    try:
        main()
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
