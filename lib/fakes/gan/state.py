"""What every training of a generator keeps: the part that `lib.fakes.gan.train.run` writes, reads and goes on from."""

import torch


class State:
    """The networks, optimisers and progress of one training.

    A subclass sets settings, device, discriminator, average (the running mean of `trained`, which draws the images),
    optimisers, seen = 0 and history = [], and has `trained`, `total`, `growth`, `step` and `sheet`.
    """

    @property
    def config(self):
        """What a training must have in common with one that it goes on from."""
        return {"settings": self.settings.model_dump()}

    @property
    def _parts(self):
        return [self.trained, self.discriminator, self.average, *self.optimisers]

    def state_dict(self):
        state = {"config": self.config, "seen": self.seen, "history": self.history}
        return state | {"networks": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state):
        self.seen, self.history = state["seen"], state["history"]
        for part, saved in zip(self._parts, state["networks"], strict=True):
            part.load_state_dict(saved)

    def _autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16)

    @torch.no_grad()
    def _average(self):
        half_life = min(1000 * self.settings.average_thousands, 0.1 * self.seen)
        weight = 1 - 0.5 ** (self.settings.batch_size / half_life)
        for mean, value in zip(self.average.parameters(), self.trained.parameters(), strict=True):
            mean.lerp_(value, weight)
        for mean, value in zip(self.average.buffers(), self.trained.buffers(), strict=True):
            mean.copy_(value)
