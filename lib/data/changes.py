"""Changes of images by a strength: compression, blur, crop, noise, size.

All functions take and return uint8 images, (H, W) or (H, W, 3), of the same size. A (H, W, 3) image that is grey stays
grey: a detector must not find coloured noise in the fakes of a grey data set, where the real images have no colour.
"""

import functools
import io

import cv2
import numpy as np
import torch
from PIL import Image


def grey_stays_grey(change):
    """Decorate a change: of a grey (H, W, 3) image it sees one channel; ValueError for another shape or dtype."""

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


def of_item(item, change):
    """Return an item {"rgb": (3, H, W) in [0, 1], ...} after `change(image)` of its picture, rounded to uint8."""
    changed = change((255 * item["rgb"]).round().byte().permute(1, 2, 0).numpy())
    return {**item, "rgb": torch.from_numpy(np.array(changed)).permute(2, 0, 1).float() / 255}


@grey_stays_grey
def jpeg(image, quality, rng=None):
    """Compress an image as JPEG of a quality of 1 .. 100, and decompress it."""
    Image.fromarray(image).save(file := io.BytesIO(), format="JPEG", quality=int(quality))
    return np.asarray(Image.open(file))


@grey_stays_grey
def blur(image, kernel, rng=None, sigma=0.0):
    """Blur with a Gaussian of kernel x kernel pixels (odd; 1 changes nothing).

    sigma 0 takes OpenCV's own for the kernel, 0.3 ((kernel - 1) / 2 - 1) + 0.8, as Yu et al. do.
    """
    return image if kernel <= 1 else cv2.GaussianBlur(image, (int(kernel), int(kernel)), sigma)


@grey_stays_grey
def crop(image, share, rng):
    """Cut away `share` of the height and of the width, at a place drawn from `rng`, and enlarge to the former size."""
    height, width = image.shape[:2]
    kept = [max(1, round((1 - share) * side)) for side in (height, width)]
    top, left = (int(rng.integers(side - part + 1)) for side, part in zip((height, width), kept, strict=True))
    part = image[top : top + kept[0], left : left + kept[1]]
    return part if part.shape == image.shape else cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)


@grey_stays_grey
def noise(image, deviation, rng):
    """Add Gaussian noise of a standard deviation in grey levels (0 .. 255)."""
    return np.rint(image + deviation * rng.standard_normal(image.shape)).clip(0, 255).astype(np.uint8)


@grey_stays_grey
def salt_and_pepper(image, amount, rng):
    """Set a share of the pixels, all channels together, to white or black, half of them each."""
    changed, white = rng.random((2, *image.shape[:2]))
    result = image.copy()
    result[changed < amount] = 0
    result[(changed < amount) & (white < 0.5)] = 255
    return result


@grey_stays_grey
def resize(image, factor, rng=None):
    """Shrink to `factor` of the size, by area, and enlarge to the former size, bicubic; 1 changes nothing."""
    height, width = image.shape[:2]
    small = (max(1, round(factor * width)), max(1, round(factor * height)))
    if small == (width, height):
        return image
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)


def six_sigma_blur(image, kernel, rng=None):
    """Blur with a Gaussian whose kernel is six deviations wide, as in DeeperForensics."""
    return blur(image, kernel, sigma=kernel / 6)
