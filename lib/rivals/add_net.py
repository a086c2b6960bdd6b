"""ADD-Net (2D): Xception that looks where the face and its organs are, by a mask drawn from five landmarks.

Zi et al., "WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection", ACM MM 2020. Its code was never
released: the five places of the mask are those of its figure.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from lib.backbones.imagenet import normalise
from lib.data.landmarks import find
from lib.detectors import check_rgb, register
from lib.rivals import xception

MASKED_PARTS = 4  # the stem and blocks 1, 2, 3; the image itself is masked, too
FACE, ORGAN, BLUR = 0.5, 1.0, 0.07  # value of the face, of eyes, nose and mouth; sigma of the blur / side of the image


class ADDNet(xception.Xception):
    """ADDNet-2D: rgb float (N, 3, H, W) and mask (N, 1, H, W), both in [0, 1] -> logits (N,), high = fake.

    The mask, averaged down to each size, multiplies the image and the maps of the stem and of blocks 1, 2 and 3.
    Without a mask it is Xception. pretrained, width: as in lib.backbones.xception.
    """

    inputs = ("rgb", "mask")

    def forward(self, rgb, mask=None):
        check_rgb(rgb)
        shape = (len(rgb), 1, *rgb.shape[2:])
        if mask is not None and mask.shape != shape:
            raise ValueError(f"mask: needs shape {shape}, has {tuple(mask.shape)}")
        x = self._masked(normalise(rgb, self.trunk), mask)
        for index, part in enumerate(self.trunk.parts()):
            x = part(x)
            if index < MASKED_PARTS:
                x = self._masked(x, mask)
        return self.classifier(self.dropout(x.mean((2, 3))))[:, 0]

    @staticmethod
    def _masked(x, mask):
        return x if mask is None else x * F.adaptive_avg_pool2d(mask, x.shape[2:])


def loss(model, batch):
    """Return the loss of Xception for a batch {"rgb", "mask" (may be missing), "label"}."""
    return xception.loss(lambda rgb: model(rgb, batch.get("mask")), batch)


def attention_mask(landmarks, size):
    """Draw where to look: the face at 0.5, eyes, nose and mouth at 1, blurred (sigma 7 % of the side).

    landmarks: (5, 2), as a row of `find`. Returns float32 (size, size) in [0, 1]; ones for NaN.
    ADD-Net (Zi et al., ACM MM 2020) draws from 68 landmarks and gives no numbers. We draw the same parts from MTCNN's
    five landmarks, as ellipses that turn with the face.
    Raises ValueError for landmarks of another shape.
    """
    points = np.asarray(landmarks, float) * size
    if points.shape != (5, 2):
        raise ValueError(f"landmarks: needs shape (5, 2), has {points.shape}")
    if np.isnan(points).any():
        return np.ones((size, size), np.float32)
    left, right, nose, *mouth = points
    eyes, lips = (left + right) / 2, (mouth[0] + mouth[1]) / 2
    down, unit = lips - eyes, np.linalg.norm(right - left)
    angle = np.degrees(np.arctan2(*(right - left)[::-1]))
    height = max(np.linalg.norm(down), 0.5 * unit)  # neither may vanish: in profile the eyes have hardly a distance
    unit = max(unit, 0.5 * height)
    mask = np.zeros((size, size), np.float32)
    _ellipse(mask, eyes + 0.45 * down, (1.15 * unit, 1.5 * height), angle, FACE)
    for eye in (left, right):
        _ellipse(mask, eye, (0.32 * unit, 0.2 * unit), angle, ORGAN)
    _ellipse(mask, (eyes + 3 * nose) / 4, (0.25 * unit, 0.38 * height), angle, ORGAN)
    _ellipse(mask, lips, (np.linalg.norm(mouth[1] - mouth[0]) / 2 + 0.1 * unit, 0.2 * unit), angle, ORGAN)
    return cv2.GaussianBlur(mask, (0, 0), BLUR * size, borderType=cv2.BORDER_REFLECT)


def _ellipse(mask, centre, axes, angle, value):
    whole = [tuple(round(float(number)) for number in pair) for pair in (centre, np.maximum(axes, 1))]
    cv2.ellipse(mask, *whole, float(angle), 0, 360, value, -1)


class Masked(Dataset):
    """The items of FaceImages with "mask", float32 (1, size, size) in [0, 1], mirrored where the image is.

    A mask is drawn when its item is read, so that only the landmarks are kept in memory.
    """

    def __init__(self, images):
        self.images, self.set_epoch = images, images.set_epoch
        self.landmarks = find(images.paths)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        item = self.images[index]
        mask = torch.from_numpy(255 * attention_mask(self.landmarks[index], self.images.size)).round()[None] / 255
        return {**item, "mask": mask.flip(-1) if item["mirrored"] else mask}


register("Add-Net", "pel", ADDNet, loss, items=lambda images, model: Masked(images))(xception.options)
