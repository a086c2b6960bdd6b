"""Our tables and metrics on disk, and our tables beside the papers'.

``python -m lib.evaluation.report`` prints every table and metric that the notebooks have written.
"""

import json

import numpy as np
import pandas as pd
from IPython.display import HTML

from lib import paths
from lib.evaluation.metrics import contradiction

# The columns that name a row; all others of a table hold results.
ROW_NAMES = {"detector", "S", "train", "t1", "data", "rgb", "freq", "self", "mutual", "denoiser"}


# Columns of a file of claims: effect is our difference, visible the smallest difference that we would have found.
CLAIM = ["place", "claim", "unit", "paper", "effect", "low", "high", "p", "visible", "seeds", "verdict", "why"]


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
    names = [column for column in paper if column in ROW_NAMES]
    values = [c for c in paper if c not in names and c in ours and ours[c].notna().any()]
    text = ours.reindex(columns=names).astype(object).fillna("").astype(str)
    text = text.assign(**{c: [_with_interval(row, c) for row in ours.to_dict("records")] for c in values})
    sides = [side.set_index(names)[values].add_suffix(f" ({who})") for who, side in (("paper", paper), ("ours", text))]
    order = [f"{c} ({who})" for c in values for who in ("paper", "ours")]
    return pd.concat(sides, axis=1)[order].fillna("").reset_index()


def folded(summary, *parts):
    """Return a block of HTML that opens on a click; parts: DataFrames, and texts as headings between them."""
    shown = lambda part: f"<p><b>{part}</b></p>" if isinstance(part, str) else part.to_html(index=False, border=0)
    return HTML(f"<details><summary>{summary}</summary>{''.join(map(shown, parts))}</details>")


def write_table(name, frame):
    """Write our rows to results/tables/NAME.csv: the paper's columns, each result followed by its _low and _high.

    frame: any of these columns, in the paper's units; what is missing stays empty.
    Raises ValueError for a column that the paper's table does not have.
    """
    columns = [c + end for c in paper_table(name) for end in (("",) if c in ROW_NAMES else ("", "_low", "_high"))]
    if unknown := [column for column in frame if column not in columns]:
        raise ValueError(f"{name}: the paper's table has no column {', '.join(unknown)}; it has {', '.join(columns)}")
    ordered = frame.reindex(columns=columns)
    paths.replace(paths.TABLES / f"{name}.csv", lambda file: ordered.to_csv(file, index=False, float_format="%.6g"))


def write_metrics(name, values):
    """Write numbers (a dict, nested as you like) to results/metrics/NAME.json, rounded to 6 decimals."""
    rounded = json.loads(json.dumps(values, default=float), parse_float=lambda text: round(float(text), 6))
    paths.replace(paths.METRICS / f"{name}.json", lambda file: file.write_text(json.dumps(rounded, indent=2) + "\n"))


def write_claims(name, claims, place, unit):
    """Write claims with their verdicts to results/claims/NAME.csv.

    claims: what `verdicts.judge` returns, with columns claim, paper (the paper's difference) and optionally why (the
    reason that a claim is not tested); place: where the paper makes them; unit: of the differences.
    """
    table = claims.assign(place=place, unit=unit).reindex(columns=CLAIM)
    paths.replace(paths.CLAIMS / f"{name}.csv", lambda file: table.to_csv(file, index=False, float_format="%.5g"))


def read_claims(folder=None):
    """Return all claims that notebooks have written, as one table; folder: another one than results/claims."""
    files = sorted((folder or paths.CLAIMS).glob("*.csv"))
    return pd.concat([pd.read_csv(file) for file in files]) if files else pd.DataFrame(columns=CLAIM)


def paper_table(name):
    """Return a table of a paper as it is printed, as text; raises ValueError with the known names for another name."""
    file = paths.PAPER_TABLES / f"{name}.csv"
    if not file.exists():
        known = ", ".join(sorted(f.stem for f in paths.PAPER_TABLES.glob("*.csv")))
        raise ValueError(f"{name}: the papers have no such table; they have {known}")
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def _with_interval(row, key):
    """Return "0.942 [0.920, 0.960]" of a dict with KEY, KEY_low and KEY_high, or "" where nothing was measured."""
    value, low, high = (row.get(key + end, np.nan) for end in ("", "_low", "_high"))
    if pd.isna(value):
        return ""
    digits = 1 if max(abs(value), abs(high)) > 1 else 3
    text = f"{value:.{digits}f}"
    return text if pd.isna(low) or pd.isna(high) else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def contradictions(frame):
    """Return one line for each pair of columns X_auc, X_eer of a table whose numbers do not fit each other."""
    lines = []
    for row in frame.to_dict("records"):
        for column in (key[:-4] for key in row if key.endswith("_auc") and key[:-3] + "eer" in row):
            pair = pd.to_numeric([str(row[f"{column}_{end}"]).rstrip("*") for end in ("auc", "eer")], errors="coerce")
            if not np.isnan(pair).any() and (doubt := contradiction(*pair)):
                lines.append(f"{', '.join(str(row[name]) for name in row if name in ROW_NAMES)}, {column}: {doubt}")
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
        ours = pd.read_csv(file, dtype=dict.fromkeys(ROW_NAMES, str))
        if (paths.PAPER_TABLES / file.name).is_file():
            lines = [f"{file.stem} (ours with 95 % interval)", compare(file.stem, ours).to_string(index=False)]
            for whose, table in (("ours", ours), ("the paper's", paper_table(file.stem))):
                lines += [f"{whose}, {line}" for line in contradictions(table)]
        else:
            lines = [f"{file.stem} (ours alone)", ours.to_string(index=False)]
        parts.append("\n".join(lines))
    for file in sorted(paths.METRICS.glob("*.json")):
        lines = [file.stem]
        for name, numbers in _rows(json.loads(file.read_text())):
            lines += [f"  {name}"] if name else []
            for key in (key for key in numbers if not key.endswith(("_low", "_high"))):
                value = _with_interval(numbers, key) if f"{key}_low" in numbers else numbers[key]
                lines.append(f"    {key:<28} {value}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


if __name__ == "__main__":
    paths.end_with_the_reader()
    print(report() or "No results yet: run `make repro`.")
