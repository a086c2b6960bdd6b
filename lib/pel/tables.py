"""Scores to PEL's Tables 1 to 5 (Gu et al., AAAI 2022): rows under the paper's names, intervals over identities."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from lib import paths
from lib.data import perturb
from lib.evaluation import report
from lib.evaluation.metrics import metrics
from lib.pel.ablations import COMPONENTS, DENOISERS
from lib.pel.score import robustness_test
from lib.pel.sets import SETS
from lib.pel.train import METHODS

# Our names in the rows of Tables 1, 2 and 3; a star there marks a network that the authors trained themselves.
ROWS = {
    "pel_table1": {"PEL": "Ours"},
    "pel_table2": {"PEL": "Ours", **{name: f"{name}*" for name in METHODS[1:5]}},
    "pel_table3": {"PEL": "Ours", "Add-Net": "AddNet*", "F3-Net": "F3Net*", "Multi-Att": "Multi-att*"},
}
COLUMNS1 = {"FF++(HQ)": "HQ", "FF++(LQ)": "LQ", "WildDeepfake": "WDF"}
COLUMNS3 = {"Gaussian noise": "gn", "Salt & Pepper": "sp", "Gaussian blur": "gb"}
CHOSEN = {"Gaussian noise": 2, "Salt & Pepper": 3, "Gaussian blur": 2}
"""Position in perturb.PEL_TABLE3 of the strength of Table 3: variance 0.001, 5 % of the pixels, kernel 7."""


def parts(scores, *keys):
    """Yield (values of `keys`, scores) for each group of a table of scores, in the order of METHODS."""
    order = {name: index for index, name in enumerate(METHODS)}
    groups = scores.groupby(list(keys), sort=False)
    for values, part in sorted(groups, key=lambda group: order.get(group[0][0], len(order))):
        yield *values, part.reset_index(drop=True)


def measure(part, seed=0, n_bootstrap=1000):
    """Return evaluate.metrics of a table with a column score."""
    return metrics(part, part["score"], n_bootstrap=n_bootstrap, seed=seed)


def table1(scores, seed=0):
    """Return Table 1 from scores with columns network, train and test: accuracy (%) and AUC of frames.

    A network tested on a quality that it was not trained on stands in a row of its own, "... (trained on FF++(HQ))".
    """
    rows = {}
    for network, trained, test, part in parts(scores, "network", "train", "test"):
        qualities = trained.startswith("FF++") and test.startswith("FF++")
        if test in COLUMNS1 and (trained == test or qualities):
            name = ROWS["pel_table1"].get(network, network)
            name += "" if trained == test else f" (trained on {trained})"
            result, column = measure(part, seed), COLUMNS1[test]
            cells = report.cell(f"{column}_acc", result, "frame_accuracy")
            cells |= report.cell(f"{column}_auc", result, "frame_auc")
            rows.setdefault(name, {"method": name}).update(cells)
    ordered = sorted(rows.values(), key=lambda row: "(trained" in row["method"])
    return pd.DataFrame(ordered, columns=None if rows else ["method"])


def table2(scores, seed=0):
    """Return Table 2 from scores with columns network, train and test: AUC and EER on sets not trained on.

    t1 is the set that the paper has for these rows alone: WildDeepfake or, for networks trained there, FF++(LQ). Where
    FF++(HQ) was trained on and WildDeepfake is not there, it is FF++(LQ). Missing sets leave their cells empty.
    """
    rows = []
    for network, trained, part in parts(scores, "network", "train"):
        others = {test: group for test, group in part.groupby("test") if test != trained}
        wanted = {name: name for name in SETS.values() if name != "WildDeepfake" and name in others}
        preferred = {"WildDeepfake": ["FF++(LQ)", "FF++(HQ)"], "FF++(LQ)": ["WildDeepfake"]}
        preferred = preferred.get(trained, ["WildDeepfake", "FF++(LQ)"])
        first = next((name for name in preferred if name in others), "")
        wanted |= {"t1": first} if first else {}
        if not wanted:
            continue
        row = {"train": trained, "method": ROWS["pel_table2"].get(network, network), "t1": first or preferred[0]}
        for column, test in wanted.items():
            result = measure(others[test].reset_index(drop=True), seed)
            row |= report.cell(f"{column}_auc", result, "frame_auc")
            row |= report.cell(f"{column}_eer", result, "frame_eer")
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else ["train", "method", "t1"])


def robustness(scores, seed=0):
    """Return what each change of perturb.PEL_TABLE3 costs each network, one row a strength (the first: no change).

    Columns network, train, change, strength, step (its position), and those of `delta`: before is what the network says
    of the same frames unchanged.
    """
    rows = []
    for network, trained, part in parts(scores, "network", "train"):
        tests = dict(list(part.groupby("test")))
        for change, (_, strengths) in perturb.PEL_TABLE3.items():
            for step, strength in enumerate(strengths):
                first = tests.get(robustness_test(change, strengths[1]))
                after = first if step == 0 else tests.get(robustness_test(change, strength))
                if after is None or trained not in tests:
                    continue
                keys = ["method", "video", "frame"]
                pairs = after.merge(tests[trained][[*keys, "score"]], on=keys, suffixes=("", "_before"))
                changed = pairs["score_before"] if step == 0 else pairs["score"]
                row = {"network": network, "train": trained, "change": change, "strength": strength, "step": step}
                rows.append({**row, **delta(pairs, pairs["score_before"], changed, seed)})
    return pd.DataFrame(rows)


def delta(table, before, after, seed=0, draws=1000):
    """Return accuracy (%) and AUC after a change, how they differ from before, and the share called fake after.

    table: one row a frame, columns label and identity; before, after: its scores. Returns a dict: accuracy, auc, dacc,
    dauc, dacc_low ... (95 % of `draws` resamples of the identities, the same for both), fake_rate, frames.
    """
    label, before, after = (np.asarray(column) for column in (table["label"], before, after))
    codes, names = pd.factorize(table["identity"])
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    right = [np.bincount(codes, (s > 0.5) == label, len(names)) for s in (before, after)]
    counts = np.bincount(codes, minlength=len(names))
    spread = {"dacc": 100 * drawn @ (right[1] - right[0]) / (drawn @ counts)}
    wins = [_wins(label, s, codes, len(names)) for s in (before, after)]
    pairs = np.outer(np.bincount(codes, label == 0, len(names)), np.bincount(codes, label == 1, len(names)))
    with np.errstate(invalid="ignore"):  # a resample without real or without fake faces is left out below
        resampled = [np.einsum("ri,ij,rj->r", drawn, each, drawn, optimize=True) for each in (wins[1] - wins[0], pairs)]
        spread["dauc"] = resampled[0] / resampled[1]
    old, new = ((100 * ((s > 0.5) == label).mean(), roc_auc_score(label, s)) for s in (before, after))
    result = {"accuracy": new[0], "auc": new[1], "dacc": new[0] - old[0], "dauc": new[1] - old[1]}
    for key, values in spread.items():
        result[f"{key}_low"], result[f"{key}_high"] = np.nanpercentile(values, [2.5, 97.5])
    return result | {"fake_rate": (after > 0.5).mean(), "frames": len(label)}


def _wins(label, score, codes, count):
    """Return (count, count): how often a real face of identity i scores below a fake one of identity j; ties half."""
    wins = np.zeros((count, count))
    real = [np.sort(score[(codes == i) & (label == 0)]) for i in range(count)]
    for j in range(count):
        fake = score[(codes == j) & (label == 1)]
        for i in range(count):
            wins[i, j] = sum(np.searchsorted(real[i], fake, side).sum() for side in ("left", "right")) / 2
    return wins


def table3(robust):
    """Return Table 3 from what `robustness` returns: the deltas at the strengths CHOSEN."""
    rows = {}
    for row in robust.to_dict("records"):
        name, column = ROWS["pel_table3"].get(row["network"], row["network"]), COLUMNS3[row["change"]]
        if row["step"] == CHOSEN[row["change"]]:
            cells = {f"{column}_{key}": row[key] for key in row if key.startswith(("dacc", "dauc"))}
            rows.setdefault((row["train"], name), {"data": row["train"], "method": name}).update(cells)
    return pd.DataFrame(list(rows.values()), columns=None if rows else ["data", "method"])


def table4(results, seed=0):
    """Return Table 4 from {row of COMPONENTS: scores}: a tick is 1, no tick 0, as text."""
    rows = []
    for name, (streams, alone, mutual) in COMPONENTS.items():
        if name in results:
            ticks = {"rgb": "rgb" in streams, "freq": "freq" in streams, "self": alone, "mutual": mutual}
            rows.append({key: str(int(tick)) for key, tick in ticks.items()} | _cells(results[name], seed))
    return pd.DataFrame(rows)


def table5(results, seed=0):
    """Return Table 5 from {row of DENOISERS: scores}."""
    rows = [{"denoiser": d, **_cells(results[name], seed)} for name, d in DENOISERS.items() if name in results]
    return pd.DataFrame(rows)


def _cells(part, seed):
    result = measure(part, seed)
    return report.cell("acc", result, "frame_accuracy") | report.cell("auc", result, "frame_auc")


def beside(name, ours):
    """Return evaluate.compare with a column "paper's row": which numbers the paper quotes, which its authors measured.

    In Table 1 all but the last row are quoted, except the cells with a star; the rest are the authors' own runs.
    """
    both = report.compare(name, ours)
    paper = pd.read_csv(paths.PAPER_TABLES / f"{name}.csv", dtype=str)
    keys = [column for column in paper if column in report.ROW_NAMES]
    paper["paper's row"] = "own run"
    if name == "pel_table1":
        starred = paper.drop(columns=keys).apply(lambda column: column.str.endswith("*")).any(axis=1)
        quoted = paper["method"] != "Ours"
        paper.loc[quoted, "paper's row"] = np.where(starred, "quoted, * own run", "quoted")[quoted]
    source = both[keys].merge(paper, how="left", on=keys)["paper's row"].fillna("")
    both.insert(len(keys), "paper's row", source)
    return both
