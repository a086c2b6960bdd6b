"""lib.evaluation.score_files: scores that are stale are not taken for fresh ones."""

import pandas as pd
import pytest

from lib import paths
from lib.evaluation import score_files


def test_a_table_comes_back_as_it_was_and_is_fresh_for_its_own_key_alone(tmp_path):
    path = tmp_path / "scores/pel/PEL.csv"
    table = pd.DataFrame({"test": ["2019"], "video": ["000"], "identity": ["07"], "label": [1], "score": [0.123456789]})
    assert not score_files.fresh(path, "a")
    score_files.write(path, table, "a")
    assert score_files.fresh(path, "a") and not score_files.fresh(path, "b")
    pd.testing.assert_frame_equal(score_files.read(path), table, atol=1e-6)


def test_missing_scores_are_one_line_that_names_the_stage_that_makes_them(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text("stages: {pel_detectors: {outs: [{results/scores/pel: {persist: true}}]}}")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="^elsewhere/scores/pel/PEL.csv: no such scores; `dvc repro pel_detec"):
        score_files.read(tmp_path / "elsewhere/scores/pel/PEL.csv")


def test_the_files_of_what_is_no_more_go(tmp_path):
    for name in ("PEL.csv", "PEL_WildDeepfake.csv", "Gone.csv"):
        (tmp_path / name).touch()
    score_files.keep_only(tmp_path, {"PEL", "PEL_WildDeepfake"})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["PEL.csv", "PEL_WildDeepfake.csv"]
