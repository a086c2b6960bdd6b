"""lib.pel.tables: a score must reach the cell of the paper's table that it belongs to, and no other."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from lib.data import perturb
from lib.evaluation import report, resampling, runs
from lib.evaluation.metrics import metrics
from lib.pel import ablations, tables
from lib.pel.testing import robustness_test


def scored(network, trained, test, people=8, frames=5, seed=0, shift=1.0):
    rng = np.random.default_rng(seed)
    rows = [(network, trained, test, label, ("original", "Deepfakes")[label], f"{label}/{person}", str(person), frame)
            for label in (0, 1) for person in range(people) for frame in range(frames)]  # fmt: skip
    names = ["network", "train", "test", "label", "method", "video", "identity", "frame"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(score=1 / (1 + np.exp(-rng.normal(shift * (2 * table["label"] - 1)))))


def test_each_quality_fills_its_own_columns_of_table_1_and_a_foreign_one_a_row_of_its_own():
    scores = pd.concat([scored("PEL", "FF++(HQ)", test, seed=i) for i, test in enumerate(["FF++(HQ)", "FF++(LQ)"])])
    table = tables.table1(scores).set_index("detector")
    assert list(table.index) == ["Ours", "Ours (trained on FF++(HQ))"]
    lq = metrics(scores[scores["test"] == "FF++(LQ)"], scores[scores["test"] == "FF++(LQ)"]["score"])
    assert np.isnan(table.loc["Ours", "LQ_auc"])
    assert table.loc["Ours (trained on FF++(HQ))", "LQ_auc"] == lq["frame_auc"]


def test_a_cell_of_table_1_is_over_all_seeds():
    several = [scored("PEL", "FF++(HQ)", "FF++(HQ)", seed=seed) for seed in range(3)]
    table, result = tables.table1(pd.concat(run.assign(seed=i) for i, run in enumerate(several))), runs.measure(several)
    assert table["HQ_auc"][0] == result["frame_auc"] and table["HQ_auc_high"][0] == result["frame_auc_high"]


def test_a_named_data_set_fills_its_cells_of_table_2_and_a_missing_one_shows_as_missing():
    sets = ("FF++(LQ)", "WildDeepfake", "CelebDF")
    scores = pd.concat([scored("F3-Net", "FF++(LQ)", test, seed=i) for i, test in enumerate(sets)])
    row = tables.table2(scores).iloc[0]
    assert (row["train"], row["detector"], row["t1"]) == ("FF++(LQ)", "F3-Net*", "WildDeepfake")
    assert {"t1_auc", "CelebDF_eer"} <= set(row.index)
    assert "DFDC_auc" not in row.index
    both = tables.beside("pel_table2", tables.table2(scores))
    ours = both[(both["detector"] == "F3-Net*") & (both["train"] == "FF++(LQ)")].iloc[0]
    assert ours["t1_auc (paper)"] == "0.6049" and ours["t1_auc (ours)"]


def test_tables_1_and_2_are_made_of_unchanged_test_faces_of_their_own_sets():
    sets = ("FF++(HQ)", "WildDeepfake", "CelebDF")
    own = pd.concat([scored("PEL", "FF++(HQ)", test, seed=i) for i, test in enumerate(sets)])
    changed = own.assign(test=robustness_test("Gaussian blur", 7), score=1 - own["score"])
    foreign = own[own["test"] == "CelebDF"].assign(test="mine", score=0.5)
    for table, cells in ((tables.table1, {"HQ_acc", "HQ_auc"}),
                         (tables.table2, {"t1_auc", "t1_eer", "CelebDF_auc", "CelebDF_eer"})):  # fmt: skip
        alone, among_others = table(own), table(pd.concat([own, changed, foreign]))
        pd.testing.assert_frame_equal(alone, among_others)
        measured = {column for column in alone if alone[column].dtype == float}
        assert {column for column in measured if not column.endswith(("_low", "_high"))} == cells


def test_table_3_changes_faces_as_much_as_its_text_says():
    line, colour = np.zeros((64, 64, 3), np.uint8), np.full((256, 256, 3), 128, np.uint8)
    line[:, 32], colour[0, 0] = 255, (100, 128, 129)
    changed = {}
    for name, step in tables.CHOSEN.items():
        change, strengths = perturb.PEL_TABLE3[name]
        picture = line if name == "Gaussian blur" else colour
        changed[name] = change(picture, strengths[step], np.random.default_rng(0)).astype(float)
    assert (changed["Gaussian noise"] / 255).var() == pytest.approx(0.001, rel=0.03)
    assert (changed["Salt & Pepper"] != colour).all(-1).mean() == pytest.approx(0.05, abs=0.003)
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    np.testing.assert_allclose(changed["Gaussian blur"][32, 28:37, 0], [0, *(255 * weights / weights.sum()), 0], atol=1)


def robust(network="PEL", fakes_only=False):
    unchanged = scored(network, "FF++(LQ)", "FF++(LQ)")
    parts = [unchanged]
    for change, (_, strengths) in perturb.PEL_TABLE3.items():
        for strength in strengths[1:]:
            parts.append(unchanged.assign(test=robustness_test(change, strength), score=0.9))
    return pd.concat(parts, ignore_index=True)


def test_no_change_costs_nothing_and_a_network_that_says_fake_to_all_is_seen():
    table = tables.robustness(robust())
    none, strong = table[table["step"] == 0], table[table["step"] == 2]
    assert (none[["dacc", "dauc"]] == 0).all(axis=None)
    assert (strong["fake_rate"] == 1).all() and (strong["accuracy"] == 50).all() and (strong["auc"] == 0.5).all()


def test_a_change_is_judged_over_all_seeds():
    runs = [robust().assign(seed=seed) for seed in (0, 1)]
    runs[1]["score"] = np.where(runs[1]["test"] == "Gaussian blur 7", 0.1, runs[1]["score"])
    table = tables.robustness(pd.concat(runs)).set_index(["change", "step"]).loc[("Gaussian blur", 2)]
    assert (table["fake_rate"], table["accuracy"], table["auc"]) == (0.5, 50, 0.5)


def test_table_3_has_the_paper_s_columns_at_one_strength():
    table = tables.table3(tables.robustness(robust("Add-Net")))
    assert table["detector"].tolist() == ["AddNet*"]
    both = tables.beside("pel_table3", table).query("detector == 'AddNet*' and data == 'FF++(LQ)'").iloc[0]
    assert both["gn_dacc (paper)"] == "-41.51" and both["gn_dacc (ours)"].startswith("-")


def test_the_interval_of_a_difference_is_that_of_a_bootstrap_by_hand():
    table = scored("PEL", "x", "x", people=6)
    before, after = table["score"].to_numpy(), np.random.default_rng(1).random(len(table))
    result = tables.delta([table.assign(before=before, after=after)], seed=3, draws=40)
    codes, names = pd.factorize(table["identity"])
    drawn = np.random.default_rng(3).multinomial(len(names), np.full(len(names), 1 / len(names)), size=40)
    by_hand = []
    for counts in drawn:
        rows = np.repeat(np.arange(len(table)), counts[codes])
        old, new = (roc_auc_score(table["label"].to_numpy()[rows], s[rows]) for s in (before, after))
        by_hand.append(new - old)
    assert [result["dauc_low"], result["dauc_high"]] == pytest.approx(resampling.percentiles(by_hand, 6))


def test_two_detectors_of_one_order_do_not_differ():
    table = scored("PEL", "x", "x", people=7, frames=9).sort_values("score")
    blocks = (table["label"].diff() != 0).cumsum() / len(table)  # the same order, but neighbours of one class are equal
    for before, after in ((table["score"], blocks), (blocks, table["score"])):
        result = tables.delta([table.assign(before=before, after=after)], draws=200)
        assert (result["dauc_low"], result["dauc_high"]) == (0, 0)


def test_a_number_that_the_paper_only_quotes_is_marked_as_quoted():
    both = tables.beside("pel_table1", tables.table1(scored("MyNet", "FF++(HQ)", "FF++(HQ)")))
    source = both.set_index("detector")["paper's row"]
    assert source["C-Conv"] == "quoted" and source["Ours"] == "own run" and source["MyNet"] == ""
    empty = pd.DataFrame(columns=["rgb", "freq", "self", "mutual", "acc", "auc"])
    assert (tables.beside("pel_table4", empty)["paper's row"] == "own run").all()


def test_every_row_of_tables_4_and_5_finds_its_row_in_the_paper():
    results = {row: {seed: scored("PEL", "FF++(LQ)", "FF++(LQ)", seed=i + 20 * seed) for seed in (0, 1)}
               for i, row in enumerate(ablations.ROWS)}  # fmt: skip
    for name, table, rows in (("pel_table4", tables.table4, 8), ("pel_table5", tables.table5, 7)):
        both = report.compare(name, table(results))
        assert len(both) == rows
        assert (both[["auc (paper)", "auc (ours)"]] != "").all(axis=None)


def test_the_gain_of_a_network_is_over_the_seeds_that_both_have_and_the_same_people():
    def run(seed, shift):
        table = scored("PEL", "x", "x", people=8).assign(frame=lambda t: range(len(t)))
        noise = np.random.default_rng(seed).normal(size=len(table))
        return table.assign(score=1 / (1 + np.exp(-(shift * table["label"] + noise))))

    good, bad = ({seed: run(seed + 10 * shift, shift) for seed in range(4)} for shift in (3, 1))
    gain = tables.gain(good, {**bad, 9: run(9, 1)})
    auc = lambda runs: np.mean([roc_auc_score(runs[s]["label"], runs[s]["score"]) for s in range(4)])
    assert gain["effect"] == pytest.approx(auc(good) - auc(bad)) and gain["seeds"] == 4
    assert 0 < gain["low"] < gain["effect"] < gain["high"]
    back = tables.gain(bad, good)
    assert (back["low"], back["high"]) == pytest.approx((-gain["high"], -gain["low"]), abs=1e-2)
    assert np.isnan(tables.gain({0: good[0]}, {0: bad[0]})["p"])
