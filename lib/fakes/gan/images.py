"""Data sets of photographs beside faces that trained generators draw, in the layout CelebA-HQ.

A generator draws ten times the faces that are kept. For each photograph the one is kept that comes closest in file size
and in brightness, so that neither gives the label away: this makes the set harder and changes no pixel. The name of a
generated face is the seed it was drawn from.
"""

import io
import json
import shutil

import numpy as np
import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from tqdm.auto import tqdm

from lib import paths
from lib.data.image import write_png
from lib.fakes import orl
from lib.fakes import weights as on_disk
from lib.fakes.gan.layers import side
from lib.fakes.gan.photographs import to_uint8
from lib.fakes.gan.train import build

SOURCES = {"ProGAN": ("progan", {}), "StyleGAN": ("stylegan", {})}  # folder: weights, options of `sample`
WEIGHTS = paths.DATA / "generators"


def load_generator(name, folder=WEIGHTS):
    """Return the trained generator NAME.safetensors of a folder; raises FileNotFoundError where it is missing."""
    sizes = lambda config: (config["latent"], config["widths"], config.get("channels", 1))
    make = lambda config: build(config.get("architecture", name), *sizes(config))
    return on_disk.load(folder / f"{name}.safetensors", "run `dvc pull` or notebook 12", make)


def draw(generator, seeds, **options):
    """Draw one image a seed: uint8 (len(seeds), H, W), of a generator in colour (len(seeds), H, W, 3)."""
    return np.stack(list(stream(generator, seeds, **options)))


def stream(generator, seeds, **options):
    """Yield one image a seed, each of which depends on its own seed alone; options: of `sample`."""
    for seed in tqdm(seeds, desc=type(generator).__name__, unit="image", leave=False, delay=5):
        yield to_uint8(generator.sample(1, torch.Generator().manual_seed(int(seed)), **options))[0]


def write_draws(folder, generator, seeds, quality=0, **options):
    """Write one image a seed to `folder`/SEED.png, or .jpg of a `quality`: saved as the photographs beside them are."""
    for seed, picture in zip(seeds, stream(generator, seeds, **options), strict=True):
        kind = {"format": "JPEG", "quality": quality} if quality else {"format": "PNG"}
        file, drawn = folder / f"{seed:06d}.{'jpg' if quality else 'png'}", Image.fromarray(picture)
        paths.replace(file, lambda temporary, drawn=drawn, kind=kind: drawn.save(temporary, **kind))


def giveaways(images):
    """Return (n, 2): the size as PNG in bytes and the mean brightness of images uint8 (H, W) or (H, W, 3)."""
    found = []
    for picture in images:
        Image.fromarray(picture).save(file := io.BytesIO(), format="PNG")
        found.append((file.tell(), picture.mean()))
    return np.array(found)


def alike(candidates, wanted):
    """Return the indices (n,) of the rows of `candidates` (m, k) that lie closest to `wanted` (n, k), each taken once.

    The sum of the squared distances, in standard deviations of `wanted`, is the least possible.
    """
    distance = cdist(wanted / wanted.std(0), candidates / wanted.std(0), "sqeuclidean")
    return linear_sum_assignment(distance)[1]


def make(folder, weights=WEIGHTS, factor=10, seed=0, sources=SOURCES, real="CelebA-HQ", people=tuple(orl.SPLITS),
         split=None):  # fmt: skip
    """Write photographs and generated faces to `folder` in the layout CelebA-HQ; what lies there is replaced.

    weights: folder of the trained generators. factor: faces drawn for each one that is kept. sources: {folder of the
    fakes: (name of the weights, options of `sample`)}; real, people, split: as of `photographs`. A generated face gets
    the split of the photograph it was chosen for. 8-bit PNG, of the size that the generators draw.
    Raises FileNotFoundError for missing weights, ValueError for generators of different sizes.
    """
    generators = {name: load_generator(name, weights) for name, _ in sources.values()}
    sizes = {name: side(len(generator.widths)) for name, generator in generators.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"weights: these generators draw images of different sizes, in pixels: {sizes}")
    entries = photographs(real, max(sizes.values()), people, split)
    looks = giveaways(picture for _, _, picture, _ in entries)
    seeds = np.arange(factor * len(entries)) + seed
    for source, (name, options) in sources.items():
        drawn = draw(generators[name], seeds, **options)
        pairs = zip(alike(giveaways(drawn), looks), entries[: len(looks)], strict=True)
        entries += [(source, f"{seeds[i]:06d}", drawn[i], at) for i, (*_, at) in pairs]
    write_set(folder, entries)


def photographs(source, size, people, split=None):
    """Return the photographs of the people of some splits of ORL as entries of `write_set`.

    split: in which all of them are listed; None: each in that of its person.
    """
    return [
        (source, f"{person}_{photo}", orl.photo_square(path, size), split or orl.SPLIT_OF[person])
        for person, photo, path in orl.photographs_of(*people)
    ]


def write_set(folder, entries):
    """Write images (source, name, uint8 (H, W), split) as SOURCE/NAME.png and list them in splits/SPLIT.json.

    What lies in `folder` is replaced, once all is written.
    """
    unfinished, replaced = (folder.with_name(f".{folder.name}.{state}") for state in ("unfinished", "replaced"))
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)
    for source, name, image, _ in entries:
        write_png(unfinished / source / f"{name}.png", image)
    (unfinished / "splits").mkdir()
    for split in orl.SPLITS:
        names = sorted(f"{source}/{name}.png" for source, name, _, at in entries if at == split)
        (unfinished / "splits" / f"{split}.json").write_text(json.dumps(names, indent=0) + "\n")
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)
