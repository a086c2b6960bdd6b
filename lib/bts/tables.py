"""Tables 1 to 3 of Beyond the Spectrum from the scores of `lib.bts.score`, for notebook 04."""

import itertools
import warnings

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.bts.re_synthesis import NAMES as RE_SYNTHESIZERS
from lib.bts.score import COLUMNS
from lib.evaluation import report, runs

FAKES_ONLY = ("R", "A", "E", "P")  # tests with the photographs of raw
BOTH = {"E on both": "E", "P on both": "P"}  # {test with changed photographs, too: the test whose scores it takes}
SHORT = {"ProGAN": "P", "StyleGAN": "S"}
TABLE1 = {
    f"{SHORT[on] if on == tested else f'{SHORT[on]}to{SHORT[tested]}'}_{test}": (on, test, tested)
    for on, tested in (("ProGAN",) * 2, ("StyleGAN",) * 2, ("ProGAN", "StyleGAN"), ("StyleGAN", "ProGAN"))
    for test in ("raw", "R", "E", "A", "P")
}
"""Column of BTS Table 1: (trained on, test, tested on)."""
TABLE1_BOTH = {
    f"{column} on both": (on, f"{test} on both", tested)
    for column, (on, test, tested) in TABLE1.items()
    if test in BOTH.values()
}
"""The columns of +E and +P once more, with photographs that were changed, too."""
TABLE2 = {
    f"{short}_{column}": (on, "FFHQ", tested)
    for on, short in SHORT.items()
    for tested, column in {"StyleGAN": "SG", "StyleGAN2-0.5": "SG21", "StyleGAN2-1.0": "SG22"}.items()
}
"""Column of BTS Table 2: (trained on, test, tested on)."""
ROW, PLACE = ["detector", "S"], ["trained_on", "test", "tested_on"]


def names(detector):
    """Return the row of the tables that each column of a detector's scores belongs to: {column: (detector, S)}."""
    if detector == "SR-stages":
        return {f"Stage{stage}": (f"Ours (Stage{stage})", "SR") for stage in range(1, 6)}
    if detector in RE_SYNTHESIZERS:
        return {column: (f"Ours ({column})", detector) for column in ("Pix", "Stage5", "Avg", "learned")}
    return {"score": (detector.replace("1D-", "1D "), "/")}


def learned(scored, stages):
    """Return the probability (n,) of a logistic regression on the log-odds of all stages: a learned beta of Eq. 4.

    scored, stages: the scores of SR and of SR-stages for the same images in the same order. The regression is fitted on
    the validation images alone.
    """
    own, more = (frame.drop(columns=[*COLUMNS, "Avg"]) for frame in (scored, stages))
    odds = logit(pd.concat([own, more], axis=1).clip(1e-6, 1 - 1e-6))
    val = (scored["test"] == "val").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(odds[val], scored.loc[val, "label"])
    return model.predict_proba(odds)[:, 1]


def of_test(scored, test, tested_on):
    """Return the rows of a test to measure: its photographs, or those of raw, and as many fakes of `tested_on`.

    test: one of those in the scores, or a key of BOTH. If one kind has more rows, some of them are drawn, the same ones
    for all detectors, because the paper's accuracies are of equal counts.
    """
    part = scored[scored["test"] == BOTH.get(test, test)]
    reals = scored[scored["test"] == "raw"] if test in FAKES_ONLY else part
    kinds = reals[reals["label"] == 0], part[part["method"] == tested_on]
    count = min(map(len, kinds))
    kinds = [kind if len(kind) == count else kind.sample(count, random_state=0).sort_index() for kind in kinds]
    return pd.concat(kinds, ignore_index=True)


def measure(by_seed, n_bootstrap=1000):
    """Measure every detector on every test: one row for each (detector, S, trained_on, test, tested_on).

    by_seed: {training seed: {(detector, source): what `lib.bts.score.read` returns}}, all of the same images. The other
    columns are those of `runs.measure` at frame level, where an image counts as a frame. A test that was not scored has
    no row.
    """
    measured, first = [], next(iter(by_seed.values()))
    for (detector, trained_on), frame in first.items():
        tests = frame.loc[frame["label"] == 1, ["test", "method"]].drop_duplicates()
        both = set(frame.loc[frame["label"] == 0, "test"])
        twice = [tests[tests["test"] == test].assign(test=name) for name, test in BOTH.items() if test in both]
        tests = pd.concat([tests, *twice])
        columns = [item for item in names(detector).items() if item[0] in frame]
        for (column, row), place in itertools.product(columns, tests.itertuples(index=False)):
            of_seeds = [of_test(scored[detector, trained_on], *place) for scored in by_seed.values()]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about an S-shaped ROC, in a few of a thousand cells
                numbers = runs.measure([part.assign(score=part[column]) for part in of_seeds], "frame", n_bootstrap)
            measured.append(dict(zip([*ROW, *PLACE], (*row, trained_on, *place), strict=True)) | numbers)
    return pd.DataFrame(measured)


def arrange(measured, columns):
    """Arrange accuracies as a table of the paper, in percent with intervals.

    measured: what `measure` returns; columns: {column: (trained on, test, tested on)}, such as TABLE1. Cells that were
    not measured are left out; avg is the mean of all cells of a row, and only a complete row has it.
    """
    table = []
    for names_of_row, group in measured.groupby(ROW, sort=False):
        results = {tuple(row[key] for key in PLACE): row for row in group.to_dict("records")}
        row, there = dict(zip(ROW, names_of_row, strict=True)), [key for key in columns if columns[key] in results]
        for column in there:
            row |= report.cell(column, results[columns[column]], "frame_accuracy")
        if there and len(there) == len(columns):
            row["avg"] = np.mean([row[column] for column in columns])
        table += [row] if there else []
    return pd.DataFrame(table, columns=None if table else ROW)


def contrast(scored, columns, better, worse, n_bootstrap=1000, seed=0):
    """Return the difference of the mean accuracies of two rows of a table, in percentage points, or None.

    scored: {training seed: {(detector, source): scores}}; better, worse: ((detector, S), [columns of the table]), the
    cells whose accuracies are averaged. Returns what `runs.over_seeds` returns: over the seeds, and over resamples of
    the identities, the same for both rows. None: a cell was not measured.
    """
    found = [_right(frames, columns, better, worse) for frames in scored.values()]
    if any(part is None for part in found):
        return None
    every, first = found[0], len(better[1])
    sides = every.groupby(["cell", "label"], sort=True).ngroup().to_numpy()  # the reals and the fakes of each cell
    member, last = np.eye(sides.max() + 1)[sides], every["cell"].max() + 1
    share = np.repeat([1 / first, -1 / (last - first)], [2 * first, 2 * (last - first)]) / 2  # classes count the same
    right = lambda images, weights: (weights * images["right"].to_numpy()) @ member / (weights @ member)
    (difference,) = runs.over_seeds(found, lambda *given: (100 * right(*given) @ share)[None], n_bootstrap, seed)
    return difference


def _right(scored, columns, better, worse):
    """Return the images of all cells, one below the other, with their `cell` and whether they are judged `right`."""
    keys = {row: (detector, column) for (detector, _), frame in scored.items()
            for column, row in names(detector).items() if column in frame}  # fmt: skip
    cells = [(row, *columns[name]) for row, wanted in (better, worse) for name in wanted]
    if any(row not in keys or (keys[row][0], on) not in scored for row, on, *_ in cells):
        return None
    frames = [of_test(scored[keys[row][0], on], *test) for row, on, *test in cells]
    if any(frame["label"].nunique() < 2 for frame in frames):
        return None
    right = [(frame[keys[row][1]] > 0.5) == frame["label"] for frame, (row, *_) in zip(frames, cells, strict=True)]
    numbered = [frame[["identity", "label"]].assign(cell=number, right=each.astype(float))
                for number, (frame, each) in enumerate(zip(frames, right, strict=True))]  # fmt: skip
    return pd.concat(numbered, ignore_index=True)


def printed_averages(paper):
    """Return for each row of a paper's table its printed average and the recomputed one: these are not equal."""
    cells = paper.drop(columns=[*ROW, "avg"]).astype(float)
    return paper[ROW].assign(printed=paper["avg"].astype(float), recomputed=cells.mean(axis=1).round(2))
