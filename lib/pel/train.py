"""The detectors of PEL's Tables 1 to 3, trained by the same code on the same faces."""

import re

import pandas as pd
from sklearn.metrics import roc_auc_score

from lib import detectors, paths
from lib.data.augment import Augmented
from lib.data.items import Balanced, FaceImages
from lib.evaluation.predict import predict
from lib.training import checkpoints, staleness
from lib.training.device import device
from lib.training.fit import fit


def budget(name, pel, pel_detectors):
    """Return the params.Training of a detector: that of `pel`, with a learning rate of its own if one is named."""
    rate = pel_detectors.learning_rates.get(name, pel.training.learning_rate)
    return pel.training.replace(learning_rate=rate)


def weights(name, data_set=""):
    """Return the name of the weights of a detector, such as "pel/PEL".

    data_set: the set that it learns from, only if that is not data.forged ("pel/PEL_FF_LQ").
    """
    words = re.findall(r"\w+", data_set)
    return f"pel/{'_'.join([name, *words])}"


def train(entry, table, faces, budget, seed, name, **sections):
    """Train a detector on the splits train and val of a table of faces, or load it if nothing has changed since.

    entry: of the detector in lib.detectors; faces: the section by which the faces of the table were cut; budget: a
    params.Training; name: of the weights; sections: of params.yaml, for the options of the detector.
    An epoch has as many fake as real faces, mirrored at random if `entry.flip`; a share of them, `budget.augment`, is
    changed at random (lib.data.augment). The epoch with the best AUC on the validation people is kept. Returns the
    network and its history.
    Raises ValueError for a table that lacks a split, RuntimeError if ImageNet weights cannot be loaded.
    """
    splits = {split: part.reset_index(drop=True) for split, part in table.groupby("split")}
    if absent := {"train", "val"} - set(splits):
        raise ValueError(f"no face in split {', '.join(sorted(absent))}: this data set is for testing only")
    model, options = entry.make(seed, faces.size, **sections)
    examples = entry.examples(FaceImages(splits["train"], faces.size, flip=entry.flip, seed=seed))
    learned, checked = (entry.items(images, model) for images in (examples, FaceImages(splits["val"], faces.size)))
    varied = Augmented(learned, budget.augment, seed) if budget.augment else learned
    balanced = Balanced(splits["train"], varied, seed)
    if hasattr(model, "prepare"):
        model.prepare(learned, max(1, len(balanced) // budget.batch_size))
    seen = pd.concat([splits["train"], splits["val"]]).drop(columns="mask", errors="ignore")
    history = fit(
        model,
        entry.loss,
        balanced,
        budget,
        name,
        seed=seed,
        depends_on={"images": staleness.images(seen), "size": faces.size, "code": (__name__, *entry.code)},
        validate=lambda model: {"val_auc": roc_auc_score(splits["val"]["label"], predict(model, checked))},
        config={"detector": entry.name, "options": options, "faces": faces.model_dump(exclude={"workers"})},
        decay_at=budget.decay_at,
    )
    return model, history


def load(name):
    """Return a trained network, in eval mode, and its history; name: of its weights, such as "pel/PEL".

    Raises FileNotFoundError that names the stage to run, and ValueError for a file that holds no detector.
    """
    model = detectors.restore(*checkpoints.load(checkpoints.file(name)))
    return model.to(device()), pd.read_csv(paths.HISTORY / f"{name}.csv")
