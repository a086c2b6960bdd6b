"""Reports: our number stands beside the paper's, with its interval, and what cannot be right is told."""

import numpy as np
import pandas as pd
import pytest

from lib import paths
from lib.evaluation import report


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TABLES", tmp_path / "tables")
    monkeypatch.setattr(paths, "METRICS", tmp_path / "metrics")
    return tmp_path


def make_ours():
    result = {"frame_accuracy": 0.914, "frame_accuracy_low": 0.875, "frame_accuracy_high": 0.942}
    result |= {"frame_auc": 0.973, "frame_auc_low": 0.951, "frame_auc_high": 0.988}
    row = report.cell("HQ_acc", result, "frame_accuracy") | report.cell("HQ_auc", result, "frame_auc")
    return result, pd.DataFrame([{"detector": "Ours", **row}, {"detector": "RGB only", "HQ_auc": 0.5}])


def test_our_cell_stands_in_the_row_of_the_papers_cell():
    result, ours = make_ours()
    beside = report.compare("pel_table1", ours).set_index("detector")
    assert beside.loc["Ours", "HQ_acc (paper)"] == "97.63"
    assert beside.loc["Ours", "HQ_acc (ours)"].startswith(f"{100 * result['frame_accuracy']:.1f} [")
    assert beside.index[-1] == "RGB only"
    assert beside.loc["RGB only", "HQ_acc (ours)"] == ""
    assert "LQ_acc (ours)" not in beside


@pytest.mark.parametrize("file", sorted(paths.PAPER_TABLES.glob("*.csv")), ids=lambda file: file.stem)
def test_every_row_of_the_papers_finds_its_twin_in_ours(file, results):
    paper = pd.read_csv(file, dtype=str, keep_default_na=False)
    names = [column for column in paper if column in report.ROW_NAMES]
    value = next(column for column in paper if column not in names)
    report.write_table(file.stem, paper[names].assign(**{value: 0.25}))
    assert report.report().count("0.250") == len(paper)
    assert len(report.compare(file.stem, paper[names].assign(**{value: 0.25}))) == len(paper)


def test_a_written_table_has_the_papers_columns_and_an_interval_after_each_result(results):
    report.write_table("pel_table1", make_ours()[1])
    written = pd.read_csv(results / "tables/pel_table1.csv")
    assert list(written.columns[:5]) == ["detector", "HQ_acc", "HQ_acc_low", "HQ_acc_high", "HQ_auc"]
    assert written.WDF_auc.isna().all()
    assert (written.HQ_acc_low <= written.HQ_acc)[0]
    assert (written.HQ_acc <= written.HQ_acc_high)[0]
    assert [file.name for file in (results / "tables").iterdir()] == ["pel_table1.csv"]


def test_a_mistyped_column_or_table_is_named():
    with pytest.raises(ValueError, match="no column HQ_au;"):
        report.write_table("pel_table1", pd.DataFrame([{"detector": "Ours", "HQ_au": 0.9}]))
    with pytest.raises(ValueError, match="pel_table9"):
        report.compare("pel_table9", pd.DataFrame())


def test_the_report_shows_every_number_with_its_interval(results):
    assert report.report() == ""
    numbers = {"frame_auc": np.float64(0.9), "frame_auc_low": 0.85, "frame_auc_high": 0.95}
    report.write_metrics("06", {"PEL": {"c23": numbers}})
    assert "PEL / c23" in report.report()
    assert "0.900 [0.850, 0.950]" in report.report()


def test_the_two_contradictions_of_the_papers_table_2_are_told_and_no_other(results):
    report.write_table("pel_table2", pd.DataFrame([{"train": "FF++(LQ)", "detector": "Ours", "t1": "WildDeepfake"}]))
    told = [line for line in report.report().splitlines() if line.startswith("the paper's")]
    assert len(told) == 2 and "Xception*, WildDeepfake, t1" in told[0] and "Add-Net*, WildDeepfake, DFDC" in told[1]
    ours = pd.DataFrame(
        [{"detector": "Ours", "DFD_auc": 0.55, "DFD_eer": 0.6}, {"detector": "Other", "DFD_auc": np.nan}]
    )
    assert report.contradictions(ours)[0].startswith("Ours, DFD: AUC 0.5500")
    assert len(report.contradictions(ours)) == 1
