"""The tests of Beyond the Spectrum's Tables 1 to 3 and Fig. 6, and those of our robustness curves."""

import functools

from lib.bts import sets
from lib.data import perturb
from lib.data.items import FaceImages


def tests(table, others, source, size, settings, seed, sizes):
    """Yield (name of the test, table of its images, their items).

    table: of photographs and GAN images; others: {name: table} of those `test_sets` that exist, and what `wiped.read`
    returns; source: what the detector has learned from; settings: the section bts_detectors; sizes: {name in others:
    its side in pixels, if that is not `size`}; seed: of the random changes.
    val: the validation photographs and images of the source, for calibration. raw: all test images. "jpeg 50", ...:
    some test photographs and images of the source after one change of `curves`.
    R and A have fakes only, because their photographs are those of raw; the photographs of E and P are changed, too.
    """
    val, test = (sets.rows(table, split) for split in ("val", "test"))
    val = val.iloc[sets.of_source(val, source)].reset_index(drop=True)
    yield "val", val, FaceImages(val, size)
    yield "raw", test, FaceImages(test, size)
    for name, other in others.items():
        other = sets.rows(other, "test", 1 if name in ("R", "A") else None)
        yield name, other, FaceImages(other, sizes.get(name, size))
    own = sets.spread(test.iloc[sets.of_source(test, source)], settings.curve_images)
    own_items = FaceImages(own, size)
    for change, strengths in settings.curves:
        for strength in strengths:
            changed = functools.partial(_change, change, strength)
            yield f"{change} {strength:g}", own, perturb.Changed(own_items, own, changed, seed, fakes_only=False)


def _change(change, strength, image, rng):
    return perturb.SINGLE[change](image, strength, rng)
