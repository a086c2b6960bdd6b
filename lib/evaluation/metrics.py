"""Metrics of scores at frame and video level, with their uncertainty."""

import warnings

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from lib.evaluation.resampling import interval

METRICS = ("accuracy", "auc", "eer", "ap")


def contradiction(auc, eer):
    """Return one line that says why an AUC and an EER do not fit each other, or ""; both may be rounded to four digits.

    A ROC through (EER, 1 - EER) has an AUC of (1 - EER)^2 to 1 - EER^2. If both are above 0.5, the ROC is S-shaped or
    one of the numbers is wrong: by its AUC the detector is better than guessing, by its EER it is worse.
    """
    if not (1 - eer) ** 2 - 2e-4 <= auc <= 1 - eer**2 + 2e-4:
        return f"AUC {auc:.4f} and EER {eer:.4f} cannot belong to one ROC"
    if auc > 0.5 and eer > 0.5:
        return f"AUC {auc:.4f} is better than guessing, EER {eer:.4f} worse (it allows an AUC up to {1 - eer**2:.4f})"
    return ""


def metrics(table, scores, level="both", n_bootstrap=1000, seed=0):
    """Measure accuracy (threshold 0.5), AUC, EER and average precision, each with its 95 % interval.

    table: one row an item, columns label, method, video, identity; scores: (len(table),) in [0,1], higher = more fake.
    level: "frame", "video" or "both"; the score of a video is the mean of its frames, and clips of the same name that
    were made by different methods stay apart.
    Returns a dict: frame_auc, frame_auc_low, frame_auc_high, video_eer ..., and the counts frames, videos, identities;
    the intervals are those of `n_bootstrap` resamples of the people. Raises ValueError if one class is missing, scores
    are not finite or not as many as items; warns of a `contradiction`.
    """
    if level not in ("frame", "video", "both"):
        raise ValueError(f"level: {level!r} is not one of frame, video, both")
    if len(scores) != len(table):
        raise ValueError(f"{len(scores)} scores for {len(table)} items: score the same table that is measured")
    frames = table.reset_index(drop=True).assign(score=np.asarray(scores, float))
    by_video, result = videos(frames), {}
    for name, items in (("frame", frames), ("video", by_video)):
        if level in (name, "both"):
            measured = _with_intervals(items, n_bootstrap, seed)
            if doubt := contradiction(measured["auc"], measured["eer"]):
                warnings.warn(f"{name} level: {doubt}; look at the ROC and at the labels", stacklevel=2)
            result |= {f"{name}_{key}": value for key, value in measured.items()}
    return result | {"frames": len(frames), "videos": len(by_video), "identities": frames.identity.nunique()}


def videos(frames):
    """Return a table with one row a video, its score the mean of those of its frames."""
    columns = {"label": "first", "identity": "first", "score": "mean"}
    return frames.groupby(["method", "video"], sort=False).agg(columns)


def _with_intervals(items, n_bootstrap, seed):
    labels, scores = items.label.to_numpy(int), items.score.to_numpy(float)
    if bad := (~np.isfinite(scores)).sum():
        raise ValueError(f"{bad} of {len(scores)} scores are not finite: the training diverged")
    if len(np.unique(labels)) < 2:
        have = "no item at all" if not len(labels) else f"only {'fake' if labels[0] else 'real'} items ({len(labels)})"
        raise ValueError(f"AUC, EER and AP need real and fake items; there is {have}: check the split")
    fpr, tpr, _ = roc_curve(labels, scores)
    accuracy, auc = ((scores > 0.5) == labels).mean(), roc_auc_score(labels, scores)
    point = accuracy, auc, _equal_error(fpr, tpr), average_precision_score(labels, scores)
    low, high = interval(items.identity, lambda weights: weighted(labels, scores, weights), n_bootstrap, seed, labels)
    columns = {"": point, "_low": low, "_high": high}
    return {f"{key}{end}": float(columns[end][i]) for i, key in enumerate(METRICS) for end in columns}


def weighted(labels, scores, weights):
    """Return METRICS (4, R) for R resamples at once; weights (R, n) count how often an item is in a resample.

    A resample with one class only gives NaN. The values equal those of scikit-learn with sample_weight, which would
    sort the scores again for every resample.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # the last item of each tie
    sides = (labels[order], 1 - labels[order])
    fake, real = (np.cumsum(weights[:, order] * side, axis=1, dtype=float)[:, ends] for side in sides)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr, fpr = (np.pad(count / count[:, -1:], ((0, 0), (1, 0))) for count in (fake, real))
        precision = np.nan_to_num(fake / (fake + real))  # 0/0 before the first drawn item, where recall does not move
        accuracy = weights @ ((scores > 0.5) == labels) / weights.sum(1)
        ap = (np.diff(tpr, axis=1) * precision).sum(1)
        result = np.stack([accuracy, np.trapezoid(tpr, fpr, axis=1), _equal_error(fpr, tpr), ap])
    result[:, (fake[:, -1] == 0) | (real[:, -1] == 0)] = np.nan
    return result


def _equal_error(fpr, tpr):
    """Return the fpr at which piecewise linear ROCs (..., points) cross the line tpr = 1 - fpr."""
    gap = 1 - tpr - fpr  # falls from 1 to -1
    after = np.expand_dims(np.argmax(gap <= 0, axis=-1), -1)
    before = np.maximum(after - 1, 0)
    (g0, g1), (x0, x1) = ([np.take_along_axis(a, i, -1)[..., 0] for i in (before, after)] for a in (gap, fpr))
    return x0 + (x1 - x0) * g0 / (g0 - g1)
