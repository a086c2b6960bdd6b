"""Go on training a generator until its spectrum is that of photographs: the settings +R and +A of Beyond the Spectrum.

Both keep the generator's own loss and add one of its spectrum:

- R, spectral regularization: cross-entropy between the azimuthal profile of each image and the photographs' mean.
  Durall et al., "Watch your Up-Convolution" (CVPR 2020). The released code computes it without a gradient, so that it
  only rescales the loss; here it has one.
- A, spectral adversarial training: a second, linear discriminator of these profiles. Jung and Keuper, "Spectral
  Distribution Aware Image Generation" (AAAI 2021).

Only the generators' weights are bundled, so a new discriminator first learns alone.
"""

import copy
import itertools
import types

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lib.fakes.gan import images as gan_images
from lib.fakes.gan import photographs
from lib.fakes.gan.train import WEIGHTS, Training, write_weights
from lib.ops.spectra import azimuthal_profile_torch, gap, mean_spectrum
from lib.training.device import device

KINDS = ("R", "A")
LUMA = (0.299, 0.587, 0.114)


class Profile(nn.Module):
    """The azimuthal profile (N, rings) of images (N, C, S, S) in [-1, 1], made grey, on the scale of photographs.

    real: photographs (M, C, S, S); the scale is such that their mean profile, `target`, goes from 0 to 1. The released
    codes scale each profile by its own least and greatest value, which hides an excess at the ends of the profile, just
    where generators have it. Images are rounded to 8 bits first, because at frequencies where faces have no power the
    rounding is all that is left. Gradients ignore the rounding.
    """

    def __init__(self, real, centre):
        super().__init__()
        self.centre = centre
        mean = torch.cat([self._raw(part) for part in photographs.parts(real)]).mean(0)
        self.register_buffer("low", mean.min())
        self.register_buffer("range", mean.max() - mean.min())
        self.register_buffer("target", (mean - self.low) / self.range)

    def forward(self, images):
        return (self._raw(images) - self.low) / self.range

    def _raw(self, images):
        grey = 127.5 * (images.float().clamp(-1, 1) + 1)
        grey = torch.einsum("nchw,c->nhw", grey, grey.new_tensor(LUMA)) if grey.shape[1] == 3 else grey[:, 0]
        return azimuthal_profile_torch(grey + (grey.round() - grey).detach(), self.centre)


class SpectralDiscriminator(nn.Module):
    """Tell photographs by their azimuthal profiles: images (N, C, S, S) in [-1, 1] -> logits (N,), high = real."""

    def __init__(self, real):
        super().__init__()
        self.profile = Profile(real, "dc")
        self.linear = nn.Linear(len(self.profile.target), 1)

    def forward(self, images):
        return self.linear(self.profile(images) - self.profile.target).squeeze(1)


def spectral_loss(profile, fake):
    """Return the cross-entropy of the profiles of images (N, C, S, S) with that of photographs, a Profile's target."""
    # Values are clamped a little inside (0, 1): at 0 and 1 the gradient of the cross-entropy is of no use.
    inside = profile(fake).clamp(0.001, 0.999)
    return F.binary_cross_entropy(inside, profile.target.clamp(0.001, 0.999).expand_as(inside))


class Finetuning(Training):
    """A Training, at full size from the start, that adds a spectral loss, R or A, to the generator's.

    settings: the section `finetuning`; generators: the section `generators`, for the penalties; weights: folder of the
    trained generators, which decide the sizes.
    """

    def __init__(self, name, kind, settings, generators, seed, device="cpu", weights=gan_images.WEIGHTS):
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
        start = gan_images.load_generator(name, weights)
        named = generators.widths, generators.colour
        if generators.photographs and (start.widths, start.channels == 3) != named:
            remedy = "--weights names the folder of those that learned from your photographs"
            raise ValueError(f"{name}: draws another size or colour than the section generators names: {remedy}")
        sizes = {"latent": start.latent, "widths": start.widths, "colour": start.channels == 3, "kind": kind}
        super().__init__(name, types.SimpleNamespace(**vars(generators) | vars(settings) | sizes), seed, device)
        self.kind, self.grows = kind, False
        for network in (self.generator, self.average):
            network.load_state_dict(gan_images.load_generator(name, weights).state_dict())
        self.profile = Profile(self.images, "grid")
        self.critic = SpectralDiscriminator(self.images).to(self.device)
        self.critic_steps = torch.optim.Adam(self.critic.parameters(), settings.spectral_learning_rate, (0.0, 0.99))
        real = (photographs.planes(photographs.to_uint8(part)) for part in photographs.parts(self.images))
        self.real_spectrum = mean_spectrum(itertools.chain.from_iterable(real))
        self.best = {"gap": float("inf"), "images": 0, "average": None}

    @property
    def parts(self):
        return [*super().parts, self.critic, self.critic_steps]

    def learning_rate(self, growth):
        return self.settings.learning_rate

    def train_discriminator(self, real, fake, growth, step):
        losses = super().train_discriminator(real, fake, growth, step)
        if self.kind == "A":
            loss = F.softplus(-self.critic(real)).mean() + F.softplus(self.critic(fake)).mean()
            self.critic_steps.zero_grad()
            loss.backward()
            self.critic_steps.step()
            losses["loss_critic"] = loss.item()
        return losses

    def train_generator(self, fake, growth):
        return {} if self.seen < 1000 * self.settings.alone else super().train_generator(fake, growth)

    def adversarial_loss(self, fake, growth):
        loss = super().adversarial_loss(fake, growth)
        if self.kind == "R":
            return loss + self.settings.weight * spectral_loss(self.profile, fake)
        self.critic.requires_grad_(False)
        loss = 0.5 * (loss + F.softplus(-self.critic(fake)).mean())
        self.critic.requires_grad_(True)
        return loss

    def step(self):
        """Take one step; every `report_every` images, keep the averaged generator if its spectrum is the best so far.

        Both losses oscillate: the last generator is seldom the one that comes closest to the photographs.
        """
        losses = super().step()
        if self.seen % self.settings.report_every < self.settings.batch_size or self.seen >= self.total:
            losses["gap"] = self.gap()
            if losses["gap"] < self.best["gap"]:
                weights = copy.deepcopy(self.average.state_dict())
                self.best = {"gap": losses["gap"], "images": self.seen, "average": weights}
        return losses

    @torch.no_grad()
    def gap(self, count=100):
        """Return how far the mean spectrum of `count` drawn faces is from that of photographs, in decibel."""
        drawn = gan_images.draw(copy.deepcopy(self.average).cpu(), np.arange(count))
        return gap(self.real_spectrum, mean_spectrum(photographs.planes(drawn)))


def finetune(name, kind, settings, generators, seed, folder, to=WEIGHTS, weights=gan_images.WEIGHTS):
    """Train generator `name` further with +R or +A, from the state in `folder` on if there is one: (generator, report).

    settings, generators, weights: as in Finetuning. Writes `to`/NAME_KIND.safetensors. report: "gap_before" and
    "gap_after" in decibel, as in Finetuning.gap, and "images" seen. Raises FileNotFoundError for missing weights,
    ValueError for another kind or a `folder` with other settings.
    """
    training = Finetuning(name, kind, settings, generators, seed, device(), weights)
    report = {"gap_before": training.gap()}
    training.run(folder, f"{name}+{kind}")
    training.average.load_state_dict(training.best["average"])
    report |= {"gap_after": training.best["gap"], "images": training.best["images"]}
    write_weights(training.average, to / f"{name}_{kind}.safetensors", architecture=name, **report)
    return training.average, report
