"""The images of Beyond the Spectrum and the re-synthesizers that learn from them (notebook 02)."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from lib import paths, train
from lib.data import layouts
from lib.data.loading import FaceImages
from lib.data.patches import Patches
from lib.models.auxiliary import TASKS
from lib.models.perceptual import Perceptual, re_synthesis_loss
from lib.models.rdn import RDN, box_mean, load_released

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


def re_synthesizer_sizes(params):
    """Return the arguments of RDN that params.yaml gives."""
    settings = params.re_synthesizer
    sizes = {key: getattr(settings, key) for key in ("num_features", "growth_rate", "num_blocks", "num_layers")}
    return {**sizes, "scale": settings.factor}


def train_re_synthesizer(params, table, task="", name="re_synthesizer"):
    """Train Phi on the real photographs of a table: (RDN, its history, with the equation of each epoch).

    task: what Omega does to X_down while it learns: "" (SR), "C" (SR+C) or "D" (SR+D); its name becomes NAME_TASK.
    `re_synthesizer.pixel_epochs` epochs with Eq. 1 (kept as NAME_pixel), then `epochs` with Eq. 3. As released: a patch
    of each photograph an epoch, Adam, the learning rate halved after 30, 60 and 90 % of a run. The epoch with the least
    loss on the photographs of the validation people is kept. Where `re_synthesizer.weights` names released weights they
    are taken instead, and the history has one row, epoch 0.
    """
    settings, sizes, degrade = params.re_synthesizer, re_synthesizer_sizes(params), TASKS[task]
    name = f"{name}_{task}" if task else name
    train.seed_everything(params.seed)
    model = RDN(**sizes).start_as_repetition()
    perceptual = Perceptual(settings.perceptual).to(train.device())
    photographs, held_out = rows(table, "train", 0), FaceImages(rows(table, "val", 0), settings.size)
    patches = Patches(FaceImages(photographs, settings.size), photographs, settings.patch, params.seed)

    def distance(rgb, output):
        return re_synthesis_loss(perceptual, rgb, output, settings.stage_weights, settings.loss)

    # X_down is made here, not by `re_synthesize`, because several GPUs wrap the model.
    def guess(model, batch):
        return model(degrade(box_mean(batch["rgb"], settings.factor), torch.default_generator))

    def equation1(model, batch):
        return F.l1_loss(guess(model, batch), batch["rgb"])

    def equation3(model, batch):
        return distance(batch["rgb"], guess(model, batch))

    @torch.inference_mode()
    def validate(model):
        pictures = (batch["rgb"].to(train.device()) for batch in DataLoader(held_out, 1))
        losses = pd.DataFrame([{k: v.item() for k, v in distance(x, model.re_synthesize(x)).items()} for x in pictures])
        return losses.mean().add_prefix("val_").to_dict()

    if settings.weights:
        load_released(model, paths.resolve(settings.weights)).to(train.device()).eval()
        history = pd.DataFrame([{"epoch": 0, **validate(model)}])
        train.save(model, paths.CHECKPOINTS / f"{name}.safetensors", sizes)
        paths.replace(paths.HISTORY / f"{name}.csv", lambda temporary: history.to_csv(temporary, index=False))
        return model, history.assign(equation="released")
    recipe = {"seed": params.seed, "validate": validate, "mode": "min", "config": sizes, "decay": 0.5,
              "decay_at": (0.3, 0.6, 0.9)}  # fmt: skip
    parts = []
    if settings.pixel_epochs:
        first = replace(settings, epochs=settings.pixel_epochs, learning_rate=settings.pixel_learning_rate)
        parts += [train.fit(model, equation1, patches, first, f"{name}_pixel", monitor="val_pixel", **recipe)]
    parts += [train.fit(model, equation3, patches, settings, name, monitor="val_loss", **recipe)]
    equations = ["Eq. 1", "Eq. 3"][-len(parts) :]
    history = pd.concat([part.assign(equation=e) for part, e in zip(parts, equations, strict=True)], ignore_index=True)
    return model, history.assign(epoch=history.index + 1)


def sources(table):
    """Return what detectors are trained on: each generator of a table, then ALL; one generator alone is ALL."""
    generators = sorted(table.loc[table["label"] == 1, "method"].unique())
    return [*(generators if len(generators) > 1 else []), ALL]


def of_source(table, generator):
    """Return which rows are photographs or images of the generator (any, for ALL), as positions."""
    return np.flatnonzero((table["label"] == 0) | (table["method"] == generator) | (generator == ALL))
