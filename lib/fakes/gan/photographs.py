"""The photographs that generators learn from: the bundled ones, or any folder of pictures."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch

from lib import paths
from lib.data import image
from lib.fakes import orl

BUNDLED = 128  # pixels: the bundled photographs, which are 92 wide, are not enlarged beyond this
THREADS = 8  # so many read a folder


def of(settings, size, splits=("train",)):
    """Return the photographs to learn from as a tensor (N, C, size, size) in [-1, 1], or a Folder, which acts as one.

    settings: a section with photographs (a folder, or "" for those of ORL) and colour; splits: of the people of ORL.
    Raises ValueError if the bundled photographs are too small or grey, FileNotFoundError for a missing or empty folder.
    """
    if settings.photographs:
        return Folder(settings.photographs, size, 3 if settings.colour else 1)
    return from_uint8([orl.photo_square(path, size) for *_, path in bundled(size, settings.colour, splits)])


def bundled(size, colour, splits):
    """Return `orl.photographs_of` the splits; raises ValueError if they are too small for `size`, or lack colour."""
    if size > BUNDLED or colour:
        wanted = f"{size} pixels{' in colour' if colour else ''}"
        raise ValueError(f"photographs: {wanted} need a folder of pictures; the bundled ones are small and grey")
    return orl.photographs_of(*splits)


class Folder:
    """The pictures below a folder, each read when it is asked for: folder[indices] -> (n, channels, size, size).

    Each is cut to its central square, in [-1, 1]; one that is smaller than `size` raises ValueError that names it.
    names: of each picture its folders and its name without suffix, joined by _; domains: (N,), the position of its
    folder among all folders, sorted by name.
    """

    def __init__(self, root, size, channels):
        root, self.device = paths.resolve(root), torch.device("cpu")
        found = root.rglob("*") if root.is_dir() else ()
        self.files = sorted(file for file in found if file.suffix.lower() in image.SUFFIXES)
        if not self.files:
            raise FileNotFoundError(f"photographs: no {', '.join(image.SUFFIXES)} file below {paths.show(root)}")
        self.names = ["_".join(file.relative_to(root).with_suffix("").parts) for file in self.files]
        self.domains = np.unique([str(file.relative_to(root).parent) for file in self.files], return_inverse=True)[1]
        self.shape = torch.Size([len(self.files), channels, size, size])

    def to(self, device):
        self.device = device
        return self

    def __len__(self):
        return len(self.files)

    def __getitem__(self, indices):
        with ThreadPoolExecutor(THREADS) as pool:
            pictures = list(pool.map(self.read, torch.as_tensor(indices).tolist()))
        return from_uint8(pictures).to(self.device)

    def read(self, index):
        """Return one picture, uint8 (size, size, 3), or (size, size) for one channel."""
        picture, (_, channels, size, _) = image.read_image(self.files[index]), self.shape
        if min(picture.shape[:2]) < size:
            height, width = picture.shape[:2]
            raise ValueError(f"{self.files[index]}: {width} x {height} pixels are less than {size}; remove it")
        square = image.resize(picture, size)
        return square if channels == 3 else cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)


def parts(images, size=16, limit=2000):
    """Yield up to `limit` of the images, at equal intervals, as tensors of `size` or fewer of them."""
    chosen = torch.linspace(0, len(images) - 1, min(limit, len(images))).round().long()
    for indices in chosen.split(size):
        yield images[indices]


def from_uint8(images):
    """Images uint8 (H, W) or (H, W, 3) -> float32 tensor (N, C, H, W) in [-1, 1]."""
    tensor = torch.from_numpy(np.stack(images)).float() / 127.5 - 1
    return tensor[:, None] if tensor.dim() == 3 else tensor.permute(0, 3, 1, 2)


def to_uint8(images):
    """(N, C, H, W) in [-1, 1] -> uint8 array (N, H, W) for one channel, else (N, H, W, 3)."""
    pixels = ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
    return (pixels[:, 0] if pixels.shape[1] == 1 else pixels.permute(0, 2, 3, 1)).numpy()


def planes(images):
    """Return uint8 images (N, H, W) or (N, H, W, 3) as floats in [0, 1], channels first: (N, [3,] H, W)."""
    return (np.moveaxis(images, -1, 1) if images.ndim == 4 else images) / 255
