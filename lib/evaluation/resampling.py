"""How sure is a number? The bootstrap over people: images of one person are not independent, so people are drawn."""

import numpy as np
import pandas as pd

WEIGHTS = 4_000_000  # made at a time, so that memory does not grow with the number of items


def draws(people, count=1000, seed=0):
    """Return how often each person is in each resample (count, people); a row adds up to the number of people.

    seed: a number, or a NumPy generator, which is drawn from where it stands.
    """
    return np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), count)


def percentiles(values):
    """Return (low, high), the 95 % interval of values (..., resamples); a resample whose value is NaN is left out."""
    return np.nanpercentile(values, [2.5, 97.5], axis=-1)


def interval(identities, statistic, count=1000, seed=0):
    """Return (low, high), the 95 % interval of a statistic over `count` resamples of the people.

    identities: whose each of the n items is; statistic: weights (R, n), how often each item is in each of R resamples,
    -> values (..., R).
    """
    codes, people = pd.factorize(identities)
    drawn = draws(len(people), count, seed)
    chunks = np.array_split(drawn, max(1, count * len(codes) // WEIGHTS))
    return percentiles(np.concatenate([statistic(chunk[:, codes]) for chunk in chunks], axis=-1))
