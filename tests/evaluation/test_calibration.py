import numpy as np
import pytest
from scipy.special import expit
from torch import tensor
from torchmetrics.functional.classification import binary_calibration_error

from lib.evaluation import calibration


@pytest.fixture
def overconfident():
    """Labels drawn from true probabilities, and scores whose log-odds are three times too large."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 20_000)
    return expit(3 * odds), (rng.random(len(odds)) < expit(odds)).astype(int)


def test_the_temperature_undoes_scores_that_are_too_sure(overconfident):
    probabilities, labels = overconfident
    found = calibration.temperature(probabilities, labels)
    assert found == pytest.approx(3, rel=0.05)
    before, after = (
        calibration.expected_error(p, labels) for p in (probabilities, calibration.scaled(probabilities, found))
    )
    assert after < 0.02 < before


def test_a_temperature_changes_no_verdict_and_no_order(overconfident):
    probabilities, _ = overconfident
    scaled = calibration.scaled(probabilities, 2.5)
    assert ((scaled > 0.5) == (probabilities > 0.5)).all()
    assert (np.diff(scaled[np.argsort(probabilities)]) >= 0).all()


def test_the_expected_error_is_that_of_torchmetrics(overconfident):
    probabilities, labels = overconfident
    # torchmetrics asks how often the item is fake among those of a score when it is given the score of being fake
    sure = np.where(probabilities > 0.5, probabilities, 1 - probabilities)
    right = ((probabilities > 0.5) == labels).astype(int)
    theirs = binary_calibration_error(tensor(sure), tensor(right), n_bins=10, norm="l1").item()
    assert calibration.expected_error(sure, right) == pytest.approx(theirs, abs=1e-3)


def test_bins_without_items_are_left_out_and_a_score_of_one_is_counted():
    table = calibration.reliability([0.05, 1.0, 1.0], [0, 1, 0], bins=4)
    assert table["count"].tolist() == [1, 2]
    assert table["share"].tolist() == [0, 0.5]
    assert table["probability"].tolist() == [0.05, 1]
    assert (table["low"] <= table["share"]).all()
    assert (table["high"] >= table["share"]).all()


def test_a_detector_without_mistakes_on_validation_is_not_made_sure_of_everything():
    labels = np.repeat([0, 1], 20)
    found = calibration.temperature(np.where(labels, 0.9, 0.1), labels)
    likely = calibration.scaled([0.9], found)[0]
    assert likely == pytest.approx(21 / 22, abs=1e-3)  # Platt's target


def test_one_class_alone_is_a_clear_error():
    with pytest.raises(ValueError, match="real and fake items"):
        calibration.temperature([0.2, 0.4], [1, 1])
