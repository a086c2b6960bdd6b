"""A claim gets its verdict from several trainings and many people, never from one training.

A result depends on luck: another seed gives other weights, and other test people give other scores. The interval of a
difference covers both. The p-values are corrected for the number of claims, and each claim says how small a difference
it could have found.
"""

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.05  # probability of any wrong verdict in a whole family of claims
POWER = 0.8  # share of repetitions in which a difference as large as `visible` would be found
NUMBERS = ("effect", "low", "high", "p", "visible", "seeds")  # of `difference`
WORDS = ("holds", "opposite", "no difference seen", "not tested")


def difference(per_seed, people_error, people):
    """Return {"effect", "low", "high", "p", "visible", "seeds"} of the difference of two detectors.

    per_seed: their difference with each seed (K,), all measured on the same people; people_error: the standard error of
    the mean of these over the people (`resampling.standard_error`); people: their number.
    The variance is that of the seeds and that of the people; their degrees of freedom, K - 1 and people - 1, are
    joined as by Welch and Satterthwaite. low, high: 95 % interval; p: two-sided; visible: the smallest true difference
    that would be found with the probability POWER. One seed tells nothing: all but the effect are then NaN.
    """
    per_seed = np.asarray(per_seed, float)
    seeds, effect = len(per_seed), per_seed.mean()
    none = {"effect": effect, "low": np.nan, "high": np.nan, "p": np.nan, "visible": np.nan, "seeds": seeds}
    if seeds < 2 or people <= 1:
        return none
    parts = np.array([per_seed.var(ddof=1) / seeds, people_error**2])
    error, freedom = np.sqrt(parts.sum()), np.array([seeds - 1, people - 1])
    if error == 0:  # the same to the last digit, with every seed and for every person
        return none | {"low": effect, "high": effect, "p": float(effect == 0), "visible": 0.0}
    joined = stats.t(parts.sum() ** 2 / (parts**2 / freedom).sum())
    reach = joined.ppf(1 - LEVEL / 2) * error
    return none | {"low": effect - reach, "high": effect + reach, "p": 2 * joined.sf(abs(effect) / error),
                   "visible": reach + joined.ppf(POWER) * error}  # fmt: skip


def expected(values):
    """Return (low, high), between which one more training, with another seed, falls with a probability of 95 %.

    values: of the known trainings; fewer than two give NaN.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return np.nan, np.nan
    reach = stats.t(len(values) - 1).ppf(1 - LEVEL / 2) * values.std(ddof=1) * np.sqrt(1 + 1 / len(values))
    return values.mean() - reach, values.mean() + reach


def holm(p):
    """Return the p-values of a family of claims, corrected so that LEVEL holds for all of them together; NaN stays.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p, corrected = np.asarray(p, float), np.full(len(p), np.nan)
    order = [index for index in np.argsort(p) if not np.isnan(p[index])]
    steps = [p[index] * (len(order) - rank) for rank, index in enumerate(order)]
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps)) if steps else []
    return corrected


def verdict(effect, p):
    """Return one of WORDS for the claim that the effect is positive; p: corrected, NaN if the claim was not tested."""
    holds, opposite, unseen, untested = WORDS
    if np.isnan(p):
        return untested
    return unseen if p >= LEVEL else holds if effect > 0 else opposite


def judge(claims):
    """Return a family of claims as a table with the columns p, corrected by `holm`, and verdict.

    claims: dicts, each with what `difference` returns and what names the claim; or a DataFrame of these.
    """
    table = pd.DataFrame(claims, columns=None if len(claims) else ["claim", "paper", *NUMBERS])
    table["p"] = holm(table["p"])
    return table.assign(verdict=[verdict(row.effect, row.p) for row in table.itertuples()])


def counts(table):
    """Return in words how many claims got each verdict; table: what `judge` returns."""
    found = table["verdict"].value_counts()
    return ", ".join(f"{found[word]} {word}" for word in WORDS if word in found)
