"""ProGAN, and what StyleGAN and StyleGAN2 take from it: equalised layers, growth and the discriminator.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation" (ICLR 2018).

Growth is one number: at 3 a network works at 4 * 2**3 = 32 pixels; at 2.25 the step from 16 to 32 pixels is faded in
by a quarter. The `widths` of all networks are their channels at 4, 8, 16, ... pixels.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class EqualConv(nn.Conv2d):
    """Convolution ("same" padding) with equalised learning rate: weights N(0, 1), scaled by He's constant when used.

    Section 4.1.
    """

    def __init__(self, in_channels, out_channels, kernel_size, gain=2.0, bias=True):
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
        self.scale = math.sqrt(gain / self.weight[0].numel())
        nn.init.normal_(self.weight)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.scale, self.bias)


class EqualLinear(nn.Linear):
    """Linear layer with equalised learning rate; `rate` multiplies its learning rate, `bias_init` is its first bias."""

    def __init__(self, in_features, out_features, gain=2.0, rate=1.0, bias_init=0.0):
        super().__init__(in_features, out_features)
        self.rate, self.scale = rate, rate * math.sqrt(gain / in_features)
        nn.init.normal_(self.weight, std=1 / rate)
        nn.init.constant_(self.bias, bias_init / rate)

    def forward(self, x):
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


def pixel_norm(x):
    """Divide each pixel's feature vector (dimension 1) by its root mean square. Section 4.2."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def minibatch_stddev(x, group=4):
    """Append one channel: the mean standard deviation within groups of `group` images. Section 3.

    x: (N, C, H, W) -> (N, C + 1, H, W). If N is not a multiple of `group`, the whole batch is one group.
    """
    n, _, height, width = x.shape
    group = group if n % group == 0 else n
    deviation = (x.unflatten(0, (group, -1)).var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, deviation.repeat(group).view(n, 1, 1, 1).expand(n, 1, height, width)], 1)


def normal(shape, like, generator=None):
    """Draw a standard normal tensor with the type and device of `like`; `generator` may live on another device."""
    return torch.randn(shape, generator=generator, device=generator.device if generator else like.device).to(like)


def side(levels):
    """Return the side in pixels of the last of so many sizes: 4, 8, 16, ..."""
    return 4 * 2 ** (levels - 1)


def level_and_fade(growth, levels):
    """Split a growth (None = fully grown) into the level that is on top and its weight in (0, 1]."""
    growth = levels - 1 if growth is None else growth
    if not 0 <= growth <= levels - 1:
        raise ValueError(f"growth: {growth} is not between 0 and {levels - 1}, the last level of this network")
    level = math.ceil(growth)
    return level, 1.0 - (level - growth)


def fade(coarse, fine, weight):
    """Blend a coarse image (N, C, H, W), upsampled, with a fine one (N, C, 2H, 2W). Fig. 2."""
    return torch.lerp(F.interpolate(coarse, scale_factor=2), fine, weight)


class ProGAN(nn.Module):
    """Latent vectors (N, latent) from a standard normal -> images (N, channels, S, S), real ones lie in [-1, 1]."""

    def __init__(self, latent, widths, channels=1):
        super().__init__()
        self.latent, self.widths, self.channels = latent, list(widths), channels
        self.start = EqualLinear(latent, 16 * widths[0], gain=1 / 8)  # the authors' gain: sqrt(2) / 4, squared
        self.first = EqualConv(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualConv(below, width, 3), EqualConv(width, width, 3)]) for below, width in pairwise(widths)
        )
        self.to_image = nn.ModuleList(EqualConv(width, channels, 1, gain=1.0) for width in widths)

    def forward(self, z, growth=None):
        level, weight = level_and_fade(growth, len(self.to_image))
        x = self.start(pixel_norm(z)).view(len(z), -1, 4, 4)
        x = pixel_norm(F.leaky_relu(x, 0.2))
        x = pixel_norm(F.leaky_relu(self.first(x), 0.2))
        for block in self.blocks[:level]:
            below, x = x, F.interpolate(x, scale_factor=2)
            for conv in block:
                x = pixel_norm(F.leaky_relu(conv(x), 0.2))
        image = self.to_image[level](x)
        return image if weight == 1 else fade(self.to_image[level - 1](below), image, weight)

    def sample(self, count, generator=None):
        """Draw `count` images in [-1, 1]."""
        return self(normal((count, self.latent), self.first.weight, generator)).clamp(-1, 1)


class Discriminator(nn.Module):
    """ProGAN's discriminator, which StyleGAN keeps: images (N, C, S, S) in [-1, 1] -> logits (N,), high = real."""

    def __init__(self, widths, channels=1):
        super().__init__()
        self.build(widths, channels)
        self.last = EqualConv(widths[0] + 1, widths[0], 3)
        self.dense = EqualLinear(16 * widths[0], widths[0])
        self.logit = EqualLinear(widths[0], 1, gain=1.0)

    def build(self, widths, channels):
        """Make the layers of `features`."""
        self.from_image = nn.ModuleList(EqualConv(channels, width, 1) for width in widths)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualConv(width, width, 3), EqualConv(width, below, 3)]) for below, width in pairwise(widths)
        )

    def features(self, images, growth):
        """Return the features of images after all blocks, at 4 pixels: (N, widths[0], 4, 4)."""
        level, weight = level_and_fade(growth, len(self.from_image))
        x = F.leaky_relu(self.from_image[level](images), 0.2)
        for at in range(level, 0, -1):
            for conv in self.blocks[at - 1]:
                x = F.leaky_relu(conv(x), 0.2)
            x = F.avg_pool2d(x, 2)
            if at == level and weight < 1:
                coarse = self.from_image[level - 1](F.avg_pool2d(images, 2))
                x = torch.lerp(F.leaky_relu(coarse, 0.2), x, weight)
        return x

    def forward(self, images, growth=None):
        x = F.leaky_relu(self.last(minibatch_stddev(self.features(images, growth))), 0.2)
        x = F.leaky_relu(self.dense(x.flatten(1)), 0.2)
        return self.logit(x).squeeze(1)
