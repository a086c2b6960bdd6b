"""ProGAN, StyleGAN and StyleGAN2 learn to draw faces.

The first two grow, StyleGAN2 has its full size from the start. The loss of all three is that of StyleGAN,
non-saturating logistic loss and R1, because ProGAN's WGAN-GP needs more discriminator steps for the same faces. The
discriminator would learn a few hundred photographs by heart, so it sees real and generated images through `augment`.
"""

import bisect
import itertools
import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from lib import paths
from lib.data import image
from lib.fakes import weights
from lib.fakes.gan import photographs
from lib.fakes.gan.layers import Discriminator, ProGAN, side
from lib.fakes.gan.stylegan import StyleGAN
from lib.fakes.gan.stylegan2 import ResidualDiscriminator, StyleGAN2
from lib.fakes.gan.training import Training as SharedTraining
from lib.training.device import device

GENERATORS = {"progan": ProGAN, "stylegan": StyleGAN, "stylegan2": StyleGAN2}
PEOPLE = {"train": ("train",), "others": ("val", "test")}  # whose photographs teach a generator: splits
WEIGHTS = paths.CHECKPOINTS / "generators"
SHEET = (4, 8)  # rows and columns of the sheet of faces that each checkpoint draws


def build(name, latent, widths, channels=1):
    """Make the untrained generator `name`, one of GENERATORS."""
    return GENERATORS[name](latent, widths, channels)


def growth_at(seen, thousands, fade):
    """Return the growth after `seen` images: level k lasts thousands[k] thousand of them, faded in over `fade`."""
    ends = list(itertools.accumulate(1000 * t for t in thousands))
    level = bisect.bisect_right(ends[:-1], seen)
    if level == 0:
        return 0.0
    into = (seen - ends[level - 1]) / (1000 * min(fade, thousands[level]))
    return level - 1 + min(1.0, max(into, 1e-3))


def augment(images):
    """Shift each image by up to an eighth, and change its brightness and contrast a little, at random; differentiable.

    images: (N, C, S, S) in [-1, 1]; what is shifted in is mid-grey. Zhao et al., "DiffAugment" (NeurIPS 2020), with
    smaller changes: what the discriminator cannot see, the generator does not learn.
    """
    n, _, size, _ = images.shape
    brightness, contrast = 0.4 * torch.rand(2, n, 1, 1, 1, device=images.device) - 0.2
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (1 + contrast) + mean + brightness
    reach = max(1, size // 8)
    padded = F.pad(images, [reach] * 4)
    shifts = torch.randint(0, 2 * reach + 1, (n, 2)).tolist()
    return torch.cat([padded[i : i + 1, :, y : y + size, x : x + size] for i, (y, x) in enumerate(shifts)])


def flip(images):
    """Mirror each of the images (N, C, S, S) with probability 1/2."""
    return torch.where(torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5, images.flip(3), images)


def real_batch(images, count, growth):
    """Draw `count` training images, flipped at random, at the size and fade of `growth`."""
    batch = flip(images[torch.randint(len(images), (count,))])
    level = math.ceil(growth)
    batch = F.adaptive_avg_pool2d(batch, side(level + 1))
    if level > growth:  # the generator shows a blend of two sizes, so the discriminator must see the same
        coarse = F.interpolate(F.avg_pool2d(batch, 2), scale_factor=2)
        batch = torch.lerp(coarse, batch, 1 - (level - growth))
    return batch


def r1(discriminator, images, growth):
    """R1: mean squared norm of the discriminator's gradient at real images. Mescheder et al. 2018, Eq. 9."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images, growth).sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def discriminator_step(training, real, fake, of_real, of_fake, step):
    """Take one step of a training's discriminator: its loss, a float, and the logits (N,) of the real images.

    real, fake: (N, C, S, S) in [-1, 1]; of_real, of_fake: their growth or their domains.
    """
    s, real = training.settings, augment(real)
    with training.autocast():
        logits, of_fakes = training.discriminator(real, of_real), training.discriminator(augment(fake), of_fake)
        loss = F.softplus(-logits.float()).mean() + F.softplus(of_fakes.float()).mean()
    loss.backward()
    if step % s.penalty_interval == 0:  # seldom, and stronger in proportion, to save time (as in StyleGAN2)
        weight = s.penalty * (real.shape[-1] / training.images.shape[-1]) ** 2
        (0.5 * weight * s.penalty_interval * r1(training.discriminator, real, of_real)).backward()
    training.optimisers[-1].step()
    return loss.item(), logits.detach()


class Training(SharedTraining):
    """The training of `name`, one of GENERATORS; settings: the section `generators`; splits: as in photographs.of."""

    def __init__(self, name, settings, seed, device="cpu", splits=("train",)):
        torch.manual_seed(seed)
        self.name, self.grows, levels = name, name != "stylegan2", len(settings.widths)
        images = photographs.of(settings, side(levels), splits)
        generator = build(name, settings.latent, settings.widths, images.shape[1])
        discriminator = (Discriminator if self.grows else ResidualDiscriminator)(settings.widths, images.shape[1])
        super().__init__(settings, seed, device, generator, discriminator, images)
        networks = self.generator, self.discriminator
        self.optimisers = [torch.optim.Adam(n.parameters(), betas=(0.0, 0.99), fused=True) for n in networks]

    @property
    def growth(self):
        if not self.grows:
            return len(self.settings.widths) - 1
        return growth_at(self.seen, self.settings.thousands, self.settings.fade)

    def learning_rate(self, growth):
        rates = self.settings.learning_rates
        return (rates.progan if self.name == "progan" else rates.stylegan)[math.floor(growth)]

    def update(self, step):
        s, growth = self.settings, self.growth
        for optimiser in self.optimisers:
            optimiser.zero_grad()
            optimiser.param_groups[0]["lr"] = self.learning_rate(growth)
        real = real_batch(self.images, s.batch_size, growth)
        with self.autocast():
            fake = self.generator(torch.randn(s.batch_size, s.latent, device=self.device), growth)
        return self.train_discriminator(real, fake.detach(), growth, step) | self.train_generator(fake, growth)

    def train_discriminator(self, real, fake, growth, step):
        """Take one step of the discriminator on images (N, C, S, S) in [-1, 1]; returns its losses as floats."""
        loss, logits = discriminator_step(self, real, fake, growth, growth, step)
        return {"loss_discriminator": loss, "real_logit_sign": logits.sign().mean().item()}

    def train_generator(self, fake, growth):
        """Take one step of the generator that drew `fake`; returns its losses as floats."""
        (loss := self.adversarial_loss(fake, growth)).backward()
        self.optimisers[0].step()
        return {"loss_generator": loss.item()}

    def adversarial_loss(self, fake, growth):
        """Return the generator's loss, low if its images pass for real; the discriminator gets no gradient."""
        self.discriminator.requires_grad_(False)
        with self.autocast():
            loss = F.softplus(-self.discriminator(augment(fake), growth).float()).mean()
        self.discriminator.requires_grad_(True)
        return loss

    @torch.no_grad()
    def sheet(self, growth):
        """Return a sheet of faces as uint8 (H, W) or (H, W, 3), always of the same latent vectors."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            images = self.average(torch.randn(math.prod(SHEET), self.average.latent).to(self.device), growth)
        faces = photographs.to_uint8(F.interpolate(images, self.images.shape[-1]))
        return np.vstack([np.hstack(row) for row in faces.reshape(*SHEET, *faces.shape[1:])])


def train(name, settings, seed, folder, splits=("train",)):
    """Return the finished Training of generator `name`, resumed from the state in `folder`; raises as Training.run."""
    return Training(name, settings, seed, device(), splits).run(folder, name)


def export(name, training, folder, to=WEIGHTS):
    """Write the averaged generator of a training, its history and its growth to `to`/name.{safetensors,csv,png}.

    The picture shows the same eight latent vectors at the end of every level, one row a level.
    """
    write_weights(training.average, to / f"{name}.safetensors", architecture=training.name, images=training.seen)
    training.write_history(to / f"{name}.csv")
    history, ends = pd.DataFrame(training.history), 1000 * np.cumsum(training.settings.thousands)
    seen = [history["images"][history["images"] <= end].max() for end in ends[ends <= training.seen]]
    sheets = [image.read_image(folder / f"{images:07d}.png") for images in seen]
    sheets = [sheet if training.average.channels == 3 else sheet[..., 0] for sheet in sheets]
    image.write_png(to / f"{name}.png", np.vstack([sheet[: len(sheet) // SHEET[0]] for sheet in sheets]))


def write_weights(generator, path, **config):
    """Write a generator with its latent, widths, channels and `config` (anything JSON can hold) as metadata."""
    sizes = {name: getattr(generator, name) for name in ("latent", "widths", "channels")}
    weights.write(generator, path, **sizes, **config)
