"""The images of Beyond the Spectrum: photographs and GAN images, which of them a detector learns from."""

import numpy as np

from lib.data import layouts

ALL = "all"  # the name of a detector that is trained on the fakes of every generator


def image_table(params, data_set=None):
    """Return the table of the photographs and GAN images, at most `re_synthesizer.limit` a source and split."""
    table = layouts.images(data_set or params.data.generated, params.seed)
    limit = params.re_synthesizer.limit
    return table.groupby(["method", "split"], sort=False).head(limit).reset_index(drop=True) if limit else table


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
