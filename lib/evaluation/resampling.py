"""How sure a number is: the bootstrap draws people, not images, because images of one person are not independent."""

import numpy as np
import pandas as pd
from scipy import stats

WEIGHTS = 4_000_000  # made at a time, so that memory does not grow with the number of items


def draws(people, count=1000, seed=0):
    """Return how often each person is in each resample (count, people); a row adds up to the number of people.

    seed: a number, or a NumPy generator, whose stream goes on.
    """
    return np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), count)


def percentiles(values, people):
    """Return (low, high), the 95 % interval of values (..., resamples) over `people` people; NaN values are left out.

    The percentiles are further out than 2.5 and 97.5, because a small sample varies less than the people that it stands
    for (Hesterberg, "What teachers should know about the bootstrap", 2015: the expanded percentile interval). One
    person has no interval: NaN.
    """
    if people <= 1:
        return np.full((2, *np.shape(values)[:-1]), np.nan)
    low = 100 * stats.norm.cdf(np.sqrt(people / (people - 1)) * stats.t.ppf(0.025, people - 1))
    return np.nanpercentile(values, [low, 100 - low], axis=-1)


def interval(identities, statistic, count=1000, seed=0, labels=None):
    """Return (low, high), the 95 % interval of a statistic over the people; the arguments are those of `resampled`."""
    return percentiles(resampled(identities, statistic, count, seed, labels), equal_people(identities, labels))


def standard_error(identities, statistic, count=1000, seed=0, labels=None):
    """Return the standard error of a statistic over the people; the arguments are those of `resampled`."""
    people = equal_people(identities, labels)
    spread = np.nanstd(resampled(identities, statistic, count, seed, labels), axis=-1)
    return spread * np.sqrt(people / (people - 1)) if people > 1 else np.full_like(spread, np.nan)


def equal_people(identities, labels=None):
    """Return the effective number of people: how many with equally many items would tell as much (Kish).

    labels: the class of each item; if given, the number is that of the class with the fewest.
    """
    classes = np.zeros(len(identities)) if labels is None else np.asarray(labels)
    items = pd.Series(classes).groupby([classes, np.asarray(identities)]).size()
    return items.groupby(level=0).agg(lambda part: part.sum() ** 2 / (part**2).sum()).min()


def resampled(identities, statistic, count=1000, seed=0, labels=None):
    """Return the values (..., count) of a statistic in `count` resamples of the people.

    identities: whose each of the n items is; statistic: weights (R, n), how often each item is in each of R resamples,
    -> values (..., R). labels: the class of each item. If given, people with items of one class, of the other and of
    both are drawn separately, and weights are scaled so that each class keeps its share of the items: otherwise an
    accuracy would also vary with the share of fakes, which has nothing to do with who was drawn.
    """
    codes, people = pd.factorize(identities)
    classes = [np.ones(len(codes), bool)] if labels is None else [np.asarray(labels) == c for c in np.unique(labels)]
    has = np.stack([np.bincount(codes[kind], minlength=len(people)) > 0 for kind in classes])
    rng, drawn = np.random.default_rng(seed), np.empty((count, len(people)), int)
    for stratum in np.unique(has, axis=1).T:
        members = (has == stratum[:, None]).all(axis=0)
        drawn[:, members] = draws(members.sum(), count, rng)

    def values(chunk):
        weights = chunk[:, codes]
        if labels is not None:
            weights = weights.astype(float)
            for kind in classes:
                with np.errstate(invalid="ignore"):  # a class that is not in the resample gives NaN
                    weights[:, kind] *= kind.sum() / weights[:, kind].sum(axis=1, keepdims=True)
        return statistic(weights)

    chunks = np.array_split(drawn, max(1, count * len(codes) // WEIGHTS))
    return np.concatenate([values(chunk) for chunk in chunks], axis=-1)
