"""The trainings of Beyond the Spectrum: the re-synthesizers, and every detector of its Tables 1 to 3."""

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F
from torch.utils.data import DataLoader

from lib import paths
from lib.backbones.resnet import ResidualDetector, image_loss
from lib.bts import sets
from lib.bts.degradations import TASKS
from lib.bts.detector import BeyondTheSpectrum, detector_loss
from lib.bts.patches import Patches
from lib.bts.perceptual import Perceptual, re_synthesis_loss
from lib.bts.predict import stage_scores
from lib.bts.re_synthesizer import RDN, box_mean, load_released
from lib.bts.residuals import Residuals
from lib.bts.sets import rows
from lib.data.items import Balanced, FaceImages
from lib.params import ParamsError
from lib.rivals import prnu, spectrum_1d
from lib.rivals.gram_net import GramNet
from lib.rivals.spectrum_2d import FrequencyDetector
from lib.training import checkpoints
from lib.training.device import device, seed_everything
from lib.training.fit import fit


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
    seed_everything(params.seed)
    model = RDN(**sizes).start_as_repetition()
    perceptual = Perceptual(settings.perceptual).to(device())
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
        pictures = (batch["rgb"].to(device()) for batch in DataLoader(held_out, 1))
        losses = pd.DataFrame([{k: v.item() for k, v in distance(x, model.re_synthesize(x)).items()} for x in pictures])
        return losses.mean().add_prefix("val_").to_dict()

    if settings.weights:
        load_released(model, paths.resolve(settings.weights)).to(device()).eval()
        history = pd.DataFrame([{"epoch": 0, **validate(model)}])
        checkpoints.save(model, paths.CHECKPOINTS / f"{name}.safetensors", sizes)
        paths.replace(paths.HISTORY / f"{name}.csv", lambda temporary: history.to_csv(temporary, index=False))
        return model, history.assign(equation="released")
    recipe = {"seed": params.seed, "validate": validate, "mode": "min", "config": sizes, "decay": 0.5,
              "decay_at": (0.3, 0.6, 0.9)}  # fmt: skip
    parts = []
    if settings.pixel_epochs:
        first = settings.replace(epochs=settings.pixel_epochs, learning_rate=settings.pixel_learning_rate)
        parts += [fit(model, equation1, patches, first, f"{name}_pixel", monitor="val_pixel", **recipe)]
    parts += [fit(model, equation3, patches, settings, name, monitor="val_loss", **recipe)]
    equations = ["Eq. 1", "Eq. 3"][-len(parts) :]
    history = pd.concat([part.assign(equation=e) for part, e in zip(parts, equations, strict=True)], ignore_index=True)
    return model, history.assign(epoch=history.index + 1)


RE_SYNTHESIZERS = {"SR": "", "SR-stages": "", "SR+C": "C", "SR+D": "D"}  # method: Omega, a task of models.auxiliary


METHODS = ("PRNU", "Image", "1D-Spectrum", "FFT-2d", "DCT-2d", "GramNet", *RE_SYNTHESIZERS)


NAMES = {"SR": "bts", "SR-stages": "bts_stages", "SR+C": "bts_C", "SR+D": "bts_D"}  # of checkpoints


def train_detector(params, table, method, source, prefix=""):
    """Train a method of METHODS against the images of a source: (model, its history or None).

    table: of `bts.image_table`; source: one of `bts.sources(table)`. All networks get the budget of
    `residual_detectors`: SGD with momentum, the learning rate divided by ten after half of the run, mirrored images
    (not DCT-2d, whose statistics belong to places). Checkpoints are named PREFIX + method + source.
    """
    settings, size = params.residual_detectors, params.re_synthesizer.size
    learn, check = (sets.rows(table.iloc[sets.of_source(table, source)], split) for split in ("train", "val"))
    name = f"{prefix}{NAMES.get(method, method.lower().replace('-', '_'))}"
    name = name if source == sets.ALL else f"{name}_{source}"
    if method in RE_SYNTHESIZERS:
        model = _untrained(params, table, method, prefix)
        learn_items, check_items = (items_of(params, part, model, part is learn) for part in (learn, check))
    else:
        learn_items = FaceImages(learn, size, flip=method in ("Image", "FFT-2d", "GramNet"), seed=params.seed)
        check_items = FaceImages(check, size)
    if method in ("PRNU", "1D-Spectrum"):
        model = _classical(method, size, (learn, learn_items), (check, check_items))
        checkpoints.save(model, paths.CHECKPOINTS / f"{name}.safetensors", model.config)
        return model, None
    if method not in RE_SYNTHESIZERS:
        model = _network(params, method, learn_items)
    labels = check["label"].to_numpy()

    def validate(model):
        *stages, decision = stage_scores(model, check_items).items()
        stages = {f"val_auc_{name.lower()}": roc_auc_score(labels, scores) for name, scores in stages}
        return {"val_auc": roc_auc_score(labels, decision[1]), **stages}

    loss = detector_loss if method in RE_SYNTHESIZERS else image_loss
    history = fit(
        model,
        loss,
        Balanced(learn, learn_items, params.seed),
        settings,
        name,
        seed=params.seed,
        validate=validate,
        config=getattr(model, "config", None),
        optimizer="sgd",
        decay_at=(0.5,),
    )
    return model, history


def beyond_the_spectrum(params, re_synthesizer, stages, stage_weights, kind=BeyondTheSpectrum):
    """Return a BeyondTheSpectrum (or of another `kind`), untrained but for its re-synthesizer, on the device."""
    shared, own = params.re_synthesizer, params.residual_detectors
    seed_everything(params.seed)
    model = kind(re_synthesizer_sizes(params), shared.perceptual, stages, stage_weights, own.width, own.layers,
                 shared.size)  # fmt: skip
    model.re_synthesizer.load_state_dict(re_synthesizer.state_dict())
    return model.to(device()).eval()


def _untrained(params, table, method, prefix):
    own = params.residual_detectors
    re_synthesizer, _ = train_re_synthesizer(params, table, RE_SYNTHESIZERS[method], f"{prefix}re_synthesizer")
    if method != "SR-stages":
        return beyond_the_spectrum(params, re_synthesizer, own.stages, own.stage_weights)
    others = [stage for stage in range(1, 6) if stage not in own.stages]
    if not others:
        raise ParamsError("residual_detectors.stages: SR has all stages already, which leaves none to SR-stages")
    return beyond_the_spectrum(params, re_synthesizer, others, [1 / len(others)] * len(others))


def items_of(params, table, model, flip):
    """Return the images of a table as items, with the residuals of a BeyondTheSpectrum where memory keeps them."""
    if not params.residual_detectors.in_memory:
        return FaceImages(table, params.re_synthesizer.size, flip=flip, seed=params.seed)
    images = FaceImages(table, params.re_synthesizer.size)
    return Residuals(images, lambda rgb: model.residuals(rgb.to(device())), flip=flip, seed=params.seed)


def _network(params, method, items):
    settings, own, size = params.residual_detectors, params.bts_detectors, params.re_synthesizer.size
    seed_everything(params.seed)
    if method == "Image":
        return ResidualDetector(3, settings.layers, settings.width)
    if method == "GramNet":
        return GramNet(own.gram_width, own.gram_pretrained)
    model = FrequencyDetector(method, size, settings.layers, settings.width)
    if method == "DCT-2d":
        model.spectrum.fit(batch["rgb"] for batch in DataLoader(items, 32))
    return model


def _classical(method, size, learn, check):
    if method == "1D-Spectrum":
        batches = DataLoader(learn[1], 64)
        found = np.concatenate([spectrum_1d.features(batch["rgb"]) for batch in batches])
        return spectrum_1d.SpectrumSVM(size).fit(found, learn[0]["label"].to_numpy())
    methods = learn[0].sort_values("label", kind="stable")["method"].unique().tolist()
    pixels_and_sources = []
    for table, items in (learn, check):
        pixels = np.stack([_uint8(items[i]["rgb"]) for i in range(len(items))])
        pixels_and_sources += [pixels, table["method"].map(methods.index).to_numpy()]
    return prnu.choose(*pixels_and_sources, sources=methods)


def _uint8(rgb):
    return (255 * rgb).round().byte().permute(1, 2, 0).numpy()
