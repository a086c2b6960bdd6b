"""Which images of a table a detector of Beyond the Spectrum learns from: the photographs and the fakes of a source."""

import numpy as np
import pandas as pd

ALL = "all"  # the source that stands for the fakes of all generators together


def rows(table, split, label=None):
    """Return the rows of one split, or only its rows with one label, numbered from 0."""
    chosen = table["split"] == split if label is None else (table["split"] == split) & (table["label"] == label)
    return table[chosen].reset_index(drop=True)


def spread(table, count):
    """Return up to `count` photographs and up to `count` fakes, evenly spread over the rows, and so over the people."""
    parts = [part for _, part in table.groupby("label")]
    chosen = [part.iloc[np.linspace(0, len(part) - 1, min(count, len(part))).astype(int)] for part in parts]
    return pd.concat(chosen, ignore_index=True)


def sources(table):
    """Return the sources of a table: the name of each generator, then ALL; only ALL if there is one generator."""
    generators = sorted(table.loc[table["label"] == 1, "method"].unique())
    return [*(generators if len(generators) > 1 else []), ALL]


def of_source(table, generator):
    """Return the positions of the rows that are photographs or images of the generator (ALL: of any generator)."""
    return np.flatnonzero((table["label"] == 0) | (table["method"] == generator) | (generator == ALL))
