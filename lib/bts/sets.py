"""Which images of a table a detector of Beyond the Spectrum learns from: photographs, and those of a generator."""

import numpy as np

ALL = "all"  # the name of a detector that is trained on the fakes of every generator


def rows(table, split, label=None):
    """Return the rows of one split (of one label), numbered anew."""
    chosen = table["split"] == split if label is None else (table["split"] == split) & (table["label"] == label)
    return table[chosen].reset_index(drop=True)


def sources(table):
    """Return what detectors are trained on: each generator of a table, then ALL; one generator alone is ALL."""
    generators = sorted(table.loc[table["label"] == 1, "method"].unique())
    return [*(generators if len(generators) > 1 else []), ALL]


def of_source(table, generator):
    """Return which rows are photographs or images of the generator (any, for ALL), as positions."""
    return np.flatnonzero((table["label"] == 0) | (table["method"] == generator) | (generator == ALL))
