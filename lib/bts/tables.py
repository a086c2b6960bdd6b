"""From the scores of `lib.bts.score` to Tables 1 to 3 of Beyond the Spectrum, measured by notebook 04."""

import warnings

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.bts.re_synthesis import NAMES as RE_SYNTHESIZERS
from lib.bts.score import COLUMNS
from lib.evaluation import report
from lib.evaluation.metrics import metrics

FAKES_ONLY = ("R", "A", "E", "P")  # tests whose photographs are those of raw
SHORT = {"ProGAN": "P", "StyleGAN": "S"}
TABLE1 = {
    f"{SHORT[on] if on == tested else f'{SHORT[on]}to{SHORT[tested]}'}_{test}": (on, test, tested)
    for on, tested in (("ProGAN",) * 2, ("StyleGAN",) * 2, ("ProGAN", "StyleGAN"), ("StyleGAN", "ProGAN"))
    for test in ("raw", "R", "E", "A", "P")
}
"""Column of BTS Table 1: (trained on, test, tested on)."""
TABLE2 = {
    f"{short}_{column}": (on, "FFHQ", tested)
    for on, short in SHORT.items()
    for tested, column in {"StyleGAN": "SG", "StyleGAN2-0.5": "SG21", "StyleGAN2-1.0": "SG22"}.items()
}
"""Column of BTS Table 2: (trained on, test, tested on)."""
PLACE = ["trained_on", "test", "tested_on"]


def names(method):
    """Return what the tables call the columns of a method's scores: {column: (method, S)}."""
    if method == "SR-stages":
        return {f"Stage{stage}": (f"Ours (Stage{stage})", "SR") for stage in range(1, 6)}
    if method in RE_SYNTHESIZERS:
        return {column: (f"Ours ({column})", method) for column in ("Pix", "Stage5", "Avg", "learned")}
    return {"score": (method.replace("1D-", "1D "), "/")}


def learned(scored, stages):
    """Return the probability (n,) of a logistic regression on the log-odds of all stages, fitted on validation alone.

    scored, stages: scores of SR and of SR-stages, of the same images in the same order. The learned beta of Eq. 4.
    """
    own, more = (frame.drop(columns=[*COLUMNS, "Avg"]) for frame in (scored, stages))
    odds = logit(pd.concat([own, more], axis=1).clip(1e-6, 1 - 1e-6))
    val = (scored["test"] == "val").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(odds[val], scored.loc[val, "label"])
    return model.predict_proba(odds)[:, 1]


def of_test(scored, test, tested_on):
    """Return the rows of a test that a detector is measured on: photographs, and the fakes of `tested_on`."""
    part = scored[scored["test"] == test]
    reals = scored[scored["test"] == ("raw" if test in FAKES_ONLY else test)]
    return pd.concat([reals[reals["label"] == 0], part[part["method"] == tested_on]], ignore_index=True)


def measure(scored, n_bootstrap=1000):
    """Measure every detector on every test: one row for each (method, S, trained_on, test, tested_on).

    scored: {(method, source): what `spectrum_detectors.scores` returns}. Columns as of `evaluate.metrics`, at frame
    level, an image counting as a frame; a test that was not scored has no row.
    """
    measured = []
    for (method, trained_on), frame in scored.items():
        for column, (name, re_synthesizer) in names(method).items():
            if column not in frame:
                continue
            fakes = frame[frame["label"] == 1]
            for test, tested_on in fakes[["test", "method"]].drop_duplicates().itertuples(index=False):
                rows = of_test(frame, test, tested_on)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # an S-shaped ROC of one cell among a thousand
                    numbers = metrics(rows, rows[column].to_numpy(), "frame", n_bootstrap)
                place = {"trained_on": trained_on, "test": test, "tested_on": tested_on}
                measured.append({"method": name, "S": re_synthesizer, **place, **numbers})
    return pd.DataFrame(measured)


def arrange(measured, columns):
    """Arrange accuracies as a table of the paper, in percent with intervals.

    measured: of `measure`; columns: {column: (trained on, test, tested on)}, such as TABLE1. A cell that was not
    measured is left out; avg is the mean of the cells where none is.
    """
    table = []
    for (method, re_synthesizer), group in measured.groupby(["method", "S"], sort=False):
        results = {tuple(row[key] for key in PLACE): row for row in group.to_dict("records")}
        there = [(column, results[place]) for column, place in columns.items() if place in results]
        row = {"method": method, "S": re_synthesizer}
        for column, result in there:
            row |= report.cell(column, result, "frame_accuracy")
        average = {"avg": np.mean([row[column] for column in columns])} if there and len(there) == len(columns) else {}
        table += [row | average] if there else []
    return pd.DataFrame(table, columns=None if table else ["method", "S"])


def contrast(scored, columns, better, worse, n_bootstrap=1000, seed=0):
    """Return (difference, low, high) in points of the mean accuracies of two rows over cells of a table, or None.

    better, worse: ((method, S), [columns]). The 95 % interval comes from drawing the identities anew, the same draws
    for both sides; None where a cell was not measured.
    """
    keys = {row: (method, column) for (method, _), frame in scored.items()
            for column, row in names(method).items() if column in frame}  # fmt: skip
    sides = []
    for row, wanted in (better, worse):
        method, column = keys[row]
        cells = [columns[name] for name in wanted]
        frames = [of_test(scored[method, on], test, tested) for on, test, tested in cells if (method, on) in scored]
        if len(frames) < len(cells) or any(frame["label"].nunique() < 2 for frame in frames):
            return None
        sides.append([(frame["identity"], ((frame[column] > 0.5) == frame["label"]).to_numpy()) for frame in frames])
    people = pd.Index(pd.concat([identity for side in sides for identity, _ in side]).unique())
    draws = np.random.default_rng(seed).multinomial(len(people), np.full(len(people), 1 / len(people)), n_bootstrap)
    draws = np.vstack([np.ones(len(people), int), draws])  # the first is the sample itself
    means = []
    for side in sides:
        weights = [(draws[:, people.get_indexer(identity)], right) for identity, right in side]
        means.append(np.mean([weight @ right / weight.sum(1) for weight, right in weights], axis=0))
    difference = 100 * (means[0] - means[1])
    return difference[0], *np.nanpercentile(difference[1:], [2.5, 97.5])


def printed_averages(paper):
    """Return a paper's table with `recomputed`, the mean of its cells, beside its printed `avg`: they are not equal."""
    cells = paper.drop(columns=["method", "S", "avg"]).astype(float)
    return paper[["method", "S"]].assign(printed=paper["avg"].astype(float), recomputed=cells.mean(axis=1).round(2))
