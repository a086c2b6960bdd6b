"""Metrics: the right number under the right name, with an interval that means what it says."""

import time

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import torch
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score, roc_curve
from torchmetrics import classification

from lib.evaluation.metrics import contradiction, metrics, weighted


def make_table(people=40, frames=5):
    """One real and one fake video a person, `frames` frames each."""
    rows = [
        {"label": label, "method": method, "video": f"{method}/{person:03d}", "identity": f"{person:03d}"}
        for person in range(people)
        for label, method in ((0, "original"), (1, "FaceSwap"))
        for _ in range(frames)
    ]
    return pd.DataFrame(rows)


def make_scores(table, shift=1.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=len(table))
    return 1 / (1 + np.exp(-(noise + shift * (table.label - 0.5)))).to_numpy()


def eer(labels, scores):
    table = pd.DataFrame({"label": labels}).assign(method="any", video="any", identity="any")
    return metrics(table, scores, "frame", n_bootstrap=1)["frame_eer"]


def test_guessing_has_an_equal_error_rate_of_one_half():
    rng = np.random.default_rng(0)
    assert eer(rng.integers(0, 2, 100_000), rng.random(100_000)) == pytest.approx(0.5, abs=0.01)
    assert eer([0, 1, 0, 1], [0.3] * 4) == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 0.0), ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 1.0),
     ([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], 0.5), ([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.8, 0.3, 0.7, 0.9], 1 / 3)],
)  # fmt: skip
def test_the_equal_error_rate_is_the_one_worked_out_by_hand(labels, scores, expected):
    assert eer(labels, scores) == pytest.approx(expected)


def test_frame_metrics_are_those_of_scikit_learn():
    table = make_table()
    scores = make_scores(table)
    result = metrics(table, scores, level="frame", n_bootstrap=20)
    assert result["frame_auc"] == roc_auc_score(table.label, scores)
    assert result["frame_ap"] == average_precision_score(table.label, scores)
    assert result["frame_accuracy"] == accuracy_score(table.label, scores > 0.5)
    assert not any(key.startswith("video_") for key in result)


SCORES = {
    "random": lambda rng, labels: rng.random(len(labels)),
    "informative": lambda rng, labels: np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1),
    "ties": lambda rng, labels: rng.integers(0, 4, len(labels)) / 4,
    "constant": lambda rng, labels: np.full(len(labels), 0.5),
    "constant within each class": lambda rng, labels: 0.9 - 0.8 * labels,
    "perfect": lambda rng, labels: labels * 0.5 + 0.25,
    "all called fake": lambda rng, labels: 0.6 + 0.4 * rng.random(len(labels)),
}


@pytest.mark.parametrize("share", [0.5, 0.8, 0.02])
@pytest.mark.parametrize("kind", SCORES)
def test_every_metric_is_that_of_scikit_learn_and_torchmetrics(kind, share):
    rng = np.random.default_rng(0)
    labels = (rng.permutation(400) < 400 * share).astype(int)
    scores = SCORES[kind](rng, labels).astype(np.float32).astype(float)  # torchmetrics counts in float32
    names = [f"{index:03d}" for index in range(400)]
    table = pd.DataFrame({"label": labels, "method": "any", "video": names, "identity": names})
    ours = metrics(table, scores, level="frame", n_bootstrap=2)
    assert ours["frame_auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert ours["frame_ap"] == pytest.approx(average_precision_score(labels, scores))
    assert ours["frame_accuracy"] == pytest.approx(accuracy_score(labels, scores > 0.5))
    theirs = (classification.BinaryAUROC(), classification.BinaryAveragePrecision(), classification.BinaryAccuracy())
    for name, metric in zip(("auc", "ap", "accuracy"), theirs, strict=True):
        given = torch.tensor(scores, dtype=torch.float32), torch.tensor(labels)
        assert ours[f"frame_{name}"] == pytest.approx(metric(*given).item(), abs=1e-5), name
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    corner = np.arange(len(fpr))  # along the ROC, because a function of fpr has no one value where it stands upright
    at = scipy.optimize.brentq(lambda x: np.interp(x, corner, fpr + tpr) - 1, 0, corner[-1], xtol=1e-12)
    assert ours["frame_eer"] == pytest.approx(np.interp(at, corner, fpr), abs=1e-9)
    nearest = classification.BinaryEER()(torch.tensor(scores, dtype=torch.float32), torch.tensor(labels)).item()
    steps = np.abs(np.diff(fpr)).max() + np.abs(np.diff(tpr)).max()  # theirs is the nearest corner of the ROC
    assert abs(ours["frame_eer"] - nearest) <= steps


@pytest.mark.parametrize(
    ("auc", "eer", "said"),
    [(0.6059, 0.6191, "better than guessing, EER 0.6191 worse (it allows an AUC up to 0.6167)"),
     (0.9, 0.6, "cannot belong to one ROC"), (0.2, 0.1, "cannot belong to one ROC"),
     (0.5, 0.5, ""), (0.9057, 0.18, ""), (0.3, 0.7, ""), (1.0, 0.0, "")],
)  # fmt: skip
def test_an_auc_and_an_eer_that_do_not_fit_each_other_are_told(auc, eer, said):
    assert said in contradiction(auc, eer) and bool(said) == bool(contradiction(auc, eer))


def test_an_eer_above_one_half_with_an_auc_above_one_half_is_warned_of():
    labels = np.repeat([1, 0, 1, 0], [45, 60, 55, 40])  # from the most fake score down: the ROC is S-shaped
    names = [f"{index:03d}" for index in range(200)]
    table = pd.DataFrame({"label": labels, "method": "any", "video": names, "identity": names})
    with pytest.warns(UserWarning, match="frame level: AUC 0.6[0-9]* is better than guessing, EER 0.5[0-9]* worse"):
        metrics(table, np.linspace(1, 0, 200), level="frame", n_bootstrap=2)


def test_each_resample_is_measured_as_scikit_learn_would_with_ties_and_frames_left_out():
    table = make_table(people=12)
    scores, weights = make_scores(table).round(1), np.random.default_rng(1).integers(0, 3, (4, len(table)))
    accuracy, auc, _, ap = weighted(table.label.to_numpy(), scores, weights)
    for i, weight in enumerate(weights):
        assert auc[i] == pytest.approx(roc_auc_score(table.label, scores, sample_weight=weight))
        assert ap[i] == pytest.approx(average_precision_score(table.label, scores, sample_weight=weight))
        assert accuracy[i] == pytest.approx(accuracy_score(table.label, scores > 0.5, sample_weight=weight))


def test_clips_of_one_name_by_two_methods_are_two_videos():
    clips = [(0, "original", "000"), (1, "Deepfakes", "000_001"), (1, "FaceSwap", "000_001")]
    table = pd.DataFrame(clips, columns=["label", "method", "video"]).assign(identity="000")
    table = table.loc[table.index.repeat(2)]
    result = metrics(table, [0.4, 0.4, 0.9, 0.9, 0.2, 0.2], n_bootstrap=10)
    assert result["videos"] == 3
    assert result["video_auc"] == 0.5  # one fake above the real video, one below; merged they would be above


def test_the_score_of_a_video_is_the_mean_of_its_frames():
    table = make_table(people=2, frames=3)
    scores = np.array([0.1, 0.1, 0.9, 0.2, 0.8, 0.8, 0.2, 0.3, 0.3, 0.9, 0.9, 0.1])
    result = metrics(table, scores, n_bootstrap=10)
    assert result["video_auc"] == result["video_accuracy"] == 1
    assert result["frame_accuracy"] == pytest.approx(9 / 12)


def test_the_interval_covers_the_truth_about_19_times_in_20():
    truth, hits, runs = 0.7602, 0, 60  # AUC of two unit normals one apart: Phi(1 / sqrt(2))
    table = make_table(people=60, frames=1)
    for seed in range(runs):
        result = metrics(table, make_scores(table, seed=seed), level="frame", n_bootstrap=200)
        hits += result["frame_auc_low"] <= truth <= result["frame_auc_high"]
    assert 0.85 <= hits / runs < 1


def test_more_frames_of_the_same_people_do_not_make_the_result_look_surer():
    few = make_table(people=20, frames=1)
    scores = make_scores(few)
    many = few.loc[few.index.repeat(50)]
    narrow, wide = metrics(few, scores, "frame", 300), metrics(many, scores.repeat(50), "frame", 300)
    for end in ("low", "high"):
        assert narrow[f"frame_auc_{end}"] == pytest.approx(wide[f"frame_auc_{end}"])


def test_the_same_seed_gives_the_same_interval():
    table = make_table(people=10)
    scores = make_scores(table)
    assert metrics(table, scores, n_bootstrap=50) == metrics(table, scores, n_bootstrap=50)


def test_the_share_of_fakes_is_no_luck_of_the_people():
    real = pd.DataFrame({"label": 0, "identity": np.repeat([f"r{person}" for person in range(10)], 10)})
    fake = pd.DataFrame({"label": 1, "identity": [f"f{person}" for person in range(100)]})
    table = pd.concat([real, fake], ignore_index=True).assign(method="any", video="any")
    result = metrics(table, np.full(200, 0.9), "frame", n_bootstrap=50)
    for end in ("", "_low", "_high"):
        assert result[f"frame_accuracy{end}"] == pytest.approx(0.5)


def test_one_person_of_a_class_leaves_the_number_without_interval():
    table = pd.DataFrame({"label": [0, 0, 1], "method": list("aab"), "video": list("xyz"), "identity": list("xyz")})
    result = metrics(table, [0.1, 0.2, 0.9], n_bootstrap=100)
    assert result["frame_auc"] == 1
    assert np.isnan([result["frame_auc_low"], result["frame_auc_high"]]).all()


@pytest.mark.parametrize("level", ["frame", "video", "both"])
def test_one_class_only_is_named(level):
    table = make_table(people=3).query("label == 1")
    with pytest.raises(ValueError, match=r"only fake items \(\d+\): check the split"):
        metrics(table, np.ones(len(table)), level)


@pytest.mark.parametrize(
    ("scores", "message"), [([0.5, np.nan, 0.2], "1 of 3 scores are not finite"), ([0.5], "1 scores for 3 items")]
)
def test_scores_that_cannot_be_measured_are_named(scores, message):
    with pytest.raises(ValueError, match=message):
        eer([0, 1, 1], scores)


def test_an_unknown_level_is_named():
    with pytest.raises(ValueError, match="clip"):
        metrics(make_table(), [], level="clip")


def test_a_thousand_resamples_of_5000_frames_take_less_than_2_seconds():
    table = make_table(people=100, frames=25)
    start = time.process_time()
    metrics(table, make_scores(table), level="frame")
    assert time.process_time() - start < 2
