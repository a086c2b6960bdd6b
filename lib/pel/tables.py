"""PEL's Tables 1 to 5 (Gu et al., AAAI 2022) from scores: rows with the paper's names, intervals over identities."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from lib import detectors
from lib.data import perturb
from lib.evaluation import report
from lib.evaluation.metrics import weighted
from lib.evaluation.runs import measure, over_seeds
from lib.pel.ablations import COMPONENTS, DENOISERS
from lib.pel.sets import SETS
from lib.pel.testing import robustness_test

METHODS = detectors.names("pel")

# {table: {our name of a detector: the paper's}}; in Tables 2 and 3 a star marks a rival that the authors trained
# themselves.
ROWS = {
    "pel_table1": {"PEL": "Ours"},
    "pel_table2": {"PEL": "Ours", **{name: f"{name}*" for name in METHODS[1:5]}},
    "pel_table3": {"PEL": "Ours", "Add-Net": "AddNet*", "F3-Net": "F3Net*", "Multi-Att": "Multi-att*"},
}
TABLE1_COLUMNS = {"FF++(HQ)": "HQ", "FF++(LQ)": "LQ", "WildDeepfake": "WDF"}
TABLE3_COLUMNS = {"Gaussian noise": "gn", "Salt & Pepper": "sp", "Gaussian blur": "gb"}
CHOSEN = {"Gaussian noise": 2, "Salt & Pepper": 3, "Gaussian blur": 2}
"""Position in perturb.PEL_TABLE3 of the strength in our Table 3: variance 0.001, 5 % of the pixels, kernel 7."""


def parts(scores, *keys):
    """Yield (*values of the columns `keys`, {training seed: rows with these values}) of a table of scores.

    Networks come in the order of METHODS. A table without a column seed holds the scores of one training.
    """
    order = {name: index for index, name in enumerate(METHODS)}
    scores = scores if "seed" in scores else scores.assign(seed=0)
    groups = scores.groupby(list(keys), sort=False)
    for values, part in sorted(groups, key=lambda group: order.get(group[0][0], len(order))):
        yield *values, {seed: rows.reset_index(drop=True) for seed, rows in part.groupby("seed")}


def table1(scores, seed=0):
    """Return Table 1 from scores with columns network, train and test: accuracy (%) and AUC of frames.

    A network that is tested on another quality than it was trained on has a row of its own, "... (trained on
    FF++(HQ))".
    """
    rows = {}
    for network, trained, test, runs in parts(scores, "network", "train", "test"):
        qualities = trained.startswith("FF++") and test.startswith("FF++")
        if test in TABLE1_COLUMNS and (trained == test or qualities):
            name = ROWS["pel_table1"].get(network, network)
            name += "" if trained == test else f" (trained on {trained})"
            result, column = measure(list(runs.values()), seed=seed), TABLE1_COLUMNS[test]
            cells = report.cell(f"{column}_acc", result, "frame_accuracy")
            cells |= report.cell(f"{column}_auc", result, "frame_auc")
            rows.setdefault(name, {"detector": name}).update(cells)
    ordered = sorted(rows.values(), key=lambda row: "(trained" in row["detector"])
    return pd.DataFrame(ordered, columns=None if rows else ["detector"])


def table2(scores, seed=0):
    """Return Table 2 from scores with columns network, train and test: AUC and EER on sets not trained on.

    t1 is the first test set of a row. In the paper it is WildDeepfake for networks trained on FF++(LQ), and FF++(LQ)
    for networks trained on WildDeepfake. Without WildDeepfake, networks trained on other sets have FF++(LQ) as t1;
    without FF++(LQ), networks trained on WildDeepfake have FF++(HQ). The cells of missing sets stay empty.
    """
    rows = []
    for (network, trained), part in scores.groupby(["network", "train"], sort=False):
        others = {test: runs for test, runs in parts(part, "test") if test != trained}
        wanted = {name: name for name in SETS.values() if name != "WildDeepfake" and name in others}
        preferred = {"WildDeepfake": ["FF++(LQ)", "FF++(HQ)"], "FF++(LQ)": ["WildDeepfake"]}
        preferred = preferred.get(trained, ["WildDeepfake", "FF++(LQ)"])
        first = next((name for name in preferred if name in others), "")
        wanted |= {"t1": first} if first else {}
        if not wanted:
            continue
        row = {"train": trained, "detector": ROWS["pel_table2"].get(network, network), "t1": first or preferred[0]}
        for column, test in wanted.items():
            result = measure(list(others[test].values()), seed=seed)
            row |= report.cell(f"{column}_auc", result, "frame_auc")
            row |= report.cell(f"{column}_eer", result, "frame_eer")
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else ["train", "detector", "t1"])


def robustness(scores, seed=0):
    """Return the effect of each change of perturb.PEL_TABLE3 on each network, a row a strength (the first: no change).

    Columns network, train, change, strength, step (the position of the strength), and those of `delta`, which compares
    with the scores of the same frames without the change.
    """
    rows, keys = [], ["method", "video", "frame"]
    by_test = {key: runs for *key, runs in parts(scores, "network", "train", "test") for key in [tuple(key)]}
    for network, trained in dict.fromkeys(key[:2] for key in by_test):
        for change, (_, strengths) in perturb.PEL_TABLE3.items():
            for step, strength in enumerate(strengths):
                after = by_test.get((network, trained, robustness_test(change, strengths[max(step, 1)])))
                before = by_test.get((network, trained, trained))
                if after is None or before is None:
                    continue
                pairs = [after[run].merge(before[run][[*keys, "score"]], on=keys, suffixes=("", "_before"))
                         for run in after]  # fmt: skip
                pairs = [pair.assign(before=pair["score_before"], after=pair["score" if step else "score_before"])
                         for pair in pairs]  # fmt: skip
                row = {"network": network, "train": trained, "change": change, "strength": strength, "step": step}
                rows.append(row | delta(pairs, seed))
    return pd.DataFrame(rows)


def delta(tables, seed=0, draws=1000):
    """Return accuracy (%) and AUC after a change, how they differ from before, and the share of frames called fake.

    tables: one a training seed, one row a frame, columns label, identity, and the scores before and after. Returns the
    means over the seeds as a dict: accuracy, auc, dacc, dauc, dacc_low, dacc_high, dauc_low, dauc_high (95 % interval
    over seeds and people, the same people before and after), fake_rate (after the change), frames (their number).
    """

    def change(table, weights):
        label, before, after = (table[column].to_numpy() for column in ("label", "before", "after"))
        gained = ((after > 0.5) == label).astype(int) - (
            (before > 0.5) == label
        )  # 1: right only after, -1: only before
        old, new = (weighted(label, score, weights)[1] for score in (before, after))
        dauc = np.round(new - old, 12) + 0.0  # equal AUCs must give exactly 0, not 1e-16
        return np.stack([100 * (weights @ gained) / weights.sum(1), dauc])

    right = lambda table: 100 * ((table["after"] > 0.5) == table["label"]).mean()
    means = {"accuracy": right, "auc": lambda table: roc_auc_score(table["label"], table["after"]),
             "fake_rate": lambda table: (table["after"] > 0.5).mean(), "frames": len}  # fmt: skip
    result = {name: np.mean([mean(table) for table in tables]) for name, mean in means.items()}
    for name, found in zip(("dacc", "dauc"), over_seeds(tables, change, draws, seed), strict=True):
        result |= {name: found["effect"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
    return result


def gain(better, worse, seed=0):
    """Return the difference of the frame AUC of two networks as `verdicts.difference` does, over seeds and people.

    better, worse: {training seed: scores of the same faces}; seeds that only one of them has are left out.
    """
    keys = ["method", "video", "frame"]
    pairs = [better[s].merge(worse[s][[*keys, "score"]], on=keys, suffixes=("", "_worse"))
             for s in sorted(better.keys() & worse.keys())]  # fmt: skip
    auc = lambda pair, column, weights: weighted(pair["label"].to_numpy(), pair[column].to_numpy(), weights)[1:2]
    return over_seeds(pairs, lambda pair, w: auc(pair, "score", w) - auc(pair, "score_worse", w), seed=seed)[0]


def table3(robust):
    """Return Table 3 from what `robustness` returns: the differences at the strengths CHOSEN."""
    rows = {}
    for row in robust.to_dict("records"):
        if row["step"] == CHOSEN[row["change"]]:
            name, column = ROWS["pel_table3"].get(row["network"], row["network"]), TABLE3_COLUMNS[row["change"]]
            cells = {f"{column}_{key}": row[key] for key in row if key.startswith(("dacc", "dauc"))}
            rows.setdefault((row["train"], name), {"data": row["train"], "detector": name}).update(cells)
    return pd.DataFrame(list(rows.values()), columns=None if rows else ["data", "detector"])


def table4(results, seed=0):
    """Return Table 4 from {row of COMPONENTS: {training seed: scores}}: a tick is 1, no tick 0, as text."""
    rows = []
    for name, (streams, alone, mutual) in COMPONENTS.items():
        if name in results:
            ticks = {"rgb": "rgb" in streams, "freq": "freq" in streams, "self": alone, "mutual": mutual}
            rows.append({key: str(int(tick)) for key, tick in ticks.items()} | _cells(results[name], seed))
    return pd.DataFrame(rows)


def table5(results, seed=0):
    """Return Table 5 from {row of DENOISERS: {training seed: scores}}."""
    rows = [{"denoiser": d, **_cells(results[name], seed)} for name, (d, *_) in DENOISERS.items() if name in results]
    return pd.DataFrame(rows)


def _cells(runs, seed):
    result = measure(list(runs.values()), seed=seed)
    return report.cell("acc", result, "frame_accuracy") | report.cell("auc", result, "frame_auc")


def beside(name, ours):
    """Return report.compare with a column "paper's row": whether the paper quotes these numbers or measured them.

    In Table 1 the last row and the cells with a star are the authors' own runs; all others are quoted. In the other
    tables every row is the authors' own run.
    """
    both, paper = report.compare(name, ours), report.paper_table(name)
    keys = [column for column in paper if column in report.ROW_NAMES]
    source = pd.Series("own run", index=paper.index)
    if name == "pel_table1":
        starred = paper.drop(columns=keys).apply(lambda column: column.str.endswith("*")).any(axis=1)
        source = source.where(paper["detector"] == "Ours", np.where(starred, "quoted, * own run", "quoted"))
    both.insert(len(keys), "paper's row", source.reindex(both.index, fill_value=""))  # the paper's rows come first
    return both
