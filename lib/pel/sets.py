"""The faces of PEL's tables: which data sets exist, and which of their faces are for training and for testing."""

import accelerate
import numpy as np
import pandas as pd
import torch

from lib import paths
from lib.data import check, layouts
from lib.data import faces as data_faces
from lib.training import processes

QUALITIES = {"c23": "FF++(HQ)", "c40": "FF++(LQ)", "raw": "FF++(raw)"}
SETS = {"WildDeepfake": "WildDeepfake", "Celeb-DF-v2": "CelebDF", "Celeb-DF-v2-all": "CelebDF",
        "DeepfakeDetection": "DFD", "DFDC": "DFDC", "DFDC-40-49": "DFDC"}  # fmt: skip


def set_name(data_set):
    """Return the name of a params.DataSet in the paper's tables, or of its folder if the tables do not have it."""
    if data_set.layout == "FaceForensics++":
        return QUALITIES[data_set.compression]
    return SETS.get(data_set.layout, paths.resolve(data_set.root).name)


def data_sets(data):
    """Return {name: params.DataSet}: data.forged, its other compressions on disk (c23, c40), then data.cross_forged.

    Raises ValueError if a set of data.cross_forged has the name of another set.
    """
    named = {}
    for data_set in layouts.forged(data):
        name = set_name(data_set)
        if name in named and data_set in data.cross_forged:
            raise ValueError(f"data.cross_forged: {data_set.root} would be a second {name}: name each set once")
        named[name] = data_set
    return named


class FaceSets:
    """The faces of each of `data_sets`, cut out of the videos when a set is first used.

    data, faces, pel_detectors: sections of params.yaml; seed: of the splits of a data set that has no official ones.
    Attributes: names, the names of all sets; own, the name of data.forged. It prints which sets of `train_on` are
    missing.
    """

    def __init__(self, data, faces, pel_detectors, seed):
        self.sets, self.faces, self.seed, self.tables = data_sets(data), faces, seed, {}
        self.limit, self.train_on = pel_detectors.limit, pel_detectors.train_on
        self.names, self.own = list(self.sets), next(iter(self.sets))
        for name in set(self.train_on) - set(self.names):
            print(f"{name} is not among {', '.join(self.names)}: name it in data.cross_forged to train on it, too")

    def table(self, name):
        """Return the faces of a data set, the table that `faces.prepare` makes."""
        if name not in self.tables:
            data_set, table = self.sets[name], data_faces.prepare(self.sets[name], self.faces, self.seed)
            if data_set.layout not in layouts.VIDEO_LAYOUTS:
                check.between({name: (data_set, table)}, self.faces.size)
            self.tables[name] = table
        return self.tables[name]

    def seen(self, name):
        """Return the section faces with the size of the images that a detector of this data set sees."""
        return self.faces.replace(size=self.sets[name].size or self.faces.size)

    def cut(self):
        """Cut the faces of every data set; under torchrun only one process cuts, and the others wait."""
        cpu = not torch.cuda.is_available()
        with accelerate.PartialState(cpu=cpu, timeout=processes.PATIENCE).main_process_first():
            for name in self.names:
                self.table(name)

    def test(self, name):
        """Return the faces of a set that every detector is tested on: up to `limit`, as a table.

        Of data.forged, FaceForensics++ and WildDeepfake they are the test split, of every other set all faces.
        """
        table = self.table(name)
        if name == self.own or self.sets[name].layout in ("FaceForensics++", "WildDeepfake"):
            table = table[table["split"] == "test"]
        return spread(table, self.limit)

    def training(self):
        """Return the names of the sets to train on: data.forged, and those sets of `train_on` that exist."""
        return [name for name in self.names if name == self.own or name in self.train_on]


def spread(table, count):
    """Return about `count` rows of a table (0: all), evenly spread, with the same share of fakes as the table."""
    if count and count < len(table):
        parts = [part for _, part in table.groupby("label")]
        rows = [np.linspace(0, len(p) - 1, max(1, round(count * len(p) / len(table)))).astype(int) for p in parts]
        table = pd.concat([part.iloc[np.unique(chosen)] for part, chosen in zip(parts, rows, strict=True)])
    return table.reset_index(drop=True)
