"""Tables of face images as data sets for training and scoring."""

import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from lib.data.image import read_image, resize

MEMORY_LIMIT = 4 * 2**30  # bytes; larger sets are read from disk at each epoch


class FaceImages(Dataset):
    """The images of a table: {"rgb": float32 (3, size, size) in [0, 1], "label": float32 (), "index": int, "mirrored"}.

    flip: mirror each image with probability 1/2, drawn by (seed, epoch, index) alone, so that the number of workers
    does not matter. "mirrored" (bool) tells what must be mirrored with its image, such as a mask.
    in_memory: read all images at the start and keep them, resized, as uint8, unless they exceed `MEMORY_LIMIT`.
    Raises ValueError in one line that names a file that is empty, truncated or no image.
    """

    def __init__(self, table, size, flip=False, in_memory=True, seed=0):
        self.paths = table["path"].tolist()
        self.labels = torch.tensor(table["label"].to_numpy(), dtype=torch.float32)
        self.size, self.flip, self.seed, self.epoch = size, flip, seed, 0
        self.stored = None
        if in_memory and len(self.paths) * 3 * size**2 <= MEMORY_LIMIT:
            self.stored = torch.empty(len(self.paths), 3, size, size, dtype=torch.uint8)
            with ThreadPoolExecutor() as pool:
                for index, pixels in enumerate(pool.map(self._read, range(len(self.paths)))):
                    self.stored[index] = pixels

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        pixels = self._read(index) if self.stored is None else self.stored[index]
        mirrored = self.flip and bool(np.random.default_rng((self.seed, self.epoch, index)).random() < 0.5)
        pixels = pixels.flip(-1) if mirrored else pixels
        return {"rgb": pixels.float() / 255, "label": self.labels[index], "index": index, "mirrored": mirrored}

    def _read(self, index):
        square = resize(read_image(self.paths[index]), self.size)
        return torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1)))


class Balanced(Dataset):
    """A view of `FaceImages(table, ...)` with as many fakes as reals: all of the rarer class, a sample of the other.

    Each `set_epoch` draws anew, by (seed, epoch) alone. Raises ValueError if the table holds one class only.
    Source: the sampling rule of DCL, which PEL's other numbers follow.
    """

    def __init__(self, table, images, seed=0):
        self.images, self.seed = images, seed
        self.sides = [np.flatnonzero(table["label"] == label) for label in (0, 1)]
        if not min(map(len, self.sides)):
            raise ValueError("the table holds one class only; training needs real and fake images")
        self.set_epoch(0)

    def set_epoch(self, epoch):
        self.images.set_epoch(epoch)
        generator, count = np.random.default_rng((self.seed, epoch)), min(map(len, self.sides))
        self.rows = np.sort(np.concatenate([generator.choice(side, count, replace=False) for side in self.sides]))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.images[int(self.rows[index])]


def batches(items, size):
    """Yield the batches that DataLoader(items, size) makes; threads read the next one ahead from disk.

    items: a FaceImages, or a data set that wraps one as its attribute `images`. If the images are in memory, no thread
    is started.
    """
    if not _from_disk(items):
        yield from DataLoader(items, size)
        return
    items[0]  # what a data set does at its first item alone is done before threads share it
    waiting, rest = deque(), iter(range(len(items)))
    with ThreadPoolExecutor() as pool:
        begin = lambda: waiting.extend(pool.submit(items.__getitem__, i) for i in itertools.islice(rest, size))
        begin()
        while waiting:
            batch = default_collate([waiting.popleft().result() for _ in range(min(size, len(waiting)))])
            begin()  # not earlier, so that few images are in memory at once
            yield batch


def _from_disk(items):
    while hasattr(items, "images"):
        items = items.images
    return getattr(items, "stored", items) is None
