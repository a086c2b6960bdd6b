"""The bootstrap over people: draws that stand for the sample, items that come and go with their person."""

import numpy as np
import pandas as pd
import pytest

from lib.evaluation import resampling
from lib.evaluation.metrics import METRICS, weighted

PEOPLE = pd.Series(list("aabbbc"))  # whose the items are


def weights_of(identities, count=200, seed=0):
    """The weights that `interval` gives to a statistic."""
    given = []
    resampling.interval(identities, lambda weights: given.append(weights) or weights[:, 0], count, seed)
    return np.concatenate(given)


def test_the_mean_of_the_draws_is_the_sample():
    drawn = resampling.draws(8, 20_000)
    assert drawn.mean(0) == pytest.approx(1, abs=0.03)
    assert (drawn.sum(1) == 8).all()
    assert drawn.std(0) == pytest.approx(np.sqrt(7 / 8), abs=0.03)  # with replacement: binomial of 8 and 1/8


def test_the_same_seed_gives_the_same_draws_and_another_others():
    assert (resampling.draws(5, 50, 3) == resampling.draws(5, 50, 3)).all()
    assert (resampling.draws(5, 50, 3) != resampling.draws(5, 50, 4)).any()
    rng = np.random.default_rng(3)
    first, second = resampling.draws(5, 50, rng), resampling.draws(5, 50, rng)
    assert (first == resampling.draws(5, 50, 3)).all() and (first != second).any()


def test_an_item_of_a_person_drawn_twice_counts_twice():
    weights = weights_of(PEOPLE)
    drawn = resampling.draws(3, 200)
    twice = np.flatnonzero(drawn[:, 1] == 2)
    assert len(twice) and (weights[twice, 2:5] == 2).all()
    assert (weights == drawn[:, [0, 0, 1, 1, 1, 2]]).all()


def test_people_keep_their_draws_however_they_are_named():
    assert (weights_of(PEOPLE) == weights_of(PEOPLE.map({"a": "zoe", "b": "yan", "c": "abe"}))).all()


def test_the_interval_of_a_mean_is_that_of_whole_people_and_not_of_their_items():
    values = np.random.default_rng(1).normal(size=40)
    mean = lambda values: lambda weights: weights @ values / weights.sum(1)
    alone = resampling.interval(np.arange(40), mean(values))
    many = resampling.interval(np.repeat(np.arange(40), 9), mean(values.repeat(9)))
    assert many == pytest.approx(alone)
    assert alone == pytest.approx(values.mean() + 2.02 * values.std(ddof=1) / np.sqrt(40) * np.array([-1, 1]), abs=0.06)
    forgot = resampling.interval(np.arange(360), mean(values.repeat(9)))
    assert np.ptp(forgot) < 0.5 * np.ptp(many)


def test_a_statistic_that_turns_round_turns_its_interval_round():
    values = np.arange(6.0)
    low, high = resampling.interval(PEOPLE, lambda weights: weights @ values / weights.sum(1))
    turned = resampling.interval(PEOPLE, lambda weights: -(weights @ values) / weights.sum(1))
    assert turned == pytest.approx([-high, -low])
    assert low < values.mean() < high


def test_a_resample_without_value_is_left_out():
    drawn = weights_of(PEOPLE)
    holes = lambda weights: np.where(weights[:, 5] > 0, weights[:, 0], np.nan)
    kept = drawn[drawn[:, 5] > 0, 0]
    assert 0 < len(kept) < len(drawn)
    assert resampling.interval(PEOPLE, holes, 200) == pytest.approx(resampling.percentiles(kept, 6**2 / (4 + 9 + 1)))


def test_many_items_are_weighted_in_parts_with_the_same_interval(monkeypatch):
    statistic = lambda weights: np.stack([weights[:, 0], weights @ np.arange(6.0)])
    whole = resampling.interval(PEOPLE, statistic)
    monkeypatch.setattr(resampling, "WEIGHTS", 600)
    sizes = []
    parts = resampling.interval(PEOPLE, lambda weights: sizes.append(weights.size) or statistic(weights))
    assert (whole == parts).all() and max(sizes) <= 600 and len(sizes) == 10


def test_a_verdict_that_is_always_the_same_has_an_accuracy_without_luck():
    identities = pd.Series([*np.repeat(range(10), 10), *range(100, 200)])  # ten people, a hundred single fakes
    labels = np.repeat([0, 1], 100)
    accuracy = lambda weights: weights @ labels / weights.sum(1)  # "fake", whatever it sees
    assert resampling.interval(identities, accuracy, labels=labels) == pytest.approx([0.5, 0.5])
    low, high = resampling.interval(identities, accuracy)
    assert high - low > 0.2


def test_one_person_has_no_interval_and_few_people_have_wide_ones():
    values = np.random.default_rng(0).normal(size=100_000)
    widths = [np.ptp(resampling.percentiles(values, people)) for people in (3, 10, 1000)]
    assert widths[0] > widths[1] > widths[2] == pytest.approx(2 * 1.96, abs=0.05)
    assert np.isnan(resampling.interval(pd.Series(["a", "a"]), lambda weights: weights[:, 0])).all()


def test_few_large_people_among_many_small_ones_widen_the_interval():
    mean = lambda weights: weights @ np.r_[1.0, np.zeros(59)] / 60
    equal = resampling.interval(np.repeat(range(6), 10), mean)
    unequal = resampling.interval(np.repeat(range(6), [50, 2, 2, 2, 2, 2]), mean)
    assert np.ptp(unequal) > np.ptp(equal)


def test_95_percent_intervals_hold_the_truth_in_93_to_97_of_100_data_sets():
    sizes = [1, 2, 3, 4, 5, 6] * 10, [1, 2, 3] * 20  # photographs of each of 60 people, fakes of 60 others
    rng = np.random.default_rng(0)

    def data_set(sizes):
        people = [rng.normal(1.5 * label, 0.7, len(part)).repeat(part) for label, part in enumerate(sizes)]
        logits = np.concatenate(people) - 0.75
        logits += rng.normal(size=len(logits))
        identities = np.arange(sum(map(len, sizes))).repeat(np.concatenate(sizes))
        return identities, np.repeat([0, 1], [sum(part) for part in sizes]), 1 / (1 + np.exp(-logits))

    _, labels, scores = data_set([300 * part for part in sizes])
    truth = weighted(labels, scores, np.ones((1, len(labels))))[:, 0]
    held = np.zeros(len(METRICS))
    for seed in range(500):
        identities, labels, scores = data_set(sizes)
        statistic = lambda weights, labels=labels, scores=scores: weighted(labels, scores, weights)
        low, high = resampling.interval(identities, statistic, 300, seed, labels)
        held += (low <= truth) & (truth <= high)
    assert (held >= 0.93 * 500).all() and (held <= 0.97 * 500).all(), dict(zip(METRICS, held / 500, strict=True))
