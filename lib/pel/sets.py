"""The faces of PEL's tables: which data sets there are, what is learned from and what is tested on."""

import datetime

import accelerate
import numpy as np
import pandas as pd
import torch

from lib import paths
from lib.data import faces as data_faces
from lib.data import layouts

QUALITIES = {"c23": "FF++(HQ)", "c40": "FF++(LQ)", "raw": "FF++(raw)"}
SETS = {"WildDeepfake": "WildDeepfake", "Celeb-DF-v2": "CelebDF", "Celeb-DF-v2-all": "CelebDF",
        "DeepfakeDetection": "DFD", "DFDC": "DFDC", "DFDC-40-49": "DFDC"}  # fmt: skip


def set_name(data_set):
    """Return what the paper's tables call a params.DataSet; another one goes by the name of its folder."""
    if data_set.layout == "FaceForensics++":
        return QUALITIES[data_set.compression]
    return SETS.get(data_set.layout, paths.resolve(data_set.root).name)


def data_sets(data):
    """Return {name: params.DataSet}: data.forged, its other quality where that is on disk, then data.cross_forged.

    Raises ValueError where two of them have one name.
    """
    named = {}
    for data_set in layouts.forged(data):
        name = set_name(data_set)
        if name in named and data_set in data.cross_forged:
            raise ValueError(f"data.cross_forged: {data_set.root} would be a second {name}: name each set once")
        named[name] = data_set
    return named


class FaceSets:
    """The faces of each of `data_sets`, cut out of their videos when they are first asked for.

    Their names are `names`, that of data.forged is `own`. data, faces, pel_detectors: sections of params.yaml;
    seed: of the splits of a data set that has no official ones. Says which sets of `train_on` are not there.
    """

    def __init__(self, data, faces, pel_detectors, seed):
        self.sets, self.faces, self.seed, self.tables = data_sets(data), faces, seed, {}
        self.limit, self.train_on = pel_detectors.limit, pel_detectors.train_on
        self.names, self.own = list(self.sets), next(iter(self.sets))
        for name in set(self.train_on) - set(self.names):
            print(f"{name} is not among {', '.join(self.names)}: name it in data.cross_forged to train on it, too")

    def table(self, name):
        """Return the table of faces.prepare of a data set."""
        if name not in self.tables:
            self.tables[name] = data_faces.prepare(self.sets[name], self.faces, self.seed)
        return self.tables[name]

    def cut(self):
        """Cut the faces of every data set; of several processes under torchrun one cuts, and the others wait."""
        cpu, patience = not torch.cuda.is_available(), datetime.timedelta(days=7)
        with accelerate.PartialState(cpu=cpu, timeout=patience).main_process_first():
            for name in self.names:
                self.table(name)

    def test(self, name):
        """Return the faces that every detector is tested on: up to `limit`, as a table.

        The test split of data.forged and of sets with an official one, FaceForensics++ and WildDeepfake; all of others.
        """
        table = self.table(name)
        if name == self.own or self.sets[name].layout in ("FaceForensics++", "WildDeepfake"):
            table = table[table["split"] == "test"]
        return spread(table, self.limit)

    def training(self):
        """Return the names to train on: data.forged, and those of `train_on` that are there."""
        return [name for name in self.names if name == self.own or name in self.train_on]


def spread(table, count):
    """Return at most `count` rows of a table (0: all), as many real as fake ones are to each other, evenly spread."""
    if count and count < len(table):
        parts = [part for _, part in table.groupby("label")]
        rows = [np.linspace(0, len(p) - 1, max(1, round(count * len(p) / len(table)))).astype(int) for p in parts]
        table = pd.concat([part.iloc[np.unique(chosen)] for part, chosen in zip(parts, rows, strict=True)])
    return table.reset_index(drop=True)
