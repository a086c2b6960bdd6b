"""Data sets of photographs beside faces that trained generators draw, in the layout CelebA-HQ.

A generator draws ten times as many faces as are kept. For each photograph the face is kept that comes closest in file
size and in brightness, so that neither gives the label away: this makes the set harder and changes no pixel. A
generated face is named after the seed it was drawn from.
"""

import functools
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
from lib.fakes.gan import photographs
from lib.fakes.gan.layers import side
from lib.fakes.gan.photographs import to_uint8
from lib.fakes.gan.train import build
from lib.training.device import device

SOURCES = {"ProGAN": ("progan", {}), "StyleGAN": ("stylegan", {})}  # folder: weights, options of `sample`
WEIGHTS = paths.DATA / "generators"


def load_generator(name, folder=WEIGHTS):
    """Return the trained generator NAME.safetensors of a folder; raises FileNotFoundError if it is missing."""
    sizes = lambda config: (config["latent"], config["widths"], config.get("channels", 1))
    make = lambda config: build(config.get("architecture", name), *sizes(config))
    return on_disk.load(folder / f"{name}.safetensors", "run `dvc pull` or notebook 12", make)


def draw(generator, seeds, **options):
    """Draw one image a seed: uint8 (len(seeds), H, W), or (len(seeds), H, W, 3) if the generator draws in colour."""
    return np.stack(list(stream(generator, seeds, **options)))


def stream(generator, seeds, **options):
    """Yield one image for each seed, which depends on that seed alone; options: of `sample`."""
    for seed in tqdm(seeds, desc=type(generator).__name__, unit="image", leave=False, delay=5):
        yield to_uint8(generator.sample(1, torch.Generator().manual_seed(int(seed)), **options))[0]


def write_draws(folder, generator, seeds, quality=0, **options):
    """Write one image a seed to `folder`/SEED.png, or with a `quality` to .jpg, as the photographs beside them are."""
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
    deviation = deviations(wanted)
    distance = cdist(wanted / deviation, candidates / deviation, "sqeuclidean")
    return linear_sum_assignment(distance)[1]


def deviations(looks):
    """Return the standard deviations (k,) of `looks` (n, k), at least 1e-6, so that one can divide by them."""
    return np.maximum(looks.std(0), 1e-6)


def make(folder, weights=WEIGHTS, factor=10, seed=0, sources=SOURCES, real="CelebA-HQ", people=tuple(orl.SPLITS),
         split=None, own=None):  # fmt: skip
    """Write photographs and generated faces to `folder` in the layout CelebA-HQ; what lies there is replaced.

    weights: folder of the trained generators. factor: faces drawn for each one that is kept. sources: {folder of the
    fakes: (name of the weights, options of `sample`)}; real, people, split, own: as in `beside`. A generated face gets
    the split of the photograph it was chosen for. 8-bit PNG, of the size that the generators draw.
    Raises FileNotFoundError for missing weights, ValueError for generators of different sizes or colours.
    """
    generators = {name: load_generator(name, weights).to(device()) for name, _ in sources.values()}
    sizes = {name: (side(len(each.widths)), each.channels) for name, each in generators.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"weights: these generators draw images of different sizes, in pixels and channels: {sizes}")
    real = beside(real, *max(sizes.values()), people, split, own)
    write_set(folder, _chosen(generators, sources, factor, seed, real))


def _chosen(generators, sources, factor, seed, real):
    """Yield the entries `real`, then those of the faces that come closest to them; few images are in memory at once."""
    yield from real
    looks = giveaways(read() for _, _, read, _ in real)
    seeds = np.arange(factor * len(real)) + seed
    for source, (name, options) in sources.items():
        chosen = seeds[alike(giveaways(stream(generators[name], seeds, **options)), looks)]
        for number, picture, (*_, at) in zip(chosen, stream(generators[name], chosen, **options), real, strict=True):
            yield source, f"{number:06d}", functools.partial(np.asarray, picture), at


def beside(source, size, channels, people, split=None, own=None):
    """Return the photographs that fakes of a size stand beside, as a list of entries of `write_set`.

    own: a folder of pictures; None: those of ORL, of the people of these splits. split: the one that lists all of them;
    None: each is listed in the split of its person. Raises ValueError if those of ORL are too small, or grey.
    """
    if own:
        folder = photographs.Folder(own, size, channels)
        return [(source, name, functools.partial(folder.read, at), split) for at, name in enumerate(folder.names)]
    return [
        (source, f"{person}_{photo}", functools.partial(orl.photo_square, path, size), split or orl.SPLIT_OF[person])
        for person, photo, path in photographs.bundled(size, channels == 3, people)
    ]


def write_set(folder, entries):
    """Write images (source, name, function that gives uint8 (H, W) or (H, W, 3), split) as SOURCE/NAME.png.

    They are listed in splits/SPLIT.json. What lies in `folder` is replaced, once all is written.
    """
    unfinished, replaced = (folder.with_name(f".{folder.name}.{state}") for state in ("unfinished", "replaced"))
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)
    listed = {split: [] for split in orl.SPLITS}
    for source, name, read, split in entries:
        write_png(unfinished / source / f"{name}.png", read())
        listed[split].append(f"{source}/{name}.png")
    (unfinished / "splits").mkdir()
    for split, names in listed.items():
        (unfinished / "splits" / f"{split}.json").write_text(json.dumps(sorted(names), indent=0) + "\n")
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)
