"""The generator of ProGAN: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation"
(ICLR 2018)."""

import itertools

import torch.nn.functional as F
from torch import nn

from lib.fakes.gan.layers import EqualConv, EqualLinear, fade, level_and_fade, normal, pixel_norm


class ProGAN(nn.Module):
    """Latent vectors (N, latent) from a standard normal -> grey images (N, 1, S, S), real ones lie in [-1, 1].

    latent: length of a latent vector. widths: channels at 4, 8, 16, ... pixels.
    """

    def __init__(self, latent, widths):
        super().__init__()
        self.latent, self.widths = latent, list(widths)
        self.start = EqualLinear(latent, 16 * widths[0], gain=1 / 8)  # the authors' gain: sqrt(2) / 4, squared
        self.first = EqualConv(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualConv(below, width, 3), EqualConv(width, width, 3)])
            for below, width in itertools.pairwise(widths)
        )
        self.to_grey = nn.ModuleList(EqualConv(width, 1, 1, gain=1.0) for width in widths)

    def forward(self, z, growth=None):
        level, weight = level_and_fade(growth, len(self.to_grey))
        x = self.start(pixel_norm(z)).view(len(z), -1, 4, 4)
        x = pixel_norm(F.leaky_relu(x, 0.2))
        x = pixel_norm(F.leaky_relu(self.first(x), 0.2))
        for block in self.blocks[:level]:
            below, x = x, F.interpolate(x, scale_factor=2)
            for conv in block:
                x = pixel_norm(F.leaky_relu(conv(x), 0.2))
        image = self.to_grey[level](x)
        return image if weight == 1 else fade(self.to_grey[level - 1](below), image, weight)

    def sample(self, count, generator=None):
        """Draw `count` images in [-1, 1]."""
        return self(normal((count, self.latent), self.first.weight, generator)).clamp(-1, 1)
