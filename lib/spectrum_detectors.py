"""The detectors of Beyond the Spectrum's Tables 1 to 3: each is trained against one generator and scored on every test.

`python -m lib.spectrum_detectors METHOD` writes results/scores/bts/METHOD/SOURCE.csv of each generator, which notebook
04 reads.
"""

import argparse
import dataclasses
import functools

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from lib import bts, evaluate, paths, perturb, spectra, train
from lib.data.loading import Balanced, FaceImages
from lib.data.residuals import Residuals
from lib.models import prnu, spectrum_svm
from lib.models.frequency import FrequencyDetector
from lib.models.gram_net import GramNet
from lib.models.residual_detector import BeyondTheSpectrum, ResidualDetector, combine, detector_loss, image_loss
from lib.params import ParamsError, load, one_of

RE_SYNTHESIZERS = {"SR": "", "SR-stages": "", "SR+C": "C", "SR+D": "D"}  # method: Omega, a task of models.auxiliary
METHODS = ("PRNU", "Image", "1D-Spectrum", "FFT-2d", "DCT-2d", "GramNet", *RE_SYNTHESIZERS)
NAMES = {"SR": "bts", "SR-stages": "bts_stages", "SR+C": "bts_C", "SR+D": "bts_D"}  # of checkpoints
SCENES = ("bedroom", "church")
COLUMNS = ["test", "label", "method", "video", "identity"]  # of a file of scores, before one column a detector


def fit(params, table, method, source, prefix=""):
    """Train a method of METHODS against the images of a source: (model, its history or None).

    table: of `bts.image_table`; source: one of `bts.sources(table)`. All networks get the budget of
    `residual_detectors`: SGD with momentum, the learning rate divided by ten after half of the run, mirrored images
    (not DCT-2d, whose statistics belong to places). Checkpoints are named PREFIX + method + source.
    """
    settings, size = params.residual_detectors, params.re_synthesizer.size
    learn, check = (bts.rows(table.iloc[bts.of_source(table, source)], split) for split in ("train", "val"))
    name = f"{prefix}{NAMES.get(method, method.lower().replace('-', '_'))}"
    name = name if source == bts.ALL else f"{name}_{source}"
    if method in RE_SYNTHESIZERS:
        model = _untrained(params, table, method, prefix)
        learn_items, check_items = (items_of(params, part, model, part is learn) for part in (learn, check))
    else:
        learn_items = FaceImages(learn, size, flip=method in ("Image", "FFT-2d", "GramNet"), seed=params.seed)
        check_items = FaceImages(check, size)
    if method in ("PRNU", "1D-Spectrum"):
        model = _classical(method, size, (learn, learn_items), (check, check_items))
        train.save(model, paths.CHECKPOINTS / f"{name}.safetensors", model.config)
        return model, None
    if method not in RE_SYNTHESIZERS:
        model = _network(params, method, learn_items)
    labels = check["label"].to_numpy()

    def validate(model):
        *stages, decision = score(model, check_items).items()
        stages = {f"val_auc_{name.lower()}": roc_auc_score(labels, scores) for name, scores in stages}
        return {"val_auc": roc_auc_score(labels, decision[1]), **stages}

    loss = detector_loss if method in RE_SYNTHESIZERS else image_loss
    history = train.fit(
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


@torch.inference_mode()
def score(model, items):
    """Return the probability of being fake that each detector of a model gives: a DataFrame, one row an item.

    Columns of a BeyondTheSpectrum: Pix, Stage1 .. Stage5 as it has them, then Avg, their combination (Eq. 4); of any
    other model: score. The last column is the decision.
    """
    if not isinstance(model, BeyondTheSpectrum):
        return pd.DataFrame({"score": evaluate.predict(model, items)})
    device, parts = train.device(), []
    model.to(device).eval()
    for batch in DataLoader(items, 8):  # few enough to stay in a CPU's cache
        residuals = [stage.to(device) for stage in batch["residuals"]] if "residuals" in batch else None
        stages = model.stage_probabilities(batch["rgb"].to(device), residuals)
        parts.append(torch.cat([stages, combine(stages, model.stage_weights)[:, None]], dim=1).cpu())
    stages = [f"Stage{stage}" if stage else "Pix" for stage in model.stages]
    return pd.DataFrame(torch.cat(parts).double().numpy(), columns=[*stages, "Avg"])


def tests(params, table, source):
    """Yield (name of the test, table of its images, their items), the tests of Tables 1 to 3 and the further ones.

    val: photographs and the source's images, to calibrate on. raw: all test images. R, A, FFHQ, StarGAN2: the sets of
    `test_sets`, where these are. E, P: the fakes of raw after `equalize` and `perturb.chain`. "jpeg 50", ...: some
    photographs and images of the source after one change of `spectrum_detectors.curves`. Of R, A, E and P only the
    fakes are given, because their photographs are those of raw.
    """
    size, seed = params.re_synthesizer.size, params.seed
    val, test = (bts.rows(table, split) for split in ("val", "test"))
    val = val.iloc[bts.of_source(val, source)].reset_index(drop=True)
    fakes = bts.rows(table, "test", 1)
    fake_items = FaceImages(fakes, size)
    yield "val", val, FaceImages(val, size)
    yield "raw", test, FaceImages(test, size)
    for name in ("R", "A", "FFHQ", "StarGAN2"):
        others = test_set(params, name)
        if others is not None:
            others = bts.rows(others, "test", 1 if name in ("R", "A") else None)
            yield name, others, FaceImages(others, size)
    spectrum = real_spectrum(params, table)
    equalized = perturb.Changed(fake_items, fakes, lambda image, rng: spectra.equalize_image(image, spectrum), seed)
    yield "E", fakes, equalized
    yield "P", fakes, perturb.Changed(fake_items, fakes, perturb.chain, seed)
    count = params.spectrum_detectors.curve_images
    own = test.iloc[bts.of_source(test, source)].groupby("label").head(count).reset_index(drop=True)
    own_items = FaceImages(own, size)
    for change, strengths in dataclasses.asdict(params.spectrum_detectors.curves).items():
        for strength in strengths:
            changed = functools.partial(_change, change, strength)
            yield f"{change} {strength:g}", own, perturb.Changed(own_items, own, changed, seed, fakes_only=False)


def test_set(params, name):
    """Return the table of a set of `test_sets`, or None where its folder is not there."""
    data_set = getattr(params.test_sets, name)
    return bts.image_table(params, data_set) if paths.resolve(data_set.root).is_dir() else None


def real_spectrum(params, table):
    """Return the mean azimuthal power spectrum (3, rings) of the training photographs in [0, 1], which +E wants."""
    photographs = FaceImages(bts.rows(table, "train", 0), params.re_synthesizer.size)
    return spectra.mean_spectrum(photographs[i]["rgb"].double().numpy() for i in range(len(photographs)))


def run(params, method, source, scene=""):
    """Train a method against a source and score every test: the table that `scores` reads, written.

    scene: "", or one of SCENES, whose images (`scenes` in params.yaml) take the place of the faces.
    Raises ParamsError for a method or source that is not known, FileNotFoundError where the scene's folder is missing.
    """
    one_of("method", method, METHODS)
    params = of_scene(params, scene)
    table = bts.image_table(params)
    one_of("source", source, bts.sources(table))
    model, _ = fit(params, table, method, source, _prefix(scene))
    parts = []
    for name, images, items in tqdm(tests(params, table, source), desc="tests", unit="test", leave=False):
        parts.append(pd.concat([images[COLUMNS[1:]], score(model, items)], axis=1).assign(test=name))
    scored = pd.concat(parts, ignore_index=True)
    columns = [*COLUMNS, *(column for column in scored if column not in COLUMNS)]
    paths.replace(_file(method, source, scene), lambda f: scored[columns].to_csv(f, index=False, float_format="%.6g"))
    return scored[columns]


def run_all(params, method, sources, scene=""):
    """Return `run` of each source, in order, side by side where that is faster (train.side_by_side)."""
    if method in RE_SYNTHESIZERS:  # trained once, not once a process
        own = of_scene(params, scene)
        _untrained(own, bts.image_table(own), method, _prefix(scene))
    return list(train.side_by_side(functools.partial(run, params, method, scene=scene), sources, len(sources)))


def scores(params, method, source, scene=""):
    """Return what `run` wrote, or run it: a DataFrame of COLUMNS and one column a detector, one row an image a test."""
    file = _file(method, source, scene)
    return pd.read_csv(file, dtype={"identity": str}) if file.is_file() else run(params, method, source, scene)


def _prefix(scene):
    return f"{scene}_" if scene else ""


def _file(method, source, scene):
    return paths.RESULTS / "scores" / (scene or "bts") / method / f"{source}.csv"


def of_scene(params, scene):
    """Return the params with the images of a scene of SCENES in the place of the faces; "" leaves them as they are."""
    if not scene:
        return params
    one_of("scene", scene, SCENES)
    data_set = getattr(params.scenes, scene)
    if not paths.resolve(data_set.root).is_dir():
        raise FileNotFoundError(f"scenes.{scene}.root: no folder at {data_set.root}; Table 3 needs LSUN there")
    return dataclasses.replace(params, data=dataclasses.replace(params.data, generated=data_set))


def beyond_the_spectrum(params, re_synthesizer, stages, stage_weights, kind=BeyondTheSpectrum):
    """Return a BeyondTheSpectrum (or of another `kind`), untrained but for its re-synthesizer, on the device."""
    shared, own = params.re_synthesizer, params.residual_detectors
    train.seed_everything(params.seed)
    model = kind(bts.re_synthesizer_sizes(params), shared.perceptual, stages, stage_weights, own.width, own.layers,
                 shared.size)  # fmt: skip
    model.re_synthesizer.load_state_dict(re_synthesizer.state_dict())
    return model.to(train.device()).eval()


def _untrained(params, table, method, prefix):
    own = params.residual_detectors
    re_synthesizer, _ = bts.train_re_synthesizer(params, table, RE_SYNTHESIZERS[method], f"{prefix}re_synthesizer")
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
    return Residuals(images, lambda rgb: model.residuals(rgb.to(train.device())), flip=flip, seed=params.seed)


def _network(params, method, items):
    settings, own, size = params.residual_detectors, params.spectrum_detectors, params.re_synthesizer.size
    train.seed_everything(params.seed)
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
        found = np.concatenate([spectrum_svm.features(batch["rgb"]) for batch in batches])
        return spectrum_svm.SpectrumSVM(size).fit(found, learn[0]["label"].to_numpy())
    methods = learn[0].sort_values("label", kind="stable")["method"].unique().tolist()
    pixels_and_sources = []
    for table, items in (learn, check):
        pixels = np.stack([_uint8(items[i]["rgb"]) for i in range(len(items))])
        pixels_and_sources += [pixels, table["method"].map(methods.index).to_numpy()]
    return prnu.choose(*pixels_and_sources, sources=methods)


def _uint8(rgb):
    return (255 * rgb).round().byte().permute(1, 2, 0).numpy()


def _change(change, strength, image, rng):
    return perturb.SINGLE[change](image, strength, rng)


def main(arguments=None):
    """Run the command line; ends with a line instead of a trace where a name or a folder is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lib.spectrum_detectors", description=__doc__.splitlines()[0])
    parser.add_argument("method", metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument(
        "source", metavar="SOURCE", nargs="*", help="generators to learn from, or all; those of params.yaml by default"
    )
    parser.add_argument("--scene", default="", help=f"learn from scenes instead of faces: {', '.join(SCENES)}")
    options = parser.parse_args(arguments)
    try:
        params = load()
        sources = options.source or params.spectrum_detectors.sources
        found = dict(zip(sources, run_all(params, options.method, sources, options.scene), strict=True))
    except (ParamsError, FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    for source, scored in found.items():
        for test, part in scored.groupby("test", sort=False):
            right = ((part[scored.columns[-1]] > 0.5) == part["label"]).mean()
            print(f"{options.method} against {source}, {test}: {right:.1%} of {len(part)} right")


if __name__ == "__main__":
    main()
