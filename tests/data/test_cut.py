"""Square crops: where they lie, and what the code that cuts them knows nothing of."""

import os
import subprocess
import sys

import numpy as np

from lib import paths
from lib.data import cut


def test_a_crop_is_the_centred_square_of_margin_times_the_longer_side():
    image = np.zeros((100, 100), np.uint8)
    image[30:70, 30:70] = 255
    crop = cut.crop_square(image, (40, 30, 60, 70), margin=2, size=80)
    assert crop.shape == (80, 80) and np.array_equal(crop, image[10:90, 10:90])


def test_a_crop_at_the_border_moves_inside_and_a_too_large_one_shrinks_so_that_no_pixel_is_invented():
    image = np.arange(60 * 100, dtype=np.uint16).reshape(60, 100).astype(np.uint8)
    assert np.array_equal(cut.crop_square(image, (0, 0, 20, 20), 1.5, 30), image[:30, :30])
    assert np.array_equal(cut.crop_square(image, (90, 50, 110, 70), 1.0, 20), image[40:, 80:])
    assert np.array_equal(cut.crop_square(image, (30, 0, 70, 90), 1.3, 60), image[:, 20:80])


def test_what_cuts_a_video_or_unpacks_an_archive_knows_nothing_of_layouts_and_manifests():
    plans = {f"lib.data.{name}" for name in ("layouts", "video_sets", "faces", "jobs", "wild_deepfake")}
    program = "import sys, lib.data.cut, lib.data.unpack; print(*sys.modules)"
    options = {"env": {**os.environ, "PYTHONPATH": str(paths.ROOT)}, "stdout": subprocess.PIPE, "check": True}
    loaded = subprocess.run([sys.executable, "-c", program], **options).stdout.decode().split()
    assert "lib.data.video" in loaded and not plans & set(loaded)
