"""The training of every detector of Beyond the Spectrum's Tables 1 to 3: one budget, one loop, one choice of images."""

from pathlib import Path

import pandas as pd
from sklearn.metrics import roc_auc_score

from lib import detectors, paths
from lib.bts import sets
from lib.data.items import Balanced, FaceImages
from lib.evaluation.predict import opinions
from lib.training import checkpoints, staleness
from lib.training.device import device
from lib.training.fit import fit


def train(name, table, source, size, budget, seed, *, scene="", file=None, **sections):
    """Train a detector of the list against the images of a source, or load it: (model, its history or None).

    table: of photographs and GAN images; source: one of `sets.sources(table)`; size: of the images in pixels; budget:
    the section residual_detectors, which all networks share: SGD with momentum, the learning rate divided by ten after
    half of the run; scene: in whose folder its weights and those of the re-synthesizers lie; file: of the weights
    instead; sections: those that its options come from. The best epoch by AUC on the validation people is kept.
    """
    entry = detectors.entry(name)
    model, options = network(entry, size, seed, scene, residual_detectors=budget, **sections)
    learn, check = (sets.rows(table.iloc[sets.of_source(table, source)], split) for split in ("train", "val"))
    images = FaceImages(learn, size, flip=entry.flip, seed=seed), FaceImages(check, size)
    learn_items, check_items = (entry.items(part, model) if budget.in_memory else part for part in images)
    file, config = file or weights(name, source, scene), {"detector": name, "options": options, "size": size}
    depends_on = {"images": [staleness.images(part) for part in (learn, check)], "size": size, "flip": entry.flip,
                  "code": (__name__ if entry.loss else FaceImages.__module__, *entry.code)}  # fmt: skip
    if entry.loss is None:
        path, key = checkpoints.file(file), staleness.key(config=config, seed=seed, **depends_on)
        if checkpoints.config(path).get("key") != key:
            options |= model.learn(learn_items, learn, check_items, check)
            checkpoints.save(model, path, {**config, "key": key})
        return detectors.restore(*checkpoints.load(path)), None
    train_set = Balanced(learn, learn_items, seed)
    if hasattr(model, "prepare"):
        model.prepare(learn_items, max(1, len(train_set) // budget.batch_size))
    labels = check["label"].to_numpy()

    def validate(model):
        *stages, decision = opinions(model, check_items).items()
        stages = {f"val_auc_{stage.lower()}": roc_auc_score(labels, scores) for stage, scores in stages}
        return {"val_auc": roc_auc_score(labels, decision[1]), **stages}

    return model, fit(model, entry.loss, train_set, budget, file, seed=seed, depends_on=depends_on, validate=validate,
                      config=config, optimizer="sgd", decay_at=(0.5,))  # fmt: skip


def network(entry, size, seed, scene="", **sections):
    """Return the fresh network of an Entry, on the device, with the trained parts that it starts from; its options.

    Raises FileNotFoundError that names the stage which trains such a part.
    """
    model, options = entry.make(seed, size, **sections)
    for part, name in getattr(model, "trained_parts", {}).items():
        state, _ = checkpoints.load(checkpoints.file(f"bts/{scene}/{name}" if scene else name))
        model.get_submodule(part).load_state_dict(state)
    return model.to(device()).eval(), options


def load(name, source, scene=""):
    """Return what `train` has trained: (model in eval mode, its history or None). Trains nothing.

    Raises FileNotFoundError that names the stage to run.
    """
    file = weights(name, source, scene)
    model, history = detectors.restore(*checkpoints.load(checkpoints.file(file))), paths.HISTORY / f"{file}.csv"
    return model, pd.read_csv(history) if history.is_file() else None


def weights(name, source, scene=""):
    """Return the name of the weights of a detector that is trained against a source, for `checkpoints.file`."""
    return Path("bts", scene, f"{name}_{source}").as_posix()
