"""Scores to numbers: metrics at frame and video level with their uncertainty, and our tables beside the papers'.

``python -m lib.evaluation.report`` prints every table and metric that the notebooks have written.
"""

import json

import numpy as np
import pandas as pd

from lib import paths
from lib.evaluation.metrics import contradiction

# The columns that name a row; all others of a table hold results.
ROW_NAMES = {"detector", "S", "train", "t1", "data", "rgb", "freq", "self", "mutual", "denoiser"}


def cell(column, result, metric):
    """Return {column, column_low, column_high} of one metric of `metrics`, accuracies in percent as in the papers."""
    scale = 100 if metric.endswith("accuracy") else 1
    return {column + end: scale * result[metric + end] for end in ("", "_low", "_high")}


def compare(name, ours):
    """Set our rows beside the paper's: a DataFrame of text with the columns we measured, "(paper)" and "(ours)" each.

    name: of a table in lib/evaluation/paper_tables; ours: DataFrame with its columns, plus COLUMN_low and COLUMN_high.
    A row of ours that the paper lacks comes last; a cell that nobody measured is empty.
    """
    paper = paper_table(name)
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
    for column in paper_table(name):
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


def paper_table(name):
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
        lines += [f"the paper's, {line}" for line in contradictions(paper_table(file.stem))]
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
