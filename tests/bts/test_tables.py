import numpy as np
import pandas as pd
import pytest

from lib import paths
from lib.bts import tables
from lib.evaluation import report

TESTS = ("val", "raw", "R", "E", "A", "P", "FFHQ")


def scores(right, seed=0, column="score"):
    """Scores of a detector that is right about this share of the fakes of each test, and about every photograph."""
    rng, rows = np.random.default_rng(seed), []
    for test in TESTS:
        fakes = {"FFHQ": ("StyleGAN", "StyleGAN2-0.5", "StyleGAN2-1.0")}.get(test, ("ProGAN", "StyleGAN"))
        if test not in tables.FAKES_ONLY:
            rows += [(test, 0, "CelebA-HQ", f"r{i}", f"person {i % 5}", 0.1) for i in range(20)]
        for method in fakes:
            share = right.get(test, right["raw"])
            rows += [(test, 1, method, f"{method}{i}", f"{method}{i}", 0.1 + 0.8 * (i < 20 * share)) for i in range(20)]
    frame = pd.DataFrame(rows, columns=["test", "label", "method", "video", "identity", column])
    return frame.assign(**{column: frame[column] + rng.uniform(-0.05, 0.05, len(frame))})


@pytest.fixture
def scored():
    good, bad = {"raw": 1, "P": 0.5}, {"raw": 0.5, "P": 0.2}
    ours = {("SR", on): scores(good, column="Avg").assign(Pix=0.5, Stage5=0.5) for on in tables.SHORT}
    return ours | {("DCT-2d", on): scores(bad, 1) for on in tables.SHORT}


def test_a_cell_of_table_1_is_the_accuracy_over_its_fakes_and_the_photographs_of_raw(scored):
    table = tables.arrange(tables.measure({0: scored}, 50), tables.TABLE1)
    row = table.set_index("detector").loc["Ours (Avg)"]
    assert row["P_raw"] == 100
    assert row["PtoS_P"] == 75  # all photographs, half of the fakes
    assert row["PtoS_P_low"] <= 75 <= row["PtoS_P_high"]
    assert row["avg"] == pytest.approx(np.mean([row[column] for column in tables.TABLE1]))
    paper = pd.read_csv(paths.PAPER_TABLES / "bts_table1.csv")
    assert set(tables.TABLE1) == set(paper) - {"detector", "S", "avg"}
    paper = pd.read_csv(paths.PAPER_TABLES / "bts_table2.csv")
    assert set(tables.TABLE2) == set(paper) - {"detector", "S", "avg"}


def test_photographs_that_were_changed_too_count_in_a_column_of_their_own(scored):
    changed = {}
    for key, frame in scored.items():
        column = "Avg" if "Avg" in frame else "score"
        more = frame[(frame["test"] == "raw") & (frame["label"] == 0)].assign(**{"test": "P", column: 0.9})
        changed[key] = pd.concat([frame, more], ignore_index=True)
    before, after = (tables.measure({0: each}, 2) for each in (scored, changed))
    pd.testing.assert_frame_equal(tables.arrange(before, tables.TABLE1), tables.arrange(after, tables.TABLE1))
    both = tables.arrange(after, tables.TABLE1_BOTH).set_index("detector")
    assert set(before["test"]) & set(tables.BOTH) == set() and set(after["test"]) & set(tables.BOTH) == {"P on both"}
    assert both.loc["Ours (Avg)", "P_P on both"] == 25, "half of the fakes, and no photograph: each is called fake"


def test_no_validation_image_counts_in_a_table_or_a_claim(scored):
    turned = {}
    for key, frame in scored.items():
        column = "Avg" if "Avg" in frame else "score"
        turned[key] = frame.assign(**{column: frame[column].where(frame["test"] != "val", 1 - frame[column])})
    one, other = (tables.measure({0: each}, 2) for each in (scored, turned))
    for columns in (tables.TABLE1, tables.TABLE2):
        pd.testing.assert_frame_equal(tables.arrange(one, columns), tables.arrange(other, columns))
    cells = (("Ours (Avg)", "SR"), ["P_raw"]), (("DCT-2d", "/"), ["P_raw"])
    found = [tables.contrast({0: each, 1: each}, tables.TABLE1, *cells, 20) for each in (scored, turned)]
    assert found[0] == found[1]


def test_the_generator_of_a_cell_is_the_one_that_was_learned_or_the_unknown_one():
    frame = scores({"raw": 1})
    blind = {("DCT-2d", "ProGAN"): frame.assign(score=frame["score"].where(frame["method"] != "StyleGAN", 0.1))}
    (row,) = tables.arrange(tables.measure({0: blind}, 2), tables.TABLE1).to_dict("records")
    assert (row["P_raw"], row["PtoS_raw"]) == (100, 50)
    assert not {"S_raw", "StoP_raw"} & set(row), "nothing was learned from StyleGAN"


def test_a_test_that_was_not_scored_leaves_its_cells_empty_and_the_average_too(scored):
    lacking = {key: frame[frame["test"] != "R"] for key, frame in scored.items()}
    table = tables.arrange(tables.measure({0: lacking}, 50), tables.TABLE1)
    assert "P_R" not in table
    assert "avg" not in table
    assert "P_R (ours)" not in report.compare("bts_table1", table)


def test_a_claim_is_the_difference_of_two_rows_over_seeds_and_people_and_knows_missing_data(scored):
    ours, theirs = (("Ours (Avg)", "SR"), ["P_raw", "S_P"]), (("DCT-2d", "/"), ["P_raw", "S_P"])
    worse = {key: frame.assign(Avg=np.where(frame.index % 8, frame["Avg"], 1 - frame["Avg"]))
             if "Avg" in frame else frame for key, frame in scored.items()}  # fmt: skip
    alone, other = (tables.contrast({0: each}, tables.TABLE1, ours, theirs, 200) for each in (scored, worse))
    assert alone["effect"] == pytest.approx((100 + 75) / 2 - (75 + 60) / 2)
    assert np.isnan(alone["p"]), "one training is no verdict"
    both = tables.contrast({0: scored, 1: worse}, tables.TABLE1, ours, theirs, 200)
    assert both["effect"] == pytest.approx((alone["effect"] + other["effect"]) / 2) and both["seeds"] == 2
    agreed = tables.contrast({0: scored, 1: scored}, tables.TABLE1, ours, theirs, 200)
    assert agreed["low"] < agreed["effect"] < agreed["high"]
    assert both["visible"] > agreed["visible"] > 0, "seeds that disagree see less"
    same = tables.contrast({0: scored, 1: scored}, tables.TABLE1, ours, ours, 200)
    assert (same["effect"], same["p"]) == (0, 1)
    lacking = {key: frame[frame["test"] != "P"] for key, frame in scored.items()}
    assert tables.contrast({0: lacking}, tables.TABLE1, ours, theirs, 20) is None


def test_the_learned_weights_of_eq_4_see_validation_images_only():
    rng = np.random.default_rng(0)
    frame = scores({"raw": 1}, column="Pix")
    label, val = frame["label"].to_numpy(), (frame["test"] == "val").to_numpy()
    noise = rng.uniform(0.2, 0.8, len(frame))
    sr = frame.assign(Pix=np.where(val, 0.5 + (label - 0.5) * 0.5, noise), Stage5=0.5, Avg=0.5)
    stages = frame[["test", "label", "method", "video", "identity"]].assign(Stage1=noise, Avg=0.5)
    p = tables.learned(sr, stages)
    flipped = sr.assign(label=np.where(val, label, 1 - label))
    np.testing.assert_array_equal(p, tables.learned(flipped, stages))
    assert ((p > 0.5) == label)[val].all()


def test_the_paper_s_printed_averages_stand_beside_the_means_of_its_cells():
    averages = tables.printed_averages(pd.read_csv(paths.PAPER_TABLES / "bts_table1.csv"))
    row = averages.set_index(["detector", "S"]).loc["Ours (Pix)", "SR"]
    assert (row["printed"], row["recomputed"]) == (87.0, pytest.approx(88.22, abs=0.01))


def test_as_many_photographs_as_fakes_count_and_they_are_the_same_for_every_detector(scored):
    frame = scored["SR", "ProGAN"]
    photographs = frame[(frame["test"] == "raw") & (frame["label"] == 0)]
    more = pd.concat([frame, *[photographs.assign(video=photographs["video"] + f" {copy}") for copy in range(3)]])
    test = tables.of_test(more.reset_index(drop=True), "raw", "ProGAN")
    assert test["label"].value_counts().to_dict() == {0: 20, 1: 20}
    other = tables.of_test(more.assign(Avg=0.5).reset_index(drop=True), "raw", "ProGAN")
    assert other["video"].tolist() == test["video"].tolist()
    whole = pd.concat([photographs, frame[(frame["test"] == "raw") & (frame["method"] == "ProGAN")]])
    pd.testing.assert_frame_equal(tables.of_test(frame, "raw", "ProGAN"), whole.reset_index(drop=True))
