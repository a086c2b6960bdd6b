"""The training of all detectors of Beyond the Spectrum's Tables 1 to 3: the same budget, loop and images for each."""

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
    """Train a detector against the images of a source, or load it: (model, its history or None).

    name: of an entry of lib.detectors; table: of photographs and GAN images; source: one of `sets.sources(table)`;
    size: side of an image in pixels; budget: the section residual_detectors, which all networks share: SGD with
    momentum, the learning rate divided by ten after half of the epochs; scene: "" or the scene whose folder holds the
    weights of the detector and of the re-synthesizers; file: another name for the weights; sections: of params.yaml,
    for the options of the detector. The epoch with the best AUC on the validation people is kept. A detector that does
    not learn in epochs has no history.
    """
    entry = detectors.entry(name)
    model, options = network(entry, size, seed, scene, residual_detectors=budget, **sections)
    learn, check = (sets.rows(table.iloc[sets.of_source(table, source)], split) for split in ("train", "val"))
    images = FaceImages(learn, size, flip=entry.flip, seed=seed), FaceImages(check, size)
    learn_items, check_items = (entry.items(part, model) for part in images)
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
    """Return the untrained network of an Entry, on the device and with its `trained_parts` loaded, and its options.

    Raises FileNotFoundError that names the stage to run for a trained part that is missing.
    """
    model, options = entry.make(seed, size, **sections)
    for part, name in getattr(model, "trained_parts", {}).items():
        state, _ = checkpoints.load(part_file(name, scene))
        model.get_submodule(part).load_state_dict(state)
    return model.to(device()).eval(), options


def part_file(name, scene=""):
    """Return the path of the weights of a trained part of detectors, such as "re_synthesizer/SR"."""
    return checkpoints.file(f"bts/{scene}/{name}" if scene else name)


def load(name, source, scene=""):
    """Return what `train` has trained, without training: (model in eval mode, its history or None).

    Raises FileNotFoundError that names the stage to run.
    """
    file = weights(name, source, scene)
    model, history = detectors.restore(*checkpoints.load(checkpoints.file(file))), paths.HISTORY / f"{file}.csv"
    return model, pd.read_csv(history) if history.is_file() else None


def weights(name, source, scene=""):
    """Return the name, for `checkpoints.file`, of the weights of a detector that is trained against a source."""
    return Path("bts", scene, f"{name}_{source}").as_posix()
