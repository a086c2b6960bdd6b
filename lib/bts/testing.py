"""The tests of Beyond the Spectrum's Tables 1 to 3, and the further ones."""

import functools

from lib.bts import sets
from lib.data import perturb
from lib.data.items import FaceImages


def tests(table, others, source, size, settings, seed):
    """Yield (name of the test, table of its images, their items).

    table: of photographs and GAN images; others: {name: table} of the sets of `test_sets` that are there, and of what
    `wiped.read` gives; source: what the detector has learned from; settings: the section bts_detectors.
    val: photographs and images of the source, to calibrate on. raw: all test images. "jpeg 50", ...: some photographs
    and images of the source after one change of `curves`. Of R, A, E and P only the fakes are given, because their
    photographs are those of raw.
    """
    val, test = (sets.rows(table, split) for split in ("val", "test"))
    val = val.iloc[sets.of_source(val, source)].reset_index(drop=True)
    yield "val", val, FaceImages(val, size)
    yield "raw", test, FaceImages(test, size)
    for name, other in others.items():
        other = sets.rows(other, "test", 1 if name in ("R", "A") else None)
        yield name, other, FaceImages(other, size)
    own = test.iloc[sets.of_source(test, source)].groupby("label").head(settings.curve_images).reset_index(drop=True)
    own_items = FaceImages(own, size)
    for change, strengths in settings.curves:
        for strength in strengths:
            changed = functools.partial(_change, change, strength)
            yield f"{change} {strength:g}", own, perturb.Changed(own_items, own, changed, seed, fakes_only=False)


def _change(change, strength, image, rng):
    return perturb.SINGLE[change](image, strength, rng)
