"""Verdicts that another run would give again: luck is called luck, and what is plain is seen."""

import numpy as np
import pytest
from scipy import stats

from lib.evaluation import verdicts


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_same_recipe_with_other_seeds_is_no_verdict_in_95_of_100(rng):
    of_people = rng.normal(0, 0.5, 2000)  # the same people for all seeds
    drawn = [people + rng.normal(0, 2, 5) for people in of_people]
    found = [verdicts.difference(per_seed, 0.5, 20)["p"] < verdicts.LEVEL for per_seed in drawn]
    assert np.mean(found) == pytest.approx(0.05, abs=0.015)


def test_a_difference_as_large_as_visible_is_found_in_80_of_100(rng):
    seen = []
    for _ in range(1000):
        measured = verdicts.difference(rng.normal(0, 2, 5), 0.0, 20)
        error = 2 / np.sqrt(5)
        true = (stats.t(4).ppf(0.975) + stats.t(4).ppf(0.8)) * error
        again = verdicts.difference(true + rng.normal(0, 2, 5), 0.0, 20)
        seen.append((again["p"] < verdicts.LEVEL, measured["visible"] / true))
    found, ratio = np.mean(seen, axis=0)
    assert 0.75 < found < 0.95
    assert ratio == pytest.approx(stats.chi(4).mean() / 2, rel=0.03)  # the spread of five seeds is measured, too


def test_the_interval_is_that_of_student_where_only_the_seeds_vary():
    values = np.array([1.0, 2.0, 4.0, 3.0])
    measured = verdicts.difference(values, 0.0, 50)
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (measured["low"], measured["high"]) == pytest.approx((low, high))
    assert measured["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert (measured["effect"], measured["seeds"]) == (2.5, 4)


def test_few_people_widen_the_interval_though_the_seeds_agree():
    few, many = (verdicts.difference([3.0, 3.1, 2.9], error, 10) for error in (1.5, 0.1))
    assert few["low"] < 0 < many["low"]
    assert few["visible"] > many["visible"] > 0


def test_one_training_is_not_tested_and_equal_numbers_do_not_differ():
    alone = verdicts.difference([5.0], 0.1, 50)
    assert alone["effect"] == 5 and np.isnan(alone["p"])
    assert verdicts.verdict(alone["effect"], alone["p"]) == "not tested"
    same = verdicts.difference([0.0, 0.0], 0.0, 50)
    assert verdicts.verdict(same["effect"], same["p"]) == "no difference seen"


def test_many_claims_are_corrected_as_by_holm(rng):
    assert verdicts.holm([0.01, 0.04, np.nan, 0.03]) == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)
    assert verdicts.holm([0.6, 0.9]).tolist() == [1, 1]
    assert verdicts.holm([np.nan]).tolist() == pytest.approx([np.nan], nan_ok=True)
    found = [(verdicts.holm(rng.uniform(size=12)) < verdicts.LEVEL).any() for _ in range(2000)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(
    ("effect", "p", "word"),
    [
        (2.0, 0.01, "holds"),
        (-2.0, 0.01, "opposite"),
        (2.0, 0.05, "no difference seen"),
        (0.0, 1.0, "no difference seen"),
    ],
)
def test_a_verdict_is_the_sign_of_what_is_beyond_luck(effect, p, word):
    assert verdicts.verdict(effect, p) == word


def test_a_family_of_claims_is_corrected_together_and_counted_in_words():
    plain, weak = {"claim": "a", "effect": 3.0, "p": 0.001}, {"claim": "b", "effect": -2.0, "p": 0.03}
    table = verdicts.judge([plain, weak, {"claim": "c", "effect": 1.0, "p": np.nan}])
    assert table["verdict"].tolist() == ["holds", "opposite", "not tested"]
    many = verdicts.judge([plain, *([weak] * 9)])
    assert verdicts.counts(many) == "1 holds, 9 no difference seen"


def test_one_more_training_falls_into_the_expected_range_in_95_of_100(rng):
    runs = rng.normal(3, 2, (4000, 6))
    ranges = np.array([verdicts.expected(part[:5]) for part in runs])
    assert np.mean((ranges[:, 0] <= runs[:, 5]) & (runs[:, 5] <= ranges[:, 1])) == pytest.approx(0.95, abs=0.015)
    assert np.isnan(verdicts.expected([1.0])).all()


def test_no_claim_at_all_is_an_empty_table():
    table = verdicts.judge([])
    assert table.empty and {"claim", "p", "verdict"} <= set(table) and verdicts.counts(table) == ""
