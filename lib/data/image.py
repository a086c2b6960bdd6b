"""Images as arrays: read them (a bad file is named), resize them to a square, write them without loss."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from lib import paths

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def read_image(path):
    """Return the image as uint8 RGB (H, W, 3), turned upright.

    Raises FileNotFoundError, or ValueError naming a file that is empty, truncated or no image.
    """
    # Pillow, because OpenCV returns the readable half of a truncated JPEG without an error.
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such image")
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        reason = "an empty file (0 bytes)" if not Path(path).stat().st_size else "truncated or not an image"
        raise ValueError(f"{path}: {reason}") from None


def resize(image, size):
    """Return the central square of an (H, W) or (H, W, 3) array at `size` x `size`: area mean down, bilinear up."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        return square
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if size < side else cv2.INTER_LINEAR)


def write_png(path, image):
    """Write uint8 RGB (H, W, 3) or grey (H, W) as PNG: a JPEG would add an 8x8 DCT grid of its own."""
    paths.replace(path, lambda unfinished: Image.fromarray(image).save(unfinished, format="PNG"))
