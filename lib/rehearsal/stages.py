"""What each stage of dvc.yaml does at the size of the official data sets: trainings, scorings, parts on the CPU.

The numbers of images follow from the code of the stages, those of videos are in data_sets.csv. Sets without a root in
params.yaml are counted, too.
"""

import functools
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from lib import cross_training, detectors, preflight
from lib.bts import re_synthesis, sets
from lib.bts.score import SHOWN
from lib.bts.tables import TABLE2
from lib.data import layouts
from lib.data.perturb import PEL_TABLE3
from lib.params import ParamsError
from lib.pel import ablations
from lib.pel import sets as pel_sets
from lib.pel import train as pel_train
from lib.rehearsal import cpu
from lib.rehearsal.networks import RDN_KEY

PNG = 1.4  # bytes a pixel of a picture after +E or +P: 1.0 to 1.8 with three real ones
FFHQ = len({tested for *_, tested in TABLE2.values()})  # generators of that test set


@functools.cache
def official():
    """Return data_sets.csv: the official number of videos or sequences by layout and part, with its source."""
    return pd.read_csv(Path(__file__).parent / "data_sets.csv").set_index(["layout", "part"])


def face_sets(params):
    """Return {name: (DataSet, {split: (real, fake) faces}, side)} of PEL's tables, both qualities of FaceForensics++.

    Raises ParamsError for a layout without official counts.
    """
    forged, found = params.data.forged, {}
    twins = [forged.replace(compression=c) for c in ("c23", "c40") if c != forged.compression]
    for data_set in (forged, *(twins if forged.layout == "FaceForensics++" else ()), *params.data.cross_forged):
        if data_set.layout not in official().index:
            raise ParamsError(f"data: data_sets.csv does not tell how many videos layout {data_set.layout} has")
        rows = official().loc[data_set.layout][["real", "fake"]] * params.faces.frames_per_video
        parts = {part: row.to_numpy(float) for part, row in rows.iterrows()}
        if data_set.layout == "WildDeepfake":
            parts["val"], parts["train"] = layouts.VAL_SHARE * parts["train"], (1 - layouts.VAL_SHARE) * parts["train"]
        found[pel_sets.set_name(data_set)] = data_set, parts, data_set.size or params.faces.size
    return found


def tested(data_set, parts):
    """Return how many faces of a set every detector scores: the test split of sets with a train split, else all."""
    return sum(parts["test"]) if "train" in parts else sum(map(sum, parts.values()))


def real_and_forged_faces(costs, stage):
    settings, cost = costs.params.faces, costs.seconds
    for name, (data_set, parts, size) in face_sets(costs.params).items():
        crops, rows = sum(map(sum, parts.values())), official().loc[data_set.layout]
        disk = crops * size**2 * preflight.CROP_BYTES / 1e9
        if data_set.layout == "WildDeepfake":  # unpacked and looked at
            costs.cpu(stage, name, crops * costs.reading(size)[0], settings.workers, disk)
            continue
        shown = rows["frames"] * rows["megapixels"] * (rows["real"] + 2 * rows["fake"])  # fakes with their masks
        known = data_set.layout == "FaceForensics++" and data_set.compression != "c23"  # boxes are those of c23
        each = cost["write crop"] + (0 if known else cost["find faces"])
        costs.cpu(stage, name, shown.sum() * cost["decode"] + crops * each, settings.workers, disk)


def photographs(costs, stage, data_set, size, where=""):
    """Add the trainings of the three re-synthesizers on the photographs of a data set."""
    settings, (train, val, _) = costs.params.re_synthesizer, data_set.counts
    check = min(settings.validate_on or val, val)
    epochs = 0 if settings.weights else settings.epochs + settings.pixel_epochs
    for name in re_synthesis.NAMES if epochs else ():
        costs.train(stage, f"{where}{name}", RDN_KEY, settings, train, train, check, size, epochs=epochs,
                    shown=(size / settings.patch) ** 2)  # fmt: skip


def re_synthesizers(costs, stage):
    photographs(costs, stage, costs.params.data.generated, costs.params.re_synthesizer.size)


def sets_of_images(params):
    """Return {scene: (DataSet, side, sources to learn from, number of generators)}; "" are the faces."""
    sources = params.bts_detectors.sources
    found = {"": (params.data.generated, params.re_synthesizer.size, sources, len(set(sources) - {sets.ALL}) or 1)}
    for scene, data_set in params.scenes:
        found[scene] = data_set, data_set.size or params.re_synthesizer.size, [sets.ALL], 1
    for data_set, *_ in found.values():
        if not data_set.counts:
            raise ParamsError("data.generated and scenes: nothing can be counted without their `counts`")
    return found


def wiped_fakes(costs, stage):
    cost = costs.seconds
    for scene, (data_set, size, _, generators) in sets_of_images(costs.params).items():
        area, (train, _, test) = (size / cpu.LARGE) ** 2, data_set.counts
        costs.cpu(stage, f"{scene} spectra", area * train * (cost["read"] + cost["spectrum"]))
        for kind in ("+E", "+P"):
            each = area * (cost["read"] + cost[kind] + cost["write"])
            count = test * (1 + generators)  # the photographs, too
            costs.cpu(stage, f"{scene} {kind}", each * count, disk=count * size**2 * PNG / 1e9)


def bts_detectors(costs, stage):
    params = costs.params
    further = {name: (data_set.counts, data_set.size) for name, data_set in params.test_sets}
    for scene, (data_set, size, sources, generators) in sets_of_images(params).items():
        fakes, where = {"R": generators, "A": generators, "FFHQ": 1 + FFHQ, "StarGAN2": 2}, f"{scene} " if scene else ""
        others = {name: (fakes[name] * counts[2], side) for name, (counts, side) in further.items() if counts}
        if scene:
            photographs(costs, stage, data_set, size, where)
        for name, source in dict.fromkeys([*itertools.product(detectors.names("bts"), sources), *SHOWN]):
            bts_detector(costs, stage, where, name, source, data_set, size, generators, {} if scene else others)


def bts_detector(costs, stage, where, name, source, data_set, size, generators, others):
    """Add the training of a detector against a source and its scores of every test (lib.bts.testing)."""
    params, entry, what = costs.params, detectors.entry(name), f"{where}{name} against {source}"
    (train, val, test), curves = data_set.counts, params.bts_detectors.curves
    fakes, area = generators if source == sets.ALL else 1, (size / cpu.LARGE) ** 2
    learn, check, cost = train * (1 + fakes), val * (1 + fakes), area * costs.seconds
    own, points = 2 * min(params.bts_detectors.curve_images, test), sum(len(strengths) for _, strengths in curves)
    tests = {"val": (check, 0), **dict.fromkeys(("raw", "+E", "+P"), (test * (1 + generators), 0)), **others}
    if entry.loss is None:
        few = min(params.bts_detectors.prnu_images or learn, learn // 2)
        vectors = min(2 * params.bts_detectors.svm_images or learn, learn)
        once = learner(costs, stage, f"{what}, learning", name, learn, 2 * few + min(2 * few, check), vectors, cost)
        for test_name, (seen, native) in tests.items():
            costs.cpu(stage, f"{what}, {test_name}", seen * (once + costs.reading(native or size)[0]))
        costs.cpu(stage, f"{what}, curves", own * points * (once + cost["curve"]))
        return
    pixels = (size / params.re_synthesizer.size) ** 2
    if name == "DCT-2d":  # its statistics are taken from all images first
        costs.cpu(stage, f"{what}, statistics", learn * cost["read"], cores=1)
    costs.train(stage, what, name, params.residual_detectors, learn, 2 * train, check, size, pixels)
    for test_name, (seen, native) in tests.items():
        costs.score(stage, f"{what}, {test_name}", name, seen, size, pixels, native)
    costs.score(stage, f"{what}, curves", name, own, size, pixels, extra=cost["curve"], times=points)


def learner(costs, stage, what, name, learn, tried, vectors, cost):
    """Add the learning of a detector without epochs, and return the core-seconds in which it scores an image.

    learn: number of images to learn from; tried: of those on which PRNU chooses its options; vectors: of those from
    which the 1D spectrum's machine learns; cost: seconds for each item, at this size.
    """
    if name == "PRNU":
        seconds = tried * (cost["PRNU grid"] + cost["read"]) + learn * (cost["PRNU"] + cost["read"])
        costs.cpu(stage, what, seconds, trainings=1)
        return cost["PRNU"]
    if name == "1D-Spectrum":  # its machine takes one core, and the square of the number of images
        costs.cpu(stage, f"{what}, spectra", vectors * (cost["1D spectrum"] + cost["read"]))
        costs.cpu(stage, what, costs.seconds["support vectors"] * (vectors / cpu.SPECTRA) ** 2, cores=1, trainings=1)
        return cost["1D spectrum"]
    raise ParamsError(f"detector {name} learns without epochs: add what it takes to lib.rehearsal.stages.learner")


def learned_faces(costs, stage, what, entry, key, budget, parts, size, extra=0.0):
    """Add a training on faces, balanced as lib.data.items.Balanced."""
    (real, fake), check, pixels = parts["train"], sum(parts["val"]), (size / costs.params.faces.size) ** 2
    # PEL.prepare looks at 192 frequencies of 256 faces at once, in float32, and moves them once.
    ram = 2 * 256 * 192 * 4 * (size / 2) ** 2 / 2**30 if hasattr(entry.network, "standardise_frequencies") else 0
    costs.train(stage, what, key, budget, real + fake, 2 * min(real, fake), check, size, pixels, extra=extra, ram=ram)


def pel_detectors(costs, stage):
    params, cost = costs.params, costs.seconds
    found, settings = face_sets(params), params.pel_detectors
    own, limit = next(iter(found)), settings.limit or np.inf
    tests = {name: min(limit, tested(data_set, parts)) for name, (data_set, parts, _) in found.items()}
    learned = [name for name in found if name == own or name in settings.train_on]
    changes = sum(len(strengths) - 1 for _, strengths in PEL_TABLE3.values())
    for name in detectors.names("pel"):
        entry = detectors.entry(name)
        masked = "mask" in entry.network.inputs
        for source in learned:
            _, parts, size = found[source]
            pixels, what = (size / params.faces.size) ** 2, f"{name} on {source}"
            mask, change = ((size / cpu.CROP) ** 2 * cost[item] for item in ("mask", "change"))
            budget = pel_train.budget(name, params.pel, settings)
            learned_faces(costs, stage, what, entry, name, budget, parts, size, masked * mask)
            for test, seen in tests.items():
                costs.score(stage, f"{what}, {test}", name, seen, size, pixels, found[test][2], masked * mask)
            few = min(settings.curve_images or np.inf, tests[source])
            costs.score(stage, f"{what}, changes", name, few, size, pixels, None, change + masked * mask, times=changes)
        if masked:
            crops = sum(tests.values()) + sum(sum(map(sum, found[s][1].values())) - tests[s] for s in learned)
            costs.cpu(stage, "landmarks", crops * cost["landmarks"])


def ablation_rows(costs, stage):
    settings, found = costs.params.ablations, face_sets(costs.params)
    _, parts, _ = next(iter(found.values()))
    share = min(1, settings.frames_per_video / costs.params.faces.frames_per_video)
    parts = {split: share * faces for split, faces in parts.items()}
    for row in ablations.ROWS:
        key = f"ablations/{row}"
        learned_faces(costs, stage, row, ablations.entry(row), key, settings.training, parts, settings.size)
        costs.score(stage, f"{row}, test", key, sum(parts["test"]), settings.size)


def cross(costs, stage):
    params, (_, parts, crop) = costs.params, next(iter(face_sets(costs.params).values()))
    side, share = params.re_synthesizer.size, cross_training.PER_VIDEO / params.faces.frames_per_video
    few = {split: share * faces for split, faces in parts.items()}
    costs.train(stage, "BTS on forged faces", "SR", params.residual_detectors, sum(few["train"]), 2 * min(few["train"]),
                sum(few["val"]), side, native=crop)  # fmt: skip
    (train, val, _), source = params.data.generated.counts, params.bts_detectors.sources[0]
    costs.train(stage, f"PEL on {source}", "PEL", params.pel.training, 2 * train, 2 * train, 2 * val, crop,
                native=side)  # fmt: skip
