"""What the re-synthesizer learns from: one random patch of each photograph an epoch."""

import numpy as np
import torch
from torch.utils.data import Dataset


class Patches(Dataset):
    """One random square patch of each image, mirrored and turned at random; `set_epoch` draws new ones.

    images: items with "rgb" (3,H,W) in [0,1]; table: one row for each image; patch: side in pixels (a smaller image
    raises ValueError). Items: {"rgb": float32 (3,patch,patch)}; what is drawn depends on (seed, epoch, index) alone.
    Source: train_sr.py of SSAW14/BeyondtheSpectrum (mirror, flip and quarter turn, each with probability 1/2).
    """

    def __init__(self, images, table, patch, seed=0):
        self.images, self.table, self.patch, self.seed, self.epoch = images, table, patch, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        rgb = self.images[index]["rgb"]
        room = min(rgb.shape[1:]) - self.patch
        if room < 0:
            raise ValueError(f"patch: {self.patch} pixels do not fit into an image of {rgb.shape[1]}x{rgb.shape[2]}")
        random = np.random.default_rng((self.seed, self.epoch, index))
        top, left = (int(random.integers(side - self.patch + 1)) for side in rgb.shape[1:])
        rgb = rgb[:, top : top + self.patch, left : left + self.patch]
        mirror, flip, turn = random.random(3) < 0.5
        rgb = rgb.flip(-1) if mirror else rgb
        rgb = rgb.flip(-2) if flip else rgb
        return {"rgb": torch.rot90(rgb, int(turn), (-2, -1)).contiguous()}
