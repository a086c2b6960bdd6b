"""The faces of PEL's tables: which data sets there are, what each network learns from and is tested on."""

import datetime

import accelerate
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from lib import paths
from lib.data import faces, layouts
from lib.data.items import FaceImages
from lib.evaluation.predict import predict
from lib.rivals import add_net_masks

LANDMARKS = {}  # path of a face: its landmarks


QUALITIES = {"c23": "FF++(HQ)", "c40": "FF++(LQ)", "raw": "FF++(raw)"}


SETS = {"WildDeepfake": "WildDeepfake", "Celeb-DF-v2": "CelebDF", "Celeb-DF-v2-all": "CelebDF",
        "DeepfakeDetection": "DFD", "DFDC": "DFDC", "DFDC-40-49": "DFDC"}  # fmt: skip


def set_name(data_set):
    """Return what the paper's tables call a params.DataSet; another one goes by the name of its folder."""
    if data_set.layout == "FaceForensics++":
        return QUALITIES[data_set.compression]
    return SETS.get(data_set.layout, paths.resolve(data_set.root).name)


def data_sets(params):
    """Return {name: params.DataSet}: data.forged, its other quality where that is on disk, then data.cross_forged.

    Raises ValueError where two of them have one name.
    """
    forged = params.data.forged
    others = [forged.replace(compression=c) for c in ("c23", "c40") if c != forged.compression]
    twins = [twin for twin in others if forged.layout == "FaceForensics++" and _on_disk(twin)]
    named = {}
    for data_set in (forged, *twins, *params.data.cross_forged):
        name = set_name(data_set)
        if name in named and data_set in params.data.cross_forged:
            raise ValueError(f"data.cross_forged: {data_set.root} would be a second {name}: name each set once")
        named[name] = data_set
    return named


def _on_disk(data_set):
    try:
        return len(layouts.videos(data_set)) > 0
    except FileNotFoundError:
        return False


class FaceSets:
    """The faces of each of `data_sets`, cut out of their videos when they are first asked for.

    Their names are `names`, that of data.forged is `own`.
    """

    def __init__(self, params):
        self.params, self.sets, self.tables = params, data_sets(params), {}
        self.names, self.own = list(self.sets), next(iter(self.sets))

    def table(self, name):
        """Return the table of faces.prepare of a data set."""
        if name not in self.tables:
            self.tables[name] = faces.prepare(self.sets[name], self.params.faces, self.params.seed)
        return self.tables[name]

    def cut(self):
        """Cut the faces of every data set; of several processes under torchrun one cuts, and the others wait."""
        cpu, patience = not torch.cuda.is_available(), datetime.timedelta(days=7)
        with accelerate.PartialState(cpu=cpu, timeout=patience).main_process_first():
            for name in self.names:
                self.table(name)

    def test(self, name):
        """Return the faces that every network is tested on: up to `limit`, as a table.

        The test split of data.forged and of sets with an official one, FaceForensics++ and WildDeepfake; all of others.
        """
        table = self.table(name)
        if name == self.own or self.sets[name].layout in ("FaceForensics++", "WildDeepfake"):
            table = table[table["split"] == "test"]
        return spread(table, self.params.pel_detectors.limit)

    def training(self):
        """Return the names to train on: data.forged, and those of `train_on` that are there; says which are not."""
        wanted = self.params.pel_detectors.train_on
        for name in set(wanted) - set(self.names):
            print(f"{name} is not among {', '.join(self.names)}: name it in data.cross_forged to train on it, too")
        return [name for name in self.names if name == self.own or name in wanted]


def spread(table, count):
    """Return at most `count` rows of a table (0: all), as many real as fake ones are to each other, evenly spread."""
    if count and count < len(table):
        parts = [part for _, part in table.groupby("label")]
        rows = [np.linspace(0, len(p) - 1, max(1, round(count * len(p) / len(table)))).astype(int) for p in parts]
        table = pd.concat([part.iloc[np.unique(chosen)] for part, chosen in zip(parts, rows, strict=True)])
    return table.reset_index(drop=True)


class TrainingFaces:
    """The faces that a method learns from: train (mirrored at random) and val, images of the parts of a table.

    Raises ValueError for a table that lacks one of both splits.
    """

    def __init__(self, method, params, table):
        self.splits = {name: part.reset_index(drop=True) for name, part in table.groupby("split")}
        absent = {"train", "val"} - set(self.splits)
        if absent:
            raise ValueError(f"no face in split {', '.join(sorted(absent))}: this data set is for testing only")
        size = params.faces.size
        self.train = images_for(method, self.splits["train"], size, flip=True, seed=params.seed)
        self.val = images_for(method, self.splits["val"], size)

    def sample(self):
        """Return up to 256 training images (n, 3, size, size) at equal intervals."""
        return torch.stack([self.train[i]["rgb"] for i in range(0, len(self.train), -(-len(self.train) // 256))])

    def validate(self, model):
        return {"val_auc": roc_auc_score(self.splits["val"]["label"], predict(model, self.val))}


def images_for(method, table, size, flip=False, seed=0):
    """Return FaceImages of a table, for Add-Net with the attention mask of each face."""
    images = FaceImages(table, size, flip=flip, seed=seed)
    return add_net_masks.Masked(images, _landmarks(table)) if method == "Add-Net" else images


def _landmarks(table):
    """Return what landmarks.find does, and search each face once: that takes longer than to train on it."""
    fresh = table[~table["path"].isin(LANDMARKS)]
    LANDMARKS.update(zip(fresh["path"], add_net_masks.find(fresh), strict=True))
    return np.stack([LANDMARKS[path] for path in table["path"]])
