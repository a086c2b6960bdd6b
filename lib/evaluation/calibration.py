"""Calibration: whether four of five items with a score of 0.8 are fake, and temperature scaling if they are not."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import binomtest

EDGE = 1e-6  # probabilities are held this far from 0 and 1, where log-odds are infinite


def temperature(probabilities, labels):
    """Return T > 0 that makes sigmoid(logit(p) / T) fit the labels best; T > 1 moves scores towards 0.5, 1 keeps them.

    probabilities: of being fake (n,), of validation items; labels: (n,), 1 = fake. The targets are Platt's, which lie a
    little inside (0, 1): otherwise a detector that makes no mistake would get a T of 0.
    Raises ValueError if one class is missing. Source: Guo et al., "On Calibration of Modern Neural Networks" (2017);
    Platt, "Probabilistic Outputs for Support Vector Machines" (1999).
    """
    labels = np.asarray(labels)
    if len(np.unique(labels)) < 2:
        raise ValueError("labels: a temperature needs real and fake items: check the validation split")
    odds, fakes = _odds(probabilities), labels.sum()
    targets = np.where(labels == 1, (fakes + 1) / (fakes + 2), 1 / (len(labels) - fakes + 2))

    def cross_entropy(log):
        scaled = odds / np.exp(log)
        return np.mean(np.logaddexp(0, scaled) - targets * scaled)

    return float(np.exp(minimize_scalar(cross_entropy, bounds=np.log([0.01, 1000]), method="bounded").x))


def scaled(probabilities, temperature):
    """Return sigmoid(logit(p) / T) (n,); items keep their order, and each stays on its side of 0.5."""
    return expit(_odds(probabilities) / temperature)


def reliability(probabilities, labels, bins=10):
    """Return a reliability diagram: a DataFrame, one row for each of the equally wide bins that holds items.

    Columns: probability (the mean score), share (of fakes), low, high (its 95 % interval, Wilson's) and count.
    """
    frame = pd.DataFrame({"probability": np.asarray(probabilities, float), "share": np.asarray(labels)})
    groups = frame.groupby(np.minimum((frame["probability"] * bins).astype(int), bins - 1))
    table = groups.mean().assign(count=groups.size()).reset_index(drop=True)
    intervals = [binomtest(round(n * p), n).proportion_ci(method="wilson") for _, p, n in table.itertuples(index=False)]
    return table.join(pd.DataFrame(intervals))


def expected_error(probabilities, labels, bins=10):
    """Return the expected calibration error in [0, 1]: |mean probability - share of fakes|, averaged over the items."""
    table = reliability(probabilities, labels, bins)
    return float(np.average((table["probability"] - table["share"]).abs(), weights=table["count"]))


def _odds(probabilities):
    return logit(np.clip(np.asarray(probabilities, float), EDGE, 1 - EDGE))
