"""Residuals computed once: the re-synthesizer is fixed while the detectors learn from it."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm


class Residuals(Dataset):
    """The items of a data set of images with the residuals of each, kept in memory as float16.

    images: items {"rgb", "label", "index"}, unmirrored; residuals: rgb (N,3,H,W) -> list of tensors (N,...), as
    `BeyondTheSpectrum.residuals`. flip: mirror each item or not by a coin that depends on (seed, epoch, index) alone;
    the residuals of a mirrored image are computed on their own, for they are not the mirrored residuals.
    Items: {"rgb", "label", "index", "residuals": list of float32 tensors}.
    """

    def __init__(self, images, residuals, flip=False, seed=0, batch_size=8):
        self.images, self.flip, self.seed, self.epoch = images, flip, seed, 0
        self.stored = [[] for _ in range(1 + flip)]  # as they are, mirrored
        with torch.inference_mode():
            for batch in tqdm(DataLoader(images, batch_size), desc="residuals", leave=False):
                for mirrored, stored in enumerate(self.stored):
                    rgb = batch["rgb"].flip(-1) if mirrored else batch["rgb"]
                    stages = [stage.half().cpu() for stage in residuals(rgb)]
                    stored += zip(*stages, strict=True)

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        item = self.images[index]
        mirrored = self.flip and np.random.default_rng((self.seed, self.epoch, index)).random() < 0.5
        rgb = item["rgb"].flip(-1) if mirrored else item["rgb"]
        return {**item, "rgb": rgb, "residuals": [stage.float() for stage in self.stored[mirrored][index]]}
