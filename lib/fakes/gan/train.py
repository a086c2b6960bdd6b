"""Train ProGAN, StyleGAN or StyleGAN2: `python -m lib.fakes.gan.train progan|stylegan|stylegan2`.

All are trained alike, the first two by progressive growing, StyleGAN2 at full size from the start, with the loss that
StyleGAN moved to: non-saturating logistic loss and R1 (Mescheder et al., 2018), not ProGAN's WGAN-GP, which needs more
discriminator steps for the same faces. A few hundred photographs would be learned by heart, so the discriminator sees
real and generated images through the same random, differentiable shifts in place, brightness and contrast (DiffAugment,
Zhao et al., 2020).
"""

import argparse
import bisect
import copy
import itertools
import json
import math
import time

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tqdm.auto import tqdm

from lib import paths
from lib.data import image
from lib.fakes import orl
from lib.fakes.gan.layers import Discriminator
from lib.fakes.gan.progan import ProGAN
from lib.fakes.gan.state import State
from lib.fakes.gan.stylegan import StyleGAN
from lib.fakes.gan.stylegan2 import ResidualDiscriminator, StyleGAN2
from lib.params import load

GENERATORS = {"progan": ProGAN, "stylegan": StyleGAN, "stylegan2": StyleGAN2}
PEOPLE = {"train": ("train",), "others": ("val", "test")}  # whose photographs teach a generator: splits
WEIGHTS = paths.CHECKPOINTS / "generators"
ROWS, COLUMNS = 4, 8  # of the sheet of faces that each checkpoint draws


def training_images(size, splits=("train",)):
    """All photographs of the people of some splits as float (N, 1, size, size) in [-1, 1]; 240 are of "train"."""
    people = {person for split in splits for person in orl.people(split)}
    images = [orl.photo_square(path, size) for person, _, path in orl.orl_photographs() if person in people]
    return torch.from_numpy(np.stack(images)[:, None]).float() / 127.5 - 1


def build(name, latent, widths):
    """Make the untrained generator `name`, one of GENERATORS."""
    return GENERATORS[name](latent, widths)


def growth_at(seen, thousands, fade):
    """Growth after `seen` images: level k lasts thousands[k] thousand images and is faded in over the first `fade`."""
    ends = list(itertools.accumulate(1000 * t for t in thousands))
    level = min(bisect.bisect_right(ends, seen), len(ends) - 1)
    if level == 0:
        return 0.0
    into = (seen - ends[level - 1]) / (1000 * min(fade, thousands[level]))
    return level - 1 + min(1.0, max(into, 1e-3))


def augment(images):
    """Shift each image by up to an eighth, and change its brightness and contrast a little, at random; differentiable.

    images: (N, 1, S, S) in [-1, 1]; what is shifted in is mid-grey. Zhao et al., "DiffAugment" (NeurIPS 2020), but
    with less change of brightness and contrast: what the discriminator cannot see, the generator does not learn.
    """
    n, _, size, _ = images.shape
    brightness, contrast = 0.4 * torch.rand(2, n, 1, 1, 1, device=images.device) - 0.2
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (1 + contrast) + mean + brightness
    reach = max(1, size // 8)
    padded = F.pad(images, [reach] * 4)
    shifts = torch.randint(0, 2 * reach + 1, (n, 2)).tolist()
    return torch.cat([padded[i : i + 1, :, y : y + size, x : x + size] for i, (y, x) in enumerate(shifts)])


def real_batch(images, count, growth):
    """Draw `count` training images, flipped at random, at the size and fade of `growth`."""
    batch = images[torch.randint(len(images), (count,))].to(images)
    batch = torch.where(torch.rand(count, 1, 1, 1, device=batch.device) < 0.5, batch.flip(3), batch)
    level = math.ceil(growth)
    batch = F.adaptive_avg_pool2d(batch, 4 * 2**level)
    if level > growth:  # the generator shows a blend of two sizes, so the discriminator must see the same
        coarse = F.interpolate(F.avg_pool2d(batch, 2), scale_factor=2)
        batch = torch.lerp(coarse, batch, 1 - (level - growth))
    return batch


def r1(discriminator, images, growth):
    """R1: mean squared norm of the discriminator's gradient at real images. Mescheder et al. 2018, Eq. 9."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images, growth).sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


class Training(State):
    """The state of one training: networks, optimisers, number of images seen. One step = one batch for each network.

    splits: whose photographs teach the generator, the people of these splits.
    """

    def __init__(self, name, settings, seed, device="cpu", splits=("train",)):
        torch.manual_seed(seed)
        self.name, self.settings, self.seed, self.device = name, settings, seed, torch.device(device)
        layout = {"device": self.device, "memory_format": torch.channels_last}
        self.generator = build(name, settings.latent, settings.widths).to(**layout)
        discriminator = ResidualDiscriminator if name == "stylegan2" else Discriminator
        self.discriminator = discriminator(settings.widths).to(**layout)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.grows = name != "stylegan2"
        self.learning_rates = settings.learning_rates.progan if name == "progan" else settings.learning_rates.stylegan
        self.optimisers = [
            torch.optim.Adam(network.parameters(), betas=(0.0, 0.99), fused=True)
            for network in (self.generator, self.discriminator)
        ]
        self.images = training_images(4 * 2 ** (len(settings.widths) - 1), splits).to(self.device)
        self.seen, self.history = 0, []

    @property
    def trained(self):
        return self.generator

    @property
    def total(self):
        return int(1000 * sum(self.settings.thousands))

    @property
    def growth(self):
        if not self.grows:
            return len(self.settings.widths) - 1
        return growth_at(self.seen, self.settings.thousands, self.settings.fade)

    def step(self):
        """Train both networks on one batch; returns the losses as a dict of floats."""
        s, growth, step = self.settings, self.growth, self.seen // self.settings.batch_size
        torch.manual_seed((self.seed << 32) + step)  # a resumed run draws what an unbroken one would have drawn
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = self.learning_rates[math.floor(growth)]
        real = real_batch(self.images, s.batch_size, growth)
        with self._autocast():
            fake = self.generator(torch.randn(s.batch_size, s.latent, device=self.device), growth)
        losses = self.train_discriminator(real, fake.detach(), growth) | self.train_generator(fake, growth)
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        self.seen += s.batch_size
        self._average()
        return losses

    def train_discriminator(self, real, fake, growth):
        """Take one step of the discriminator on images (N, 1, S, S) in [-1, 1]; returns its losses as floats."""
        s, real = self.settings, augment(real)
        with self._autocast():
            logits_real = self.discriminator(real, growth)
            logits_fake = self.discriminator(augment(fake), growth)
            loss = F.softplus(-logits_real.float()).mean() + F.softplus(logits_fake.float()).mean()
        loss.backward()
        if self.seen // s.batch_size % s.penalty_interval == 0:  # now and then, and the more strongly (StyleGAN2)
            weight = s.penalty * (real.shape[-1] / self.images.shape[-1]) ** 2
            (0.5 * weight * s.penalty_interval * r1(self.discriminator, real, growth)).backward()
        self.optimisers[1].step()
        sign = logits_real.detach().sign().mean().item()
        return {"loss_discriminator": loss.item(), "real_logit_sign": sign}

    def train_generator(self, fake, growth):
        """Take one step of the generator that drew `fake`; returns its losses as floats."""
        loss = self.adversarial_loss(fake, growth)
        loss.backward()
        self.optimisers[0].step()
        return {"loss_generator": loss.item()}

    def adversarial_loss(self, fake, growth):
        """How little the discriminator is taken in by generated images; its own gradients are left alone."""
        self.discriminator.requires_grad_(False)
        with self._autocast():
            loss = F.softplus(-self.discriminator(augment(fake), growth).float()).mean()
        self.discriminator.requires_grad_(True)
        return loss

    def sheet(self, growth):
        """A sheet of faces to look at, uint8 (H, W), drawn at a growth."""
        return preview(self.average, growth)


@torch.no_grad()
def preview(generator, growth=None, rows=ROWS, columns=COLUMNS, seed=1):
    """A sheet of rows x columns faces as uint8 (H, W), always of the same latent vectors."""
    device = next(generator.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        images = generator(torch.randn(rows * columns, generator.latent).to(device), growth)
    size = 4 * 2 ** (len(generator.to_grey) - 1)
    images = to_uint8(F.interpolate(images, size))
    return images.reshape(rows, columns, size, size).swapaxes(1, 2).reshape(rows * size, columns * size)


def to_uint8(images):
    """(N, 1, H, W) in [-1, 1] -> uint8 array (N, H, W)."""
    return ((images[:, 0].float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()


def train(name, settings, seed, folder, progress=True, splits=("train",)):
    """Train generator `name` to its end, or go on with the training that `folder` holds; returns the Training.

    Every settings.report_every images: history.csv, a sheet of faces and the state to resume from go to `folder`.
    Raises ValueError where the training in `folder` has other settings.
    """
    training = Training(name, settings, seed, "cuda" if torch.cuda.is_available() else "cpu", splits)
    return run(training, folder, name, progress)


def run(training, folder, name, progress=True):
    """Take the steps that a training lacks, from the state that `folder` holds on: see `train`."""
    folder.mkdir(parents=True, exist_ok=True)
    state, batch_size, every = folder / "state.pt", training.settings.batch_size, training.settings.report_every
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        if saved["config"] != training.config:
            raise ValueError(f"{paths.show(folder)}: holds a training with other settings; remove it to start anew")
        training.load_state_dict(saved)
    losses, began = [], time.monotonic()
    with tqdm(total=training.total, initial=training.seen, unit="image", desc=name, disable=not progress) as bar:
        while training.seen < training.total:
            growth = training.growth
            losses.append(training.step())
            bar.update(batch_size)
            if training.seen % every < batch_size:
                row = {"images": training.seen, "growth": growth, "seconds": time.monotonic() - began}
                training.history.append(row | pd.DataFrame(losses).mean().to_dict())
                checkpoint(training, folder, growth)
                losses, began = [], time.monotonic()
    return training


def checkpoint(training, folder, growth):
    """Write the state, the history and a sheet of faces at `growth` to `folder`, each under a temporary name first."""
    paths.replace(folder / "state.pt", lambda temporary: torch.save(training.state_dict(), temporary))
    history = pd.DataFrame(training.history)
    paths.replace(folder / "history.csv", lambda temporary: history.to_csv(temporary, index=False))
    image.write_png(folder / f"{training.seen:07d}.png", training.sheet(growth))


def export(name, training, folder, to=WEIGHTS):
    """Write the averaged generator of a training, its history and its growth to `to`/name.{safetensors,csv,png}.

    The picture shows the same eight latent vectors at the end of every level, one row a level.
    """
    config = {"architecture": training.name, "images": training.seen}
    write_weights(training.average, training.settings, to / f"{name}.safetensors", **config)
    history = pd.DataFrame(training.history)
    history.to_csv(to / f"{name}.csv", index=False)
    ends = 1000 * np.cumsum(training.settings.thousands)
    seen = [history["images"][history["images"] <= end].max() for end in ends[ends <= training.seen]]
    sheets = [image.read_image(folder / f"{images:07d}.png")[..., 0] for images in seen]
    image.write_png(to / f"{name}.png", np.concatenate([sheet[: len(sheet) // ROWS] for sheet in sheets]))


def write_weights(generator, settings, path, **config):
    """Write a generator in half precision, with latent, widths and `config` (anything JSON can hold) as metadata."""
    weights = {key: value.half().contiguous().cpu() for key, value in generator.state_dict().items()}
    config = {"latent": settings.latent, "widths": settings.widths} | config
    metadata = {key: json.dumps(value) for key, value in config.items()}
    paths.replace(path, lambda temporary: save_file(weights, temporary, metadata))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=GENERATORS)
    parser.add_argument("--scale", choices=("smoke", "bundled", "paper"))
    parser.add_argument("--people", choices=PEOPLE, default="train", help="whose photographs teach it (%(default)s)")
    arguments = parser.parse_args()
    parameters, splits = load(arguments.scale), PEOPLE[arguments.people]
    name = arguments.name if arguments.people == "train" else f"{arguments.name}_{arguments.people}"
    unfinished = paths.UNFINISHED / f"{name}_{parameters.scale}"
    trained = train(arguments.name, parameters.generators, parameters.seed, unfinished, splits=splits)
    export(name, trained, unfinished)
