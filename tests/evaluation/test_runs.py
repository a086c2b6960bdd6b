"""lib.evaluation.runs: a number is a mean over trainings, and its interval knows their luck as well as the people's."""

import numpy as np
import pandas as pd
import pytest

from lib.evaluation import runs
from lib.evaluation.metrics import metrics


def scored(seed, shift=1.0):
    rng = np.random.default_rng(seed)
    rows = [(label, ("original", "Deepfakes")[label], f"{label}/{person}", str(person))
            for label in (0, 1) for person in range(8) for _ in range(5)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["label", "method", "video", "identity"])
    return table.assign(score=1 / (1 + np.exp(-rng.normal(shift * (2 * table["label"] - 1)))))


def test_a_number_is_the_mean_over_the_seeds_and_its_interval_knows_their_luck():
    tables = [scored(seed) for seed in range(4)]
    each = pd.DataFrame([metrics(table, table["score"], n_bootstrap=1) for table in tables])
    result = runs.measure(tables)
    for key in ("frame_accuracy", "frame_eer", "video_auc", "video_ap"):
        assert result[key] == pytest.approx(each[key].mean())
        assert result[f"{key}_low"] <= result[key] <= result[f"{key}_high"]
    apart = runs.measure([table.assign(score=0.2 * table["score"] + 0.2 * seed) for seed, table in enumerate(tables)])
    wide = [r["frame_accuracy_high"] - r["frame_accuracy_low"] for r in (result, apart)]
    assert wide[1] > 2 * wide[0], "seeds that disagree widen the interval"


def test_of_one_training_the_interval_is_that_over_the_people():
    table = scored(3)
    assert runs.measure([table]) == metrics(table, table["score"])
    (found,) = runs.over_seeds([table], lambda table, weights: (weights @ table["score"].to_numpy())[None] / 80)
    assert found["low"] < found["effect"] < found["high"] and np.isnan(found["p"])
