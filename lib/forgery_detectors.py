"""`python -m lib.forgery_detectors METHOD ...` trains detectors of forged faces and writes the score of each test face.

The networks of PEL's Tables 1-3 (Gu et al., AAAI 2022), trained by the same code on the same faces.
"""

import argparse
import dataclasses
import datetime
import re

import accelerate
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from lib import evaluate, paths, perturb, train
from lib.data import faces, landmarks, layouts
from lib.data.loading import Balanced, FaceImages
from lib.models import add_net, f3net, meso_net, multi_att, pel, xception
from lib.params import ParamsError, load

# The streams of PEL and whether they are enhanced: RGB and Freq are its streams alone and bare.
STREAMS = {"PEL": (pel.STREAMS, True), "RGB": (("rgb",), False), "Freq": (("freq",), False)}
METHODS = ("MesoNet", "Xception", "Add-Net", "F3-Net", "Multi-Att", *STREAMS)
SCORES = paths.RESULTS / "scores" / "pel"
LANDMARKS = {}  # path of a face: its landmarks
COLUMNS = ["train", "test", "label", "method", "video", "identity", "frame", "score"]

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
    others = [dataclasses.replace(forged, compression=c) for c in ("c23", "c40") if c != forged.compression]
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
            self.tables[name] = faces.prepare(self.params, self.sets[name])
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
        return spread(table, self.params.forgery_detectors.limit)

    def training(self):
        """Return the names to train on: data.forged, and those of `train_on` that are there; says which are not."""
        wanted = self.params.forgery_detectors.train_on
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


def make(method, params, seed):
    """Return a fresh network (the same for the same seed), its options as in checkpoints, and its loss.

    Raises ValueError for a method that is not in METHODS, RuntimeError where ImageNet weights cannot be had.
    """
    settings, size = params.forgery_detectors, params.faces.size
    slim = {"pretrained": settings.pretrained, "width": settings.width}
    maps = {"backbone": settings.attention_backbone, "pretrained": params.pel.pretrained,
            "n_maps": settings.attention_maps, "texture_stage": settings.texture_stage}  # fmt: skip
    makers = {
        "MesoNet": (meso_net.MesoNet, {"size": size}, meso_net.loss),
        "Xception": (xception.Xception, slim, xception.loss),
        "Add-Net": (add_net.ADDNet, slim, add_net.loss),
        "F3-Net": (f3net.F3Net, {"size": size, **slim}, xception.loss),
        "Multi-Att": (multi_att.MultiAtt, maps, multi_att.loss),
    }
    if method in STREAMS:
        streams, enhanced = STREAMS[method]
        return make_pel(params, streams, enhanced, enhanced, seed)
    if method not in makers:
        raise ValueError(f"method: {method!r} is not one of {', '.join(METHODS)}")
    network, options, loss = makers[method]
    train.seed_everything(seed)
    return network(**options), options, loss


def make_pel(params, streams, self_enhancement, mutual_enhancement, seed):
    """Return PEL, or some of its streams, with the options of params.pel; otherwise as `make`."""
    train.seed_everything(seed)
    options = {"backbone": params.pel.backbone, "streams": list(streams), "stride": params.pel.stride,
               "frequency_start": params.pel.frequency_start,
               "self_enhancement": self_enhancement, "mutual_enhancement": mutual_enhancement}  # fmt: skip
    return pel.PEL(pretrained=params.pel.pretrained, **options), options, pel.loss


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
        return {"val_auc": roc_auc_score(self.splits["val"]["label"], evaluate.predict(model, self.val))}


def images_for(method, table, size, flip=False, seed=0):
    """Return FaceImages of a table, for Add-Net with the attention mask of each face."""
    images = FaceImages(table, size, flip=flip, seed=seed)
    return landmarks.Masked(images, _landmarks(table)) if method == "Add-Net" else images


def _landmarks(table):
    """Return what landmarks.find does, and search each face once: that takes longer than to train on it."""
    fresh = table[~table["path"].isin(LANDMARKS)]
    LANDMARKS.update(zip(fresh["path"], landmarks.find(fresh), strict=True))
    return np.stack([LANDMARKS[path] for path in table["path"]])


def trained(method, params, name=None, seed=None, sets=None):
    """Train a method on the data set `name` (by default data.forged), or load it; return it and its history.

    PEL and RGB on data.forged have the budget of params.pel and are the checkpoints pel and pel_rgb; all others have
    that of params.forgery_detectors.training.
    """
    sets, seed = sets or FaceSets(params), params.seed if seed is None else seed
    own = name in (None, sets.own)
    settings = params.pel if own and method in ("PEL", "RGB") else params.forgery_detectors.training
    model, options, loss = make(method, params, seed)
    data = TrainingFaces(method, params, sets.table(name or sets.own))
    config = {"method": method, "model": options}
    checkpoint = checkpoint_name(method, "" if own else name) + ("" if seed == params.seed else f"_seed{seed}")
    return model, fit(model, loss, data, settings, checkpoint, seed, config, params)


def fit(model, loss, data, settings, name, seed, config, params):
    """Call train.fit on TrainingFaces: as many fakes as reals an epoch, the best by AUC on the validation people kept.

    A frequency stream first hears every frequency equally loud.
    """
    if "freq" in getattr(model, "streams", ()) and params.pel.frequency_start == "pretrained":
        model.standardise_frequencies(data.sample())
    balanced = Balanced(data.splits["train"], data.train, seed)
    if isinstance(model, multi_att.MultiAtt):
        model.regional.epoch_steps = max(1, len(balanced) // settings.batch_size)
    config = {**config, "faces": dataclasses.asdict(params.faces)}
    return train.fit(model, loss, balanced, settings, name, seed=seed, validate=data.validate, config=config,
                     decay_at=settings.decay_at)  # fmt: skip


def checkpoint_name(method, name=""):
    """Return the name of the checkpoint of a method trained on data.forged, or else on the data set `name`."""
    own = {"PEL": "pel", "RGB": "pel_rgb"} if not name else {}
    return own.get(method, "_".join(["forgery", *re.findall(r"\w+", f"{method} {name}".lower())]))


def robustness_test(change, strength):
    """Return the name of a test of `scores`: "Gaussian blur 7"."""
    return f"{change} {strength:.3g}"


def scores(method, model, params, name, sets):
    """Return the scores of a network that was trained on the data set `name`: COLUMNS, a row an image and test.

    test: each of `data_sets`, and each change and strength of perturb.PEL_TABLE3 on up to `curve_images` test faces of
    the training set, real and fake alike; Add-Net keeps the masks of the unchanged faces.
    """
    parts = []
    for test in sets.names:  # one after the other, since each set may fill the memory
        part = sets.test(test)
        parts.append(part.assign(test=test, score=evaluate.predict(model, images_for(method, part, params.faces.size))))
    few = spread(sets.test(name), params.forgery_detectors.curve_images)
    images = images_for(method, few, params.faces.size)
    for change, (function, strengths) in perturb.PEL_TABLE3.items():
        for strength in strengths[1:]:
            at = lambda image, rng, function=function, strength=strength: function(image, strength, rng)
            changed = perturb.Changed(images, few, at, params.seed, fakes_only=False)
            test = robustness_test(change, strength)
            parts.append(few.assign(test=test, score=evaluate.predict(model, changed)))
    return pd.concat(parts, ignore_index=True).assign(train=name)[COLUMNS]


def run(method, params, seed=None, sets=None):
    """Train a method on each training set, write results/scores/pel/METHOD.csv and return what is in it."""
    sets, rows = sets or FaceSets(params), []
    for name in sets.training():
        model, _ = trained(method, params, name, seed, sets)
        rows.append(scores(method, model, params, name, sets))
    table = pd.concat(rows, ignore_index=True)
    write_scores(score_file(method, params, seed), table)
    return table


def write_scores(file, table):
    """Write a table of scores, six digits a score."""
    paths.replace(file, lambda temporary: table.to_csv(temporary, index=False, float_format="%.6g"))


def read_scores(file):
    """Return a table of scores; names that are numbers stay text, so that 000 is not 0."""
    return pd.read_csv(file, dtype={"video": str, "identity": str})


def score_file(method, params, seed=None):
    """Return the path of the scores of a method."""
    return SCORES / (method + ("" if seed in (None, params.seed) else f"_seed{seed}") + ".csv")


def read(params, methods=METHODS, seed=None):
    """Return the scores of methods as one table with a column network; what has no score file is trained now."""
    sets, parts = FaceSets(params), []
    for method in methods:
        file = score_file(method, params, seed)
        table = read_scores(file) if file.is_file() else run(method, params, seed, sets)
        parts.append(table.assign(network=method))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", choices=METHODS, nargs="+", metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    try:
        params = load()
        sets = FaceSets(params)
        sets.cut()
        for method in arguments.methods:
            run(method, params, arguments.seed, sets)
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
