"""What images undergo when they are shared: the chain +P of Beyond the Spectrum, and single changes by a strength."""

import hashlib
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from lib.data import image as on_disk
from lib.data.changes import blur, crop, grey_stays_grey, jpeg, noise, of_item, resize, salt_and_pepper, six_sigma_blur

# The changes of robustness curves: name -> change(image, strength, rng).
SINGLE = {"jpeg": jpeg, "blur": blur, "noise": noise, "crop": crop, "resize": resize}

# PEL's Table 3, which names no strengths: name -> (change, strengths); the first of them changes nothing.
PEL_TABLE3 = {
    "Gaussian noise": (noise, (0, 255 * 0.0005**0.5, 255 * 0.001**0.5, 255 * 0.005**0.5)),
    "Salt & Pepper": (salt_and_pepper, (0, 0.01, 0.02, 0.05)),
    "Gaussian blur": (six_sigma_blur, (1, 3, 7, 11)),
}


@grey_stays_grey
def chain(image, rng):
    """Apply JPEG compression, blur, crop and noise, in this order, each with probability 1/2: +P.

    Quality 10 .. 75, kernel 1 .. 9, 5 .. 20 % cut away, noise of variance 5 .. 20, all drawn uniformly.
    Source: BTS section 4.3 (the order); Yu et al. 2019, section 4.3 (strengths, probability).
    """
    applied = rng.random(4) < 0.5
    quality, kernel = rng.integers(10, 76), rng.choice((1, 3, 5, 7, 9))
    share, variance = rng.uniform(0.05, 0.20), rng.uniform(5, 20)
    strengths = (quality, kernel, share, variance**0.5)
    for change, strength, apply in zip((jpeg, blur, crop, noise), strengths, applied, strict=True):
        image = change(image, strength, rng) if apply else image
    return image


def random_of(name, seed):
    """Return the random generator of an image, which depends on its name and the seed, not on the images before it."""
    return np.random.default_rng(list(hashlib.sha256(f"{seed}/{name}".encode()).digest()))


class Changed(Dataset):
    """The items of `images` after `change(image, rng)`: of the fakes alone, as BTS tests, or of all.

    images: items {"rgb": (3, H, W) in [0, 1], "label", ...}, one for each row of `table`, whose columns method and path
    name each image, so that what happens to it depends on (seed, method, file name) alone.
    change: uint8 (H, W, 3), random generator -> uint8 (H, W, 3).
    """

    def __init__(self, images, table, change, seed, fakes_only=True):
        self.images, self.table, self.change, self.seed, self.fakes_only = images, table, change, seed, fakes_only
        self.names = [f"{row.method}/{Path(row.path).name}" for row in table.itertuples()]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        item = self.images[index]
        if self.fakes_only and not item["label"]:
            return item
        return of_item(item, lambda pixels: self.change(pixels, random_of(self.names[index], self.seed)))


def changed_file(folder, path):
    """Return the file in `folder` to which `write_changed` writes an image."""
    return folder / f"{Path(path).stem}.png"


def write_changed(folder, path, name, change, size, seed):
    """Write an image of size x size pixels after `change(image, rng)` to a folder; returns an empty record.

    name: "method/file name", as in `Changed`, which decides `rng` together with the seed. Raises ValueError with the
    path if the image cannot be read or changed.
    """
    try:
        changed = change(on_disk.resize(on_disk.read_image(path), size), random_of(name, seed))
    except ValueError as error:
        raise ValueError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    on_disk.write_png(changed_file(folder, path), changed)
    return {}
