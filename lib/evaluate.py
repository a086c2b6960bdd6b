"""Scores to numbers: metrics at frame and video level with their uncertainty, and our tables beside the papers'.

``python -m lib.evaluate`` prints every table and metric that the notebooks have written.
"""

import json
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from lib import paths, train

METRICS = ("accuracy", "auc", "eer", "ap")
# The columns that name a row; all others of a table hold results.
ROW_NAMES = {"method", "S", "train", "t1", "data", "rgb", "freq", "self", "mutual", "denoiser"}


def predict(model, dataset, batch_size=64, probability=None):
    """Score every item of a dataset, in its order.

    model: a detector; dataset: items with "rgb" (3,H,W) in [0,1]; probability: rgb (N,3,H,W) -> probability of being
    fake (N,), by default `model.fake_probability` if there is one, else the sigmoid of `model(rgb)`. A model that takes
    more names it in `inputs` (ADD-Net: rgb, mask); what the items lack is left out.
    Returns float64 (len(dataset),) in [0,1]. The model is left in the mode it came in.
    """
    inputs = getattr(model, "inputs", ("rgb",)) if probability is None else ("rgb",)
    probability = probability or getattr(model, "fake_probability", lambda *inputs: model(*inputs).sigmoid())
    device = train.device()
    was_training = model.training
    model.to(device).eval()
    scores = []
    try:
        with torch.inference_mode():
            for batch in tqdm(DataLoader(dataset, batch_size), desc="scoring", leave=False, delay=5):
                given = [batch[name].to(device) for name in inputs if name in batch]
                scores.append(probability(*given).float().cpu().numpy())
    finally:
        model.train(was_training)
    return np.concatenate(scores).astype(float)


def eer(labels, scores):
    """Return the equal error rate in [0,1]: where the ROC, interpolated linearly, has fpr = 1 - tpr.

    labels: 0 real, 1 fake, (n,); scores: higher = more fake, (n,). Raises ValueError if one class is missing.
    """
    _check(labels, scores)
    fpr, tpr, _ = roc_curve(labels, scores)
    return float(_equal_error(fpr, tpr))


def contradiction(auc, eer):
    """Return one line that says why an AUC and an EER do not fit each other, or "".

    An EER above 0.5 says that the scores are worse than guessing, an AUC above 0.5 that they are better: the ROC is
    S-shaped, or one of the numbers is wrong. A ROC through (EER, 1 - EER) has an AUC of (1 - EER)^2 to 1 - EER^2;
    numbers may be rounded to four digits.
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
    Returns a dict: frame_auc, frame_auc_low, frame_auc_high, video_eer ..., and the counts frames, videos, identities.
    The intervals are percentiles over `n_bootstrap` resamples of the identities, because frames of one person are not
    independent. Raises ValueError if one class is missing or a score is not finite; warns of a `contradiction`.
    """
    if level not in ("frame", "video", "both"):
        raise ValueError(f"level: {level!r} is not one of frame, video, both")
    frames = table.reset_index(drop=True).assign(score=np.asarray(scores, float))
    videos = frames.groupby(["method", "video"], sort=False).agg(
        label=("label", "first"), identity=("identity", "first"), score=("score", "mean")
    )
    result = {}
    for name, items in (("frame", frames), ("video", videos)):
        if level in (name, "both"):
            measured = _with_intervals(items, n_bootstrap, seed)
            if doubt := contradiction(measured["auc"], measured["eer"]):
                warnings.warn(f"{name} level: {doubt}; look at the ROC and at the labels", stacklevel=2)
            result |= {f"{name}_{key}": value for key, value in measured.items()}
    return result | {"frames": len(frames), "videos": len(videos), "identities": frames.identity.nunique()}


def cell(column, result, metric):
    """Return {column, column_low, column_high} of one metric of `metrics`, accuracies in percent as in the papers."""
    scale = 100 if metric.endswith("accuracy") else 1
    return {column + end: scale * result[metric + end] for end in ("", "_low", "_high")}


def compare(name, ours):
    """Set our rows beside the paper's: a DataFrame of text with the columns we measured, "(paper)" and "(ours)" each.

    name: of a table in lib/paper_tables; ours: DataFrame with that table's columns, plus COLUMN_low and COLUMN_high.
    A row of ours that the paper lacks comes last; a cell that nobody measured is empty.
    """
    paper = _paper_table(name)
    row_names = [column for column in paper if column in ROW_NAMES]
    values = [c for c in paper if c not in row_names and c in ours and ours[c].notna().any()]
    text = ours.reindex(columns=row_names).astype(object).fillna("").astype(str)
    for column in values:
        text[column] = [_with_interval(row, column) for _, row in ours.iterrows()]
    both = paper[row_names + values].merge(text, how="outer", on=row_names, suffixes=(" (paper)", " (ours)"))
    order = {key: i for i, key in enumerate(paper[row_names].itertuples(index=False, name=None))}
    rank = [order.get(key, len(order)) for key in both[row_names].itertuples(index=False, name=None)]
    both = both.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)
    return both[row_names + [f"{c} ({who})" for c in values for who in ("paper", "ours")]].fillna("")


def write_table(name, frame):
    """Write our rows to results/tables/NAME.csv: the paper's columns, each result followed by its _low and _high.

    frame: any of these columns, in the paper's units; what is missing stays empty.
    Raises ValueError for a column that the paper's table does not have.
    """
    columns = []
    for column in _paper_table(name):
        columns += [column] if column in ROW_NAMES else [column, f"{column}_low", f"{column}_high"]
    unknown = [column for column in frame if column not in columns]
    if unknown:
        raise ValueError(f"{name}: the paper's table has no column {', '.join(unknown)}; it has {', '.join(columns)}")
    ordered = frame.reindex(columns=columns)
    paths.replace(paths.TABLES / f"{name}.csv", lambda file: ordered.to_csv(file, index=False, float_format="%.6g"))


def write_metrics(name, values):
    """Write numbers (a dict, nested as you like) to results/metrics/NAME.json, rounded to 6 decimals."""
    rounded = json.loads(json.dumps(values, default=float), parse_float=lambda text: round(float(text), 6))
    paths.replace(paths.METRICS / f"{name}.json", lambda file: file.write_text(json.dumps(rounded, indent=2) + "\n"))


def _with_intervals(items, n_bootstrap, seed):
    labels, scores = items.label.to_numpy(int), items.score.to_numpy(float)
    _check(labels, scores)
    fpr, tpr, _ = roc_curve(labels, scores)
    point = {
        "accuracy": ((scores > 0.5) == labels).mean(),
        "auc": roc_auc_score(labels, scores),
        "eer": _equal_error(fpr, tpr),
        "ap": average_precision_score(labels, scores),
    }
    codes, identities = pd.factorize(items.identity)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(identities), np.full(len(identities), 1 / len(identities)), size=n_bootstrap)
    # In chunks of about 4 million weights, so that memory does not grow with the number of frames.
    chunks = np.array_split(draws, max(1, n_bootstrap * len(labels) // 4_000_000))
    resampled = [_weighted(labels, scores, chunk[:, codes]) for chunk in chunks]
    low, high = np.nanpercentile(np.concatenate(resampled, axis=1), [2.5, 97.5], axis=1)
    result = {}
    for i, key in enumerate(METRICS):
        result |= {key: float(point[key]), f"{key}_low": float(low[i]), f"{key}_high": float(high[i])}
    return result


def _weighted(labels, scores, weights):
    """Return METRICS (4, R) for R resamples at once; weights (R, n) count how often an item is in a resample.

    The same definitions as scikit-learn's with sample_weight, which would sort the scores anew for each resample.
    A resample with one class only gives NaN.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # the last item of each tie
    fake = np.cumsum(weights[:, order] * labels[order], axis=1, dtype=float)[:, ends]
    real = np.cumsum(weights[:, order] * (1 - labels[order]), axis=1, dtype=float)[:, ends]
    with np.errstate(invalid="ignore", divide="ignore"):
        start = np.zeros((len(weights), 1))
        tpr = np.concatenate([start, fake / fake[:, -1:]], axis=1)
        fpr = np.concatenate([start, real / real[:, -1:]], axis=1)
        precision = np.nan_to_num(fake / (fake + real))  # 0/0 before the first drawn item, where recall does not move
        accuracy = weights @ ((scores > 0.5) == labels) / weights.sum(1)
        auc = np.trapezoid(tpr, fpr, axis=1)
        ap = (np.diff(tpr, axis=1) * precision).sum(1)
        result = np.stack([accuracy, auc, _equal_error(fpr, tpr), ap])
    result[:, (fake[:, -1] == 0) | (real[:, -1] == 0)] = np.nan
    return result


def _equal_error(fpr, tpr):
    """Return the fpr at which piecewise linear ROCs (..., points) cross the line tpr = 1 - fpr."""
    gap = 1 - tpr - fpr  # falls from 1 to -1
    after = np.expand_dims(np.argmax(gap <= 0, axis=-1), -1)
    before = np.maximum(after - 1, 0)
    (g0, g1), (x0, x1) = ([np.take_along_axis(a, i, -1)[..., 0] for i in (before, after)] for a in (gap, fpr))
    return x0 + (x1 - x0) * g0 / (g0 - g1)


def _check(labels, scores):
    labels, scores = np.asarray(labels), np.asarray(scores, float)
    if len(labels) != len(scores):
        raise ValueError(f"{len(scores)} scores for {len(labels)} items: score the same table that is measured")
    if not np.isfinite(scores).all():
        bad = (~np.isfinite(scores)).sum()
        raise ValueError(f"{bad} of {len(scores)} scores are not finite: the training diverged")
    if len(np.unique(labels)) < 2:
        have = "no item at all" if not len(labels) else f"only {'fake' if labels[0] else 'real'} items ({len(labels)})"
        raise ValueError(f"AUC, EER and AP need real and fake items; there is {have}: check the split")


def _paper_table(name):
    file = paths.PAPER_TABLES / f"{name}.csv"
    if not file.exists():
        known = ", ".join(sorted(f.stem for f in paths.PAPER_TABLES.glob("*.csv")))
        raise ValueError(f"{name}: the papers have no such table; they have {known}")
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def _with_interval(row, column):
    """Return "0.942 [0.920, 0.960]", or "" where nothing was measured."""
    if pd.isna(row[column]):
        return ""
    digits = 1 if max(abs(row[column]), abs(row.get(f"{column}_high", 0))) > 1 else 3
    text = f"{row[column]:.{digits}f}"
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    return text if pd.isna(low) or pd.isna(high) else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def contradictions(frame):
    """Return one line for each pair of columns X_auc, X_eer of a table whose numbers do not fit each other."""
    pairs = [(column, column[:-3] + "eer") for column in frame if column.endswith("_auc")]
    lines = []
    for _, row in frame.iterrows():
        for auc, eer_column in (pair for pair in pairs if pair[1] in frame):
            numbers = pd.to_numeric(row[[auc, eer_column]].astype(str).str.rstrip("*"), errors="coerce")
            doubt = contradiction(*numbers) if numbers.notna().all() else ""
            if doubt:
                names = ", ".join(str(row[name]) for name in frame if name in ROW_NAMES)
                lines.append(f"{names}, {auc[:-4]}: {doubt}")
    return lines


def _rows(values, name=""):
    """Yield (name, {metric: number}) for each level of a nested dict of numbers."""
    numbers = {key: value for key, value in values.items() if not isinstance(value, dict)}
    if numbers:
        yield name, numbers
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{name} / {key}" if name else key)


def report():
    """Return as text all tables of results/tables beside the papers', then all numbers of results/metrics."""
    parts = []
    for file in sorted(paths.TABLES.glob("*.csv")):
        row_names = {column: str for column in ROW_NAMES}
        ours = pd.read_csv(file, dtype=row_names, keep_default_na=True)
        if not (paths.PAPER_TABLES / file.name).is_file():
            parts.append(f"{file.stem} (ours alone)\n{ours.to_string(index=False)}")
            continue
        lines = [f"{file.stem} (ours with 95 % interval)", compare(file.stem, ours).to_string(index=False)]
        lines += [f"ours, {line}" for line in contradictions(ours)]
        lines += [f"the paper's, {line}" for line in contradictions(_paper_table(file.stem))]
        parts.append("\n".join(lines))
    for file in sorted(paths.METRICS.glob("*.json")):
        lines = [file.stem]
        for name, numbers in _rows(json.loads(file.read_text())):
            lines += [f"  {name}"] if name else []
            row = pd.Series(numbers, dtype=object)
            for key in numbers:
                if not key.endswith(("_low", "_high")):
                    lines.append(f"    {key:<28} {_with_interval(row, key) if key + '_low' in row else row[key]}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


if __name__ == "__main__":
    paths.end_with_the_reader()
    print(report() or "No results yet: run `make repro`.")
