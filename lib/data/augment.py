"""Random changes of training images, such as shared pictures undergo: compression, blur, noise, size, light."""

import numpy as np
from torch.utils.data import Dataset

from lib.data import changes


def light(image, rng):
    """Change the contrast of an image by up to a fifth and its brightness by up to 25 grey levels."""
    changed = rng.uniform(0.8, 1.2) * (image.astype(np.float32) - 128) + 128 + rng.uniform(-25, 25)
    return changed.round().clip(0, 255).astype(np.uint8)


CHANGES = (
    lambda image, rng: changes.jpeg(image, rng.integers(30, 96)),
    lambda image, rng: changes.blur(image, rng.choice((3, 5, 7))),
    lambda image, rng: changes.noise(image, rng.uniform(1, 8), rng),
    lambda image, rng: changes.resize(image, rng.uniform(0.4, 0.9)),
    light,
)


class Augmented(Dataset):
    """The items of `images`, some of them changed by one or two of CHANGES, drawn by (seed, epoch, index) alone.

    images: items {"rgb": (3,H,W) in [0,1], "index", ...} with `set_epoch`; share: the probability in [0,1] that an item
    is changed.
    """

    def __init__(self, images, share, seed=0):
        self.images, self.share, self.seed, self.epoch = images, share, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch
        self.images.set_epoch(epoch)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        item, rng = self.images[index], np.random.default_rng((self.seed, self.epoch, index, 1))
        if rng.random() >= self.share:
            return item

        def several(pixels):
            for which in rng.permutation(len(CHANGES))[: rng.integers(1, 3)]:
                pixels = CHANGES[which](pixels, rng)
            return pixels

        return changes.of_item(item, several)
