"""StarGAN v2, which does not invent faces but translates them between domains: with and without glasses.

Choi et al., "StarGAN v2: Diverse Image Synthesis for Multiple Domains" (CVPR 2020), with narrower networks and without
the face masks of its CelebA-HQ variant. A generator redraws a photograph in a style. The style holds the domain and all
that varies within it; a mapping network makes a style from a latent vector, a style encoder from another photograph.
"""

import itertools
import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

DOMAINS = ("without glasses", "with glasses")
halve, double = partial(nn.AvgPool2d, 2), partial(nn.Upsample, scale_factor=2)


class AdaptiveNorm(nn.Module):
    """Instance norm whose scale and bias a style (N, style) decides: AdaIN."""

    def __init__(self, channels, style):
        super().__init__()
        self.norm, self.affine = nn.InstanceNorm2d(channels), _linear(style, 2 * channels)

    def forward(self, x, style):
        scale, bias = self.affine(style)[:, :, None, None].chunk(2, 1)
        return (1 + scale) * self.norm(x) + bias


class ResBlock(nn.Module):
    """Two convolutions and a shortcut; `norm` makes the layer before each, `before` and `after` change the size.

    channels: of what comes in, between the convolutions and of what goes out.
    """

    def __init__(self, channels, norm=nn.Identity, before=nn.Identity, after=nn.Identity):
        super().__init__()
        inside, between, outside = channels
        self.first, self.second = _conv(inside, between), _conv(between, outside)
        self.skip = _conv(inside, outside, 1) if inside != outside else nn.Identity()
        self.norms = nn.ModuleList([norm(inside), norm(between)])
        self.before, self.after = before(), after()

    def forward(self, x, *style):
        y = self.first(self.before(F.leaky_relu(self.norms[0](x, *style), 0.2)))
        y = self.second(F.leaky_relu(self.norms[1](self.after(y), *style), 0.2))
        return (self.after(self.skip(self.before(x))) + y) / math.sqrt(2)


class Generator(nn.Module):
    """Redraw images (N, channels, S, S) in [-1, 1] in styles (N, style); widths: channels at 4, 8, ... S pixels.

    The image is shrunk to 16 pixels (8 or 4 if it is very small); instance norm removes its own style on the way.
    """

    def __init__(self, style, widths, channels=1):
        super().__init__()
        least = min(2, len(widths) - 2)
        inner, pairs = widths[least], list(itertools.pairwise(widths[least:]))
        plain, adaptive = partial(nn.InstanceNorm2d, affine=True), partial(AdaptiveNorm, style=style)
        self.from_image = _conv(channels, widths[-1])
        self.encode = nn.Sequential(
            *(ResBlock((width, width, below), plain, after=halve) for below, width in reversed(pairs)),
            ResBlock((inner, inner, inner), plain),
        )
        self.decode = nn.ModuleList(
            [ResBlock((inner, inner, inner), adaptive)]
            + [ResBlock((below, width, width), adaptive, before=double) for below, width in pairs]
        )
        self.to_image = nn.Sequential(plain(widths[-1]), nn.LeakyReLU(0.2), _conv(widths[-1], channels, 1))

    def forward(self, images, styles):
        x = self.encode(self.from_image(images))
        for block in self.decode:
            x = block(x, styles)
        return self.to_image(x)


class Mapping(nn.Module):
    """Latent vectors (N, latent) and domains (N,) -> styles (N, style): shared layers, then some for each domain."""

    def __init__(self, latent, style):
        super().__init__()
        self.shared = nn.Sequential(*_layers([latent, 128, 128, 128]))
        self.heads = nn.ModuleList(nn.Sequential(*_layers([128, 128, 128]), _linear(128, style)) for _ in DOMAINS)

    def forward(self, z, domains):
        return _of_domain(self.heads, self.shared(z), domains)


class Reader(nn.Module):
    """Images (N, C, S, S) and domains (N,) -> (N, out): the style encoder, or with out = 1 the discriminator."""

    def __init__(self, out, widths, channels=1):
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        blocks = [ResBlock((width, width, below), after=halve) for below, width in reversed(pairs)]
        last = nn.Conv2d(widths[0], widths[0], 4)
        self.shared = nn.Sequential(
            _conv(channels, widths[-1]), *blocks, nn.LeakyReLU(0.2), _he(last), nn.LeakyReLU(0.2), nn.Flatten()
        )
        self.heads = nn.ModuleList(_linear(widths[0], out) for _ in DOMAINS)

    def forward(self, images, domains):
        return _of_domain(self.heads, self.shared(images), domains)


class StarGAN2(nn.Module):
    """Generator, mapping network and style encoder; latent, style: lengths of the vectors; `config`: the arguments."""

    def __init__(self, latent, style, widths, channels=1):
        super().__init__()
        self.config = {"latent": latent, "style": style, "widths": list(widths), "channels": channels}
        self.generator = Generator(style, widths, channels)
        self.mapping = Mapping(latent, style)
        self.encoder = Reader(style, widths, channels)

    def translate(self, images, domains, z=None, references=None):
        """Redraw images (N, C, S, S) in [-1, 1] in domains (N,): (N, C, S, S), clamped.

        The style comes from z (N, latent), or else is that of reference images (N, C, S, S) of these domains.
        """
        styles = self.encoder(references, domains) if z is None else self.mapping(z, domains)
        return self.generator(images, styles).clamp(-1, 1)


def _of_domain(heads, x, domains):
    """Apply the head of its domain to each row."""
    outputs = torch.stack([head(x) for head in heads], 1)
    return outputs[torch.arange(len(domains), device=x.device), domains]


def _layers(widths):
    return [module for pair in itertools.pairwise(widths) for module in (_linear(*pair), nn.ReLU())]


def _conv(in_channels, out_channels, kernel_size=3):
    return _he(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2))


def _linear(in_features, out_features):
    return _he(nn.Linear(in_features, out_features))


def _he(layer):
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer
