"""SBI: a network that never sees a fake, but learns to tell real faces from faces that are blended with themselves.

Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. One copy of a face gets other colours
and another sharpness, is moved a little, and is pasted back through a soft mask: all that gives it away is the seam
that every face swap has. The network and its budget are those of PEL's RGB stream.
"""

import cv2
import numpy as np
from torch.utils.data import Dataset

from lib.data import changes
from lib.data.landmarks import find
from lib.detectors import register
from lib.pel.network import PEL, loss, rgb_options
from lib.rivals.add_net import attention_mask

REFERENCE = 256  # pixels: the side of a face for which the strengths below are given
RATIOS = (0.25, 0.5, 0.75, 1, 1, 1)  # how much of the source is pasted, drawn from these


class SelfBlended(Dataset):
    """The items of FaceImages with a self-blended real face in the place of each fake, drawn by (seed, epoch, index).

    The landmarks are searched when it is made (lib.data.landmarks). Raises ValueError if no real face has any.
    """

    def __init__(self, images):
        self.images, self.size = images, images.size
        reals = np.flatnonzero(images.labels.numpy() == 0)
        found = find([images.paths[index] for index in reals])
        seen = ~np.isnan(found).any((1, 2))
        if not seen.any():
            raise ValueError("no real face with eyes, nose and mouth: self-blended images need some")
        self.reals, self.landmarks = reals[seen], found[seen]

    @property
    def paths(self):
        return self.images.paths

    def set_epoch(self, epoch):
        self.images.set_epoch(epoch)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if not self.images.labels[index]:
            return self.images[index]
        rng = np.random.default_rng((self.images.seed, self.images.epoch, index, 2))
        which = rng.integers(len(self.reals))
        real, points = self.images[int(self.reals[which])], self.landmarks[which]
        if real["mirrored"]:
            points = np.abs([1, 0] - points)[[1, 0, 2, 4, 3]]  # the left eye is again the one on the left
        blended = changes.of_item(real, lambda pixels: self_blend(pixels, points, rng))
        return {**blended, "label": self.images.labels[index], "index": index}


def self_blend(face, landmarks, rng):
    """Return a face, uint8 (size, size, 3), with a changed copy of itself pasted in; landmarks: as a row of `find`.

    The paper's four steps: source or target is changed, the mask is bent, source and mask are moved, the mask is
    softened and weakened. The mask is the face in ADD-Net's mask, from five landmarks in place of 81.
    """
    size = len(face)
    source, target = (face, altered(face, rng)) if rng.random() < 0.5 else (altered(face, rng), face)
    mask = (attention_mask(landmarks, size) > rng.uniform(0.2, 0.4)).astype(np.float32)
    mask = bent(mask, rng)
    scale, (right, down) = rng.uniform(0.95, 1 / 0.95), rng.uniform(-1, 1, 2) * (0.03, 0.015) * size
    middle = (size - 1) / 2
    matrix = np.array([[scale, 0, (1 - scale) * middle + right], [0, scale, (1 - scale) * middle + down]])
    source = cv2.warpAffine(source, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mask = soft(cv2.warpAffine(mask, matrix, (size, size)), rng)[..., None] * rng.choice(RATIOS)
    return (mask * source + (1 - mask) * target).round().astype(np.uint8)


@changes.grey_stays_grey
def altered(face, rng):
    """Return a face with other colours, brightness and contrast, and less or more sharpness."""
    pixels = face.astype(np.float32)
    pixels += rng.uniform(-20, 20, face.shape[2:]) * (rng.random() < 0.3)
    pixels = rng.uniform(0.9, 1.1) * pixels + 255 * rng.uniform(-0.1, 0.1)
    changed = pixels.round().clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        return changes.resize(changed, 1 / rng.choice((2, 4)))
    sharp = changed + rng.uniform(0.2, 0.5) * (changed - cv2.GaussianBlur(changed.astype(np.float32), (0, 0), 1))
    return sharp.round().clip(0, 255).astype(np.uint8)


def bent(mask, rng, strength=50, sigma=7):
    """Return a mask (size, size) bent by a smooth random field (Simard et al. 2003); strengths are for REFERENCE."""
    size, ratio = len(mask), len(mask) / REFERENCE
    field = [strength * ratio * cv2.GaussianBlur(rng.uniform(-1, 1, mask.shape), (0, 0), sigma * ratio) for _ in "xy"]
    y, x = np.mgrid[:size, :size]
    return cv2.remap(mask, *(np.float32(at + by) for at, by in zip((x, y), field, strict=True)), cv2.INTER_LINEAR)


def soft(mask, rng):
    """Return a mask (size, size) in [0, 1] that a blur and a threshold shrink, and a second blur softens."""
    ratio = len(mask) / REFERENCE
    blur = lambda x, low, high: cv2.GaussianBlur(x, (0, 0), rng.uniform(low, high) * ratio)
    inner = (blur(mask, 1, 4) > 0.99).astype(np.float32)
    faded = blur(inner, 1, 5)
    return faded / max(faded.max(), 1e-6)


register("SBI", "more", PEL, loss, examples=SelfBlended)(rgb_options)
