"""The detectors of Beyond the Spectrum's Tables 1 to 3: each is trained against one generator and scored on every test.

`python -m lib.bts.score METHOD` writes results/scores/bts/METHOD/SOURCE.csv of each generator, which notebook
04 reads.
"""

import argparse
import functools

import pandas as pd
from tqdm.auto import tqdm

from lib import paths
from lib.bts import sets
from lib.bts.predict import stage_scores
from lib.bts.train import METHODS, RE_SYNTHESIZERS, _untrained, train_detector
from lib.data import perturb
from lib.data.items import FaceImages
from lib.ops import spectra
from lib.params import ParamsError, load, one_of
from lib.training.side_by_side import side_by_side

SCENES = ("bedroom", "church")


COLUMNS = ["test", "label", "method", "video", "identity"]  # of a file of scores, before one column a detector


def tests(params, table, source):
    """Yield (name of the test, table of its images, their items), the tests of Tables 1 to 3 and the further ones.

    val: photographs and the source's images, to calibrate on. raw: all test images. R, A, FFHQ, StarGAN2: the sets of
    `test_sets`, where these are. E, P: the fakes of raw after `equalize` and `perturb.chain`. "jpeg 50", ...: some
    photographs and images of the source after one change of `bts_detectors.curves`. Of R, A, E and P only the
    fakes are given, because their photographs are those of raw.
    """
    size, seed = params.re_synthesizer.size, params.seed
    val, test = (sets.rows(table, split) for split in ("val", "test"))
    val = val.iloc[sets.of_source(val, source)].reset_index(drop=True)
    fakes = sets.rows(table, "test", 1)
    fake_items = FaceImages(fakes, size)
    yield "val", val, FaceImages(val, size)
    yield "raw", test, FaceImages(test, size)
    for name in ("R", "A", "FFHQ", "StarGAN2"):
        others = test_set(params, name)
        if others is not None:
            others = sets.rows(others, "test", 1 if name in ("R", "A") else None)
            yield name, others, FaceImages(others, size)
    spectrum = real_spectrum(params, table)
    equalized = perturb.Changed(fake_items, fakes, lambda image, rng: spectra.equalize_image(image, spectrum), seed)
    yield "E", fakes, equalized
    yield "P", fakes, perturb.Changed(fake_items, fakes, perturb.chain, seed)
    count = params.bts_detectors.curve_images
    own = test.iloc[sets.of_source(test, source)].groupby("label").head(count).reset_index(drop=True)
    own_items = FaceImages(own, size)
    for change, strengths in params.bts_detectors.curves.model_dump().items():
        for strength in strengths:
            changed = functools.partial(_change, change, strength)
            yield f"{change} {strength:g}", own, perturb.Changed(own_items, own, changed, seed, fakes_only=False)


def test_set(params, name):
    """Return the table of a set of `test_sets`, or None where its folder is not there."""
    data_set = getattr(params.test_sets, name)
    return sets.image_table(params, data_set) if paths.resolve(data_set.root).is_dir() else None


def real_spectrum(params, table):
    """Return the mean azimuthal power spectrum (3, rings) of the training photographs in [0, 1], which +E wants."""
    photographs = FaceImages(sets.rows(table, "train", 0), params.re_synthesizer.size)
    return spectra.mean_spectrum(photographs[i]["rgb"].double().numpy() for i in range(len(photographs)))


def run(params, method, source, scene=""):
    """Train a method against a source and score every test: the table that `scores` reads, written.

    scene: "", or one of SCENES, whose images (`scenes` in params.yaml) take the place of the faces.
    Raises ParamsError for a method or source that is not known, FileNotFoundError where the scene's folder is missing.
    """
    one_of("method", method, METHODS)
    params = of_scene(params, scene)
    table = sets.image_table(params)
    one_of("source", source, sets.sources(table))
    model, _ = train_detector(params, table, method, source, _prefix(scene))
    parts = []
    for name, images, items in tqdm(tests(params, table, source), desc="tests", unit="test", leave=False):
        parts.append(pd.concat([images[COLUMNS[1:]], stage_scores(model, items)], axis=1).assign(test=name))
    scored = pd.concat(parts, ignore_index=True)
    columns = [*COLUMNS, *(column for column in scored if column not in COLUMNS)]
    paths.replace(_file(method, source, scene), lambda f: scored[columns].to_csv(f, index=False, float_format="%.6g"))
    return scored[columns]


def run_all(params, method, sources, scene=""):
    """Return `run` of each source, in order, side by side where that is faster (train.side_by_side)."""
    if method in RE_SYNTHESIZERS:  # trained once, not once a process
        own = of_scene(params, scene)
        _untrained(own, sets.image_table(own), method, _prefix(scene))
    return list(side_by_side(functools.partial(run, params, method, scene=scene), sources, len(sources)))


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
    return params.replace(data=params.data.replace(generated=data_set))


def _change(change, strength, image, rng):
    return perturb.SINGLE[change](image, strength, rng)


def main(arguments=None):
    """Run the command line; ends with a line instead of a trace where a name or a folder is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lib.bts.score", description=__doc__.splitlines()[0])
    parser.add_argument("method", metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument(
        "source", metavar="SOURCE", nargs="*", help="generators to learn from, or all; those of params.yaml by default"
    )
    parser.add_argument("--scene", default="", help=f"learn from scenes instead of faces: {', '.join(SCENES)}")
    options = parser.parse_args(arguments)
    try:
        params = load()
        sources = options.source or params.bts_detectors.sources
        found = dict(zip(sources, run_all(params, options.method, sources, options.scene), strict=True))
    except (ParamsError, FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    for source, scored in found.items():
        for test, part in scored.groupby("test", sort=False):
            right = ((part[scored.columns[-1]] > 0.5) == part["label"]).mean()
            print(f"{options.method} against {source}, {test}: {right:.1%} of {len(part)} right")


if __name__ == "__main__":
    main()
