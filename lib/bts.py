"""How Beyond the Spectrum is trained and measured, step by step, as notebooks 02 and 03 show it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset

from lib import evaluate, paths, train
from lib.data import layouts
from lib.data.loading import Balanced, FaceImages
from lib.data.patches import Patches
from lib.data.residuals import Residuals
from lib.models.perceptual import Perceptual, re_synthesis_loss
from lib.models.rdn import RDN, box_mean, load_released
from lib.models.residual_detector import BeyondTheSpectrum, ResidualDetector, combine, detector_loss

ALL = "all"  # the name of a detector that is trained on the fakes of every generator
TABLE1 = {("ProGAN", "ProGAN"): "P_raw", ("StyleGAN", "StyleGAN"): "S_raw",
          ("ProGAN", "StyleGAN"): "PtoS_raw", ("StyleGAN", "ProGAN"): "StoP_raw"}  # fmt: skip


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


def train_re_synthesizer(params, table, name="re_synthesizer"):
    """Train Phi on the real photographs of a table: (RDN, its history, with the equation of each epoch).

    `re_synthesizer.pixel_epochs` epochs with Eq. 1 (kept as NAME_pixel), then `epochs` with Eq. 3. As released: a patch
    of each photograph an epoch, Adam, the learning rate halved after 30, 60 and 90 % of a run. The epoch with the least
    loss on the photographs of the validation people is kept. Where `re_synthesizer.weights` names released weights they
    are taken instead, and the history has one row, epoch 0.
    """
    settings, sizes = params.re_synthesizer, re_synthesizer_sizes(params)
    train.seed_everything(params.seed)
    model = RDN(**sizes).start_as_repetition()
    perceptual = Perceptual(settings.perceptual).to(train.device())
    photographs, held_out = rows(table, "train", 0), FaceImages(rows(table, "val", 0), settings.size)
    patches = Patches(FaceImages(photographs, settings.size), photographs, settings.patch, params.seed)

    def distance(rgb, output):
        return re_synthesis_loss(perceptual, rgb, output, settings.stage_weights, settings.loss)

    # X_down is made here, not by `re_synthesize`, because several GPUs wrap the model.
    def equation1(model, batch):
        return F.l1_loss(model(box_mean(batch["rgb"], settings.factor)), batch["rgb"])

    def equation3(model, batch):
        return distance(batch["rgb"], model(box_mean(batch["rgb"], settings.factor)))

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


class Views(Subset):
    """Some rows of a data set that depends on the epoch."""

    def set_epoch(self, epoch):
        self.dataset.set_epoch(epoch)


def train_detectors(params, table, re_synthesizer):
    """Train the detectors, once for each generator and once for all together, against the same photographs.

    As released: SGD with momentum, the learning rate divided by ten after half of the run, mirrored images. Each
    generator's BeyondTheSpectrum is checkpoints/bts_GENERATOR.safetensors, that of all is checkpoints/bts.safetensors.
    Returns {generator: (BeyondTheSpectrum, history)}; with a single generator only ALL.
    """
    untrained = _untrained(params, re_synthesizer)
    learn, check = (_items(params, rows(table, split), untrained, flip=split == "train") for split in ("train", "val"))
    trained = {}
    for generator in sources(table):
        model = _untrained(params, re_synthesizer)
        name = "bts" if generator == ALL else f"bts_{generator}"
        trained[generator] = model, _fit(params, table, generator, model, learn, check, name, detector_loss)
    return trained


def train_image_baseline(params, table):
    """Train the same ResNet on the images themselves, row Image of Table 1: {generator: (network, history)}."""
    settings, size = params.residual_detectors, params.re_synthesizer.size
    learn = FaceImages(rows(table, "train"), size, flip=True, seed=params.seed)
    check = FaceImages(rows(table, "val"), size)

    def loss(model, batch):
        return F.cross_entropy(model(batch["rgb"]), batch["label"].long())

    trained = {}
    for generator in sources(table):
        train.seed_everything(params.seed)
        model = ResidualDetector(3, settings.layers, settings.width)
        name = "image" if generator == ALL else f"image_{generator}"
        trained[generator] = model, _fit(params, table, generator, model, learn, check, name, loss)
    return trained


def sources(table):
    """Return what detectors are trained on: each generator of a table, then ALL; one generator alone is ALL."""
    generators = sorted(table.loc[table["label"] == 1, "method"].unique())
    return [*(generators if len(generators) > 1 else []), ALL]


def of_source(table, generator):
    """Return which rows are photographs or images of the generator (any, for ALL), as positions."""
    return np.flatnonzero((table["label"] == 0) | (table["method"] == generator) | (generator == ALL))


@torch.inference_mode()
def score(model, items):
    """Return the probability of being fake that each detector gives: a DataFrame, one row an item, in its order.

    Columns of a BeyondTheSpectrum: Pix, Stage1 .. Stage5 as it has them, and Avg, their combination (Eq. 4); of a
    ResidualDetector trained on the images: Image. The last column is the decision.
    """
    device, parts = train.device(), []
    model.to(device).eval()
    for batch in DataLoader(items, 32):
        rgb = batch["rgb"].to(device)
        if isinstance(model, ResidualDetector):
            parts.append(model.fake_probability(rgb)[:, None].cpu())
            continue
        residuals = [stage.to(device) for stage in batch["residuals"]] if "residuals" in batch else None
        stages = model.stage_probabilities(rgb, residuals)
        parts.append(torch.cat([stages, combine(stages, model.stage_weights)[:, None]], dim=1).cpu())
    stages = [f"Stage{stage}" if stage else "Pix" for stage in getattr(model, "stages", ())]
    return pd.DataFrame(torch.cat(parts).double().numpy(), columns=[*stages, "Avg"] if stages else ["Image"])


def measure(table, scored):
    """Measure scores against test images: a DataFrame, one row for each (method, trained_on, tested_on).

    table: the test images; scored: {trained on: what `score` returns}. An image counts as a frame, so that the columns
    are frame_accuracy, frame_auc, ... of `lib.evaluate.metrics`. Each generator is set against all photographs.
    """
    measured = []
    for trained_on, frame in scored.items():
        for tested_on in sources(table):
            chosen = of_source(table, tested_on)
            for method in frame:
                numbers = evaluate.metrics(table.iloc[chosen], frame[method].to_numpy()[chosen], level="frame")
                measured.append({"method": method, "trained_on": trained_on, "tested_on": tested_on, **numbers})
    return pd.DataFrame(measured)


def table1(measured):
    """Arrange the accuracies of `measure` as the raw columns of BTS Table 1, in percent, each with its interval."""
    table = []
    for method, group in measured.groupby("method", sort=False):
        row = {"method": method, "S": "/"} if method == "Image" else {"method": f"Ours ({method})", "S": "SR"}
        for result in group.to_dict("records"):
            column = TABLE1.get((result["trained_on"], result["tested_on"]))
            row |= evaluate.cell(column, result, "frame_accuracy") if column else {}
        table.append(row)
    return pd.DataFrame(table)


def test_items(params, table, re_synthesizer):
    """Return the test images as items, with their residuals where these are kept in memory."""
    return _items(params, rows(table, "test"), _untrained(params, re_synthesizer), flip=False)


def _untrained(params, re_synthesizer):
    shared, own = params.re_synthesizer, params.residual_detectors
    train.seed_everything(params.seed)
    model = BeyondTheSpectrum(re_synthesizer_sizes(params), shared.perceptual, own.stages, own.stage_weights,
                              own.width, own.layers, shared.size)  # fmt: skip
    model.re_synthesizer.load_state_dict(re_synthesizer.state_dict())
    return model.to(train.device()).eval()


def _items(params, table, model, flip):
    if not params.residual_detectors.in_memory:
        return FaceImages(table, params.re_synthesizer.size, flip=flip, seed=params.seed)
    images = FaceImages(table, params.re_synthesizer.size)
    return Residuals(images, lambda rgb: model.residuals(rgb.to(train.device())), flip=flip, seed=params.seed)


def _fit(params, table, generator, model, learn, check, name, loss):
    train_table, val_table = (rows(table, split) for split in ("train", "val"))
    learned, checked = of_source(train_table, generator), of_source(val_table, generator)
    train_set = Balanced(train_table.iloc[learned].reset_index(drop=True), Views(learn, learned), params.seed)
    val_set, labels = Subset(check, checked), val_table["label"].to_numpy()[checked]

    def validate(model):
        *stages, decision = score(model, val_set).items()
        stages = {f"val_auc_{name.lower()}": roc_auc_score(labels, scores) for name, scores in stages}
        return {"val_auc": roc_auc_score(labels, decision[1]), **stages}

    return train.fit(model, loss, train_set, params.residual_detectors, name, seed=params.seed, validate=validate,
                     config=getattr(model, "config", None), optimizer="sgd", decay_at=(0.5,))  # fmt: skip
