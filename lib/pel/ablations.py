"""`python -m lib.pel.ablations` trains the rows of PEL's Tables 4 and 5 and writes the score of each test face.

`python -m lib.pel.ablations --seeds 5` trains them once a seed, for longer: results/tables/pel_ablation_seeds.csv.
"""

import argparse
import functools
import time

import numpy as np
import pandas as pd

from lib import paths
from lib.data import faces
from lib.evaluation.metrics import metrics
from lib.evaluation.predict import predict
from lib.params import ParamsError, load
from lib.pel import score as pel_score
from lib.pel import sets, train
from lib.pel.denoisers import with_denoiser
from lib.training.side_by_side import side_by_side

BOTH = ("rgb", "freq")
# Table 4: streams, self-enhancement, mutual enhancement (of a single stream: spatial attention).
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
# Table 5: the name of a denoiser there; its first row is PEL itself.
DENOISERS = {
    "pel": "median3",
    "mean3": "mean3",
    "nlm3": "nlm3",
    "median5": "median5",
    "median7": "median7",
    "median3_5": "median3+5",
    "median3_5_7": "median3+5+7",
}
ROWS = tuple(dict.fromkeys([*COMPONENTS, *DENOISERS]))
SCORES = paths.RESULTS / "scores" / "pel_ablations"
SEEDS = paths.TABLES / "pel_ablation_seeds.csv"
AT_ONCE = 4  # trainings, at the most: each holds the faces in memory


def data_set(params):
    """Return data.forged in the quality of the ablations, or as it is where it has no such quality on disk."""
    forged = params.data.forged
    wanted = forged.replace(compression=params.ablations.compression)
    return next((d for d in sets.data_sets(params).values() if d == wanted), forged)


def recipe(params):
    """Return in words what all rows have in common: two results compare where this is the same."""
    a, name = params.ablations, sets.set_name(data_set(params))
    return (
        f"{name}, {params.pel.backbone}, {a.size} px, {a.frames_per_video} frames a video, {a.training.epochs} epochs "
        f"of batches of {a.training.batch_size}, learning rate {a.training.learning_rate:g}"
    )


def face_table(params):
    """Return the faces of the ablations: up to `frames_per_video` of each video, at equal intervals."""
    table = faces.prepare(data_set(params), params.faces, params.seed)
    count = params.ablations.frames_per_video
    order, length = (table.groupby("video")["frame"].transform(how) for how in ("rank", "size"))
    step = (length / count).clip(lower=1)
    kept = np.floor((order - 1) / step) != np.floor((order - 2) / step)
    return table[kept].reset_index(drop=True)


def make(row, params, seed):
    """Return the fresh network of a row (the same for the same seed), its options and its loss; see ROWS."""
    if row not in ROWS:
        raise ValueError(f"row: {row!r} is not one of {', '.join(ROWS)}")
    streams, alone, mutual = COMPONENTS.get(row, COMPONENTS["pel"])
    model, options, loss = train.make_pel(params, streams, alone, mutual, seed)
    if row in DENOISERS and DENOISERS[row] != "median3":
        options = {**options, "denoiser": DENOISERS[row]}
        with_denoiser(model, DENOISERS[row])
    return model, options, loss


def run(row, params, seed=None, table=None):
    """Train a row and return its scores: columns of forgery_detectors.COLUMNS, the test people alone.

    Its weights stay until `forget`, so that rows whose run is killed are not trained again.
    """
    seed = params.seed if seed is None else seed
    table = face_table(params) if table is None else table
    small = params.replace(faces=params.faces.replace(size=params.ablations.size))
    data = sets.TrainingFaces("PEL", small, table)
    model, options, loss = make(row, params, seed)
    config, name = {"model": options}, _checkpoint(row, seed)
    train.fit(model, loss, data, params.ablations.training, name, seed, config, small)
    test = data.splits["test"]
    score = predict(model, sets.images_for("PEL", test, params.ablations.size))
    where = sets.set_name(data_set(params))
    return test.assign(train=where, test=where, score=score)[pel_score.COLUMNS]


def _checkpoint(row, seed):
    return f"ablation_{row}_seed{seed}"


def forget(rows, seed):
    """Remove the weights of rows and how they were trained: what counts is how well they score."""
    for name in (_checkpoint(row, seed) for row in rows):
        for file in (paths.CHECKPOINTS / f"{name}.safetensors", paths.HISTORY / f"{name}.csv"):
            file.unlink(missing_ok=True)


def run_all(params, rows=ROWS):
    """Train rows and write results/scores/pel_ablations/ROW.csv; a killed run goes on where it was."""
    scored = side_by_side(functools.partial(run, params=params, table=face_table(params)), rows, AT_ONCE)
    for row, table in zip(rows, scored, strict=True):
        pel_score.write_scores(SCORES / f"{row}.csv", table)
    forget(rows, params.seed)


def read(params, rows=ROWS):
    """Return {row: scores} of the default run; what has no score file is trained now."""
    missing = [row for row in rows if not (SCORES / f"{row}.csv").is_file()]
    if missing:
        run_all(params, missing)
    return {row: pel_score.read_scores(SCORES / f"{row}.csv") for row in rows}


def with_seeds_epochs(params):
    """Return the parameters of `run_seeds`: trainings of `seeds_epochs` epochs."""
    training = params.ablations.training.replace(epochs=params.ablations.seeds_epochs)
    return params.replace(ablations=params.ablations.replace(training=training))


def run_seeds(params, count, rows=ROWS):
    """Train all rows for seeds 0 .. count - 1 and return pel_ablation_seeds.csv, with the minutes that each row took.

    A row and seed that stand there with the same recipe are not trained again, so that it goes on where it was stopped.
    """
    params = with_seeds_epochs(params)
    how, done = recipe(params), read_seeds()
    table = face_table(params)
    there = set(zip(*(done[key] for key in ("row", "seed", "recipe")), strict=True))
    todo = [(row, seed) for seed in range(count) for row in rows if (row, seed, how) not in there]
    for fresh in side_by_side(functools.partial(_measure, params, table), todo, AT_ONCE):
        fresh = pd.DataFrame([fresh | {"recipe": how}])
        done = pd.concat([done, fresh], ignore_index=True) if len(done) else fresh
        paths.replace(SEEDS, lambda file, done=done: done.to_csv(file, index=False, float_format="%.6g"))
    return done


def _measure(params, table, job):
    row, seed = job
    began = time.perf_counter()
    scored = run(row, params, seed, table)
    forget([row], seed)
    result = metrics(scored, scored["score"], n_bootstrap=1)
    names = ("frame_accuracy", "frame_auc", "frame_eer", "video_accuracy", "video_auc")
    minutes = (time.perf_counter() - began) / 60
    return {"row": row, "seed": seed, **{name: result[name] for name in names}, "minutes": minutes}


def read_seeds(params=None):
    """Return pel_ablation_seeds.csv, or an empty table; with params only what has their recipe."""
    if not SEEDS.is_file():
        return pd.DataFrame(columns=["row", "seed", "recipe"])
    table = pd.read_csv(SEEDS)
    if params is None:
        return table
    return table[table["recipe"] == recipe(with_seeds_epochs(params))].reset_index(drop=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("row", choices=ROWS, nargs="?", help="of Tables 4 and 5; all of them by default")
    parser.add_argument("--seeds", type=int, default=0, help="train with so many seeds")
    given = parser.parse_args(arguments)
    params, rows = load(), [given.row] if given.row else ROWS
    return run_seeds(params, given.seeds, rows) if given.seeds else run_all(params, rows)


if __name__ == "__main__":
    try:
        main()
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
