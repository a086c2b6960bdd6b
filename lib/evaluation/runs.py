"""Numbers of several trainings of one recipe: means over the seeds, with intervals over the seeds and the people."""

import numpy as np

from lib.evaluation import resampling, verdicts
from lib.evaluation.metrics import METRICS, metrics, videos, weighted


def measure(tables, level="both", n_bootstrap=1000, seed=0):
    """Return what `metrics` returns, for tables of scores, one a training seed, all of the same items.

    tables: as in `metrics`, with a column score. With one table, the intervals are those over the people alone.
    """
    several, first = len(tables) > 1, tables[0]
    result = metrics(first, first["score"], level, n_bootstrap=1 if several else n_bootstrap, seed=seed)
    for name, items in (("frame", tables), ("video", [videos(table) for table in tables])) if several else ():
        if level in (name, "both"):
            statistic = lambda table, weights: weighted(table["label"].to_numpy(), table["score"].to_numpy(), weights)
            for metric, found in zip(METRICS, over_seeds(items, statistic, n_bootstrap, seed), strict=True):
                ends = {"": "effect", "_low": "low", "_high": "high"}
                result |= {f"{name}_{metric}{end}": float(found[key]) for end, key in ends.items()}
    return result


def over_seeds(tables, statistic, draws=1000, seed=0):
    """Return [`verdicts.difference` of each value of a statistic], for tables of the same items, one a training seed.

    tables: with columns label and identity; statistic: (table, weights (R, n)) -> (values, R). With one table, low and
    high are the interval over the people alone.
    """
    first, label = tables[0], tables[0]["label"].to_numpy()
    mean = lambda weights: np.mean([statistic(table, weights) for table in tables], axis=0)
    per_seed = np.stack([statistic(table, np.ones((1, len(label))))[:, 0] for table in tables])
    drawn = first["identity"], mean, draws, seed, label
    if len(tables) == 1:
        none = {"p": np.nan, "visible": np.nan, "seeds": 1}
        found = zip(per_seed[0], *resampling.interval(*drawn), strict=True)
        return [{"effect": effect, "low": low, "high": high, **none} for effect, low, high in found]
    people, errors = resampling.equal_people(first["identity"], label), resampling.standard_error(*drawn)
    return [verdicts.difference(*given, people) for given in zip(per_seed.T, errors, strict=True)]
