"""What the trainings of all generators share: one step, the running mean of the weights, a state to resume from."""

import copy
import json
import time

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from lib import paths
from lib.data import image


class Training:
    """Networks, optimisers and progress of one training; one step = one batch for each network.

    generator: what draws the images, `average`: its running mean. images: (N, C, S, S) in [-1, 1] to learn from, or
    `photographs.Folder`.
    A subclass sets `optimisers`, and has `update(step)`, which trains on one batch and returns the losses as a dict of
    floats, and `sheet(growth)`, which returns a picture, uint8 (H, W) or (H, W, 3), of what the generator draws by now.
    """

    growth = None

    def __init__(self, settings, seed, device, generator, discriminator, images):
        self.settings, self.seed, self.device = settings, seed, torch.device(device)
        layout = {"device": self.device, "memory_format": torch.channels_last}
        self.generator, self.discriminator = generator.to(**layout), discriminator.to(**layout)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.images = images.to(self.device)
        self.seen, self.total = 0, int(1000 * np.sum(settings.thousands))  # images
        self.history, self.best = [], None
        self.config = json.dumps(settings, default=vars)  # what a training must share with one that it goes on from

    @property
    def parts(self):
        """Networks and optimisers, whose states are saved."""
        return [self.generator, self.discriminator, self.average, *self.optimisers]

    def state_dict(self):
        kept = {"config": self.config, "seen": self.seen, "history": self.history, "best": self.best}
        return kept | {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state):
        self.seen, self.history, self.best = state["seen"], state["history"], state.get("best")
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)

    def step(self):
        """Train all networks on one batch; returns the losses as a dict of floats."""
        step = self.seen // self.settings.batch_size
        torch.manual_seed((self.seed << 32) + step)  # a resumed run draws what an unbroken one would have drawn
        losses = self.update(step)
        self.seen += self.settings.batch_size
        half_life = min(1000 * self.settings.average_thousands, 0.1 * self.seen)
        weight = 1 - 0.5 ** (self.settings.batch_size / half_life)
        for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(value.detach(), weight)
        for mean, value in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            mean.copy_(value)
        return losses

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16)

    def run(self, folder, name):
        """Take all steps, or those that are left after the state in `folder`, and return this training.

        Every settings.report_every images: history.csv, a sheet of faces and the state to resume from go to `folder`.
        Raises ValueError if the training in `folder` has other settings.
        """
        file, batch_size = folder / "state.pt", self.settings.batch_size
        if file.is_file():
            saved = torch.load(file, weights_only=True)
            if saved["config"] != self.config:
                raise ValueError(f"{paths.show(folder)}: holds a training with other settings; remove it to start anew")
            self.load_state_dict(saved)
        losses, began = [], time.monotonic()
        with tqdm(total=self.total, initial=self.seen, unit="image", desc=name) as bar:
            while self.seen < self.total:
                growth = self.growth
                losses.append(self.step())
                bar.update(batch_size)
                if self.seen % self.settings.report_every < batch_size:
                    row = {"images": self.seen, "growth": growth, "seconds": time.monotonic() - began}
                    self.history.append(row | pd.DataFrame(losses).mean().to_dict())
                    paths.replace(file, lambda temporary: torch.save(self.state_dict(), temporary))
                    self.write_history(folder / "history.csv")
                    image.write_png(folder / f"{self.seen:07d}.png", self.sheet(growth))
                    losses, began = [], time.monotonic()
        return self

    def write_history(self, path):
        paths.replace(path, lambda temporary: pd.DataFrame(self.history).to_csv(temporary, index=False))
