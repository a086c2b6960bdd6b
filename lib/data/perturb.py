"""What happens to images on their way: the chain +P of Beyond the Spectrum, and single changes of a given strength.

All functions take and return uint8 images, (H, W) or (H, W, 3), of the same size. A (H, W, 3) image that is grey stays
grey: a detector must not find coloured noise in the fakes of a grey data set, where the real images have no colour.
"""

import functools
import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from lib.data import image as on_disk


def _grey_stays_grey(change):
    """Let a change see one channel of a grey (H, W, 3) image; other images than uint8 ones are a ValueError."""

    @functools.wraps(change)
    def wrapped(image, *arguments, **options):
        if image.dtype != np.uint8:
            raise ValueError(f"image: needs uint8 values, has {image.dtype}")
        if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
            raise ValueError(f"image: needs shape (H, W) or (H, W, 3), has {image.shape}")
        if image.ndim == 3 and (image == image[..., :1]).all():
            grey = change(np.ascontiguousarray(image[..., 0]), *arguments, **options)
            return np.repeat(grey[..., None], 3, axis=-1)
        return change(image, *arguments, **options)

    return wrapped


@_grey_stays_grey
def jpeg(image, quality, rng=None):
    """Compress and decompress an image as JPEG of a quality of 1 .. 95."""
    Image.fromarray(image).save(file := io.BytesIO(), format="JPEG", quality=int(quality))
    return np.asarray(Image.open(file))


@_grey_stays_grey
def blur(image, kernel, rng=None, sigma=0.0):
    """Blur with a Gaussian of kernel x kernel pixels (odd; 1 changes nothing).

    sigma 0 takes OpenCV's own for the kernel, 0.3 ((kernel - 1) / 2 - 1) + 0.8, as Yu et al. do.
    """
    return image if kernel <= 1 else cv2.GaussianBlur(image, (int(kernel), int(kernel)), sigma)


@_grey_stays_grey
def crop(image, share, rng):
    """Cut away `share` of the height and of the width, at a place drawn from `rng`, and enlarge to the size before."""
    height, width = image.shape[:2]
    kept = [max(1, round((1 - share) * side)) for side in (height, width)]
    top, left = (int(rng.integers(side - part + 1)) for side, part in zip((height, width), kept, strict=True))
    part = image[top : top + kept[0], left : left + kept[1]]
    return part if part.shape == image.shape else cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)


@_grey_stays_grey
def noise(image, deviation, rng):
    """Add Gaussian noise of a standard deviation in grey levels (0 .. 255)."""
    return np.rint(image + deviation * rng.standard_normal(image.shape)).clip(0, 255).astype(np.uint8)


@_grey_stays_grey
def salt_and_pepper(image, amount, rng):
    """Set a share of the pixels, all channels together, to white or black, half of them each."""
    changed, white = rng.random((2, *image.shape[:2]))
    result = image.copy()
    result[changed < amount] = 0
    result[(changed < amount) & (white < 0.5)] = 255
    return result


@_grey_stays_grey
def resize(image, factor, rng=None):
    """Shrink to `factor` of the size, by area, and enlarge to the size before, bicubic; 1 changes nothing."""
    height, width = image.shape[:2]
    small = (max(1, round(factor * width)), max(1, round(factor * height)))
    if small == (width, height):
        return image
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)


def six_sigma_blur(image, kernel, rng=None):
    """Blur with a Gaussian whose kernel is six deviations wide, as in DeeperForensics."""
    return blur(image, kernel, sigma=kernel / 6)


# Of robustness curves: name -> change(image, strength, rng).
SINGLE = {"jpeg": jpeg, "blur": blur, "noise": noise, "crop": crop, "resize": resize}

# PEL's Table 3, which names no strengths: name -> (change, strengths); the first of them changes nothing.
PEL_TABLE3 = {
    "Gaussian noise": (noise, (0, 255 * 0.0005**0.5, 255 * 0.001**0.5, 255 * 0.005**0.5)),
    "Salt & Pepper": (salt_and_pepper, (0, 0.01, 0.02, 0.05)),
    "Gaussian blur": (six_sigma_blur, (1, 3, 7, 11)),
}


@_grey_stays_grey
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
    """Return the random generator of an image: it depends on its name and the seed, not on the images before it."""
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
        pixels = (255 * item["rgb"]).round().byte().permute(1, 2, 0).numpy()
        changed = self.change(pixels, random_of(self.names[index], self.seed))
        return {**item, "rgb": torch.from_numpy(np.array(changed)).permute(2, 0, 1).float() / 255}


def changed_file(folder, path):
    """Return the file in `folder` that `write_changed` writes of an image."""
    return folder / f"{Path(path).stem}.png"


def write_changed(folder, path, name, change, size, seed):
    """Write an image after `change(image, rng)` to a folder, of size x size pixels; returns an empty record.

    name: what draws `rng`, with the seed: method/file name, as in `Changed`. Raises ValueError with the path where it
    cannot be changed.
    """
    try:
        changed = change(on_disk.resize(on_disk.read_image(path), size), random_of(name, seed))
    except ValueError as error:
        raise ValueError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    on_disk.write_png(changed_file(folder, path), changed)
    return {}
