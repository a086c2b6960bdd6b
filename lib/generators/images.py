"""Make data/CelebA-HQ, photographs beside generated faces, from trained generators: `python -m lib.generators.images`.

A generator draws ten times the faces that are kept. For each photograph the one is kept that comes closest in file size
and in brightness, so that neither gives the label away: this makes the set harder and changes no pixel. The name of a
generated face is the seed it was drawn from.
"""

import argparse
import io
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from tqdm.auto import tqdm

from lib import paths
from lib.data import orl
from lib.data.image import write_png
from lib.generators.train import build, to_uint8

SOURCES = {"progan": "ProGAN", "stylegan": "StyleGAN"}
WEIGHTS = paths.DATA / "generators"


def load_generator(name, folder=WEIGHTS):
    """Return the trained generator "progan" or "stylegan" in evaluation mode.

    Raises FileNotFoundError where its weights are missing.
    """
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{paths.show(path)}: no such weights; run `dvc pull` or notebook 12")
    with safe_open(path, "pt") as file:
        config = {key: json.loads(value) for key, value in file.metadata().items()}
    generator = build(name, config["latent"], config["widths"])
    generator.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    return generator.eval().requires_grad_(False)


def draw(generator, seeds, progress=False):
    """Draw one face a seed as uint8 (len(seeds), H, W); a face depends on its own seed alone."""
    bar = tqdm(seeds, desc=type(generator).__name__, unit="face", disable=not progress)
    return np.concatenate([to_uint8(generator.sample(1, torch.Generator().manual_seed(int(seed)))) for seed in bar])


def giveaways(images):
    """Return (n, 2): the size as PNG in bytes and the mean brightness of each image, uint8 (n, H, W)."""
    return np.array([(_png_bytes(image), image.mean()) for image in images])


def alike(candidates, wanted):
    """For each row of `wanted` (n, k) pick another row of `candidates` (m, k), all in all the closest; indices (n,).

    Distances count in standard deviations of `wanted`.
    """
    distance = cdist(wanted / wanted.std(0), candidates / wanted.std(0), "sqeuclidean")
    return linear_sum_assignment(distance)[1]


def make(folder, weights=WEIGHTS, size=128, factor=10, seed=0, progress=True):
    """Write photographs and generated faces to `folder` in the layout CelebA-HQ; what lies there is replaced.

    weights: folder of the trained generators. factor: faces drawn for each one that is kept. A generated face gets the
    split of the photograph it was chosen for. Grey 8-bit PNG, size x size.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    split_of = {person: split for split in orl.SPLITS for person in orl.people(split)}
    photographs = orl.orl_photographs()
    photos = np.stack([orl.photo_square(path, size) for _, _, path in photographs])
    splits = {split: [] for split in orl.SPLITS}

    def keep(source, name, image, person):
        write_png(unfinished / source / f"{name}.png", image)
        splits[split_of[person]].append(f"{source}/{name}.png")

    for (person, photo, _), image in zip(photographs, photos, strict=True):
        keep("CelebA-HQ", f"{person}_{photo}", image, person)
    for name, source in SOURCES.items():
        seeds = np.arange(factor * len(photos)) + seed
        images = draw(load_generator(name, weights), seeds, progress)
        chosen = alike(giveaways(images), giveaways(photos))
        for (person, _, _), index in zip(photographs, chosen, strict=True):
            keep(source, f"{seeds[index]:06d}", images[index], person)
    (unfinished / "splits").mkdir()
    for split, names in splits.items():
        (unfinished / "splits" / f"{split}.json").write_text(json.dumps(sorted(names), indent=0) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _png_bytes(image):
    Image.fromarray(image).save(file := io.BytesIO(), format="PNG")
    return file.tell()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the trained generators (%(default)s)")
    parser.add_argument("--out", type=Path, default=paths.DATA / "CelebA-HQ", help="folder to write (%(default)s)")
    arguments = parser.parse_args()
    try:
        make(arguments.out, arguments.weights)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
