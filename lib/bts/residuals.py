"""Residuals that are computed only once, because the re-synthesizer does not change while the detectors learn."""

import functools

import torch
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from lib.training.device import device


class Residuals(Dataset):
    """The items of a data set of images with the residuals of each, kept in memory as float16.

    images: items like those of FaceImages, mirrored or not; model: has a method `residuals`, rgb (N,3,H,W) -> list of
    tensors (N,...). All residuals are computed when the first item is read. A mirrored image gets its own residuals:
    they are not the mirrored residuals of the image. Items: those of `images` plus "residuals", a list of float32
    tensors.
    """

    def __init__(self, images, model, batch_size=8):
        self.images, self.model, self.batch_size = images, model, batch_size

    def set_epoch(self, epoch):
        self.images.set_epoch(epoch)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        item = self.images[index]
        return {**item, "residuals": [stage.float() for stage in self._stored[item["mirrored"]][index]]}

    @functools.cached_property
    def _stored(self):
        """Return a list: the residuals of all images and, if `images` mirrors some, those of all mirrored images."""
        stored = [[] for _ in range(1 + getattr(self.images, "flip", False))]
        with torch.inference_mode():
            for start in tqdm(range(0, len(self), self.batch_size), desc="residuals", leave=False, delay=5):
                items = [self.images[i] for i in range(start, min(start + self.batch_size, len(self)))]
                straight = torch.stack([item["rgb"].flip(-1) if item["mirrored"] else item["rgb"] for item in items])
                for mirrored, kept in enumerate(stored):
                    rgb = straight.flip(-1) if mirrored else straight
                    kept += zip(*[stage.half().cpu() for stage in self.model.residuals(rgb.to(device()))], strict=True)
        return stored
