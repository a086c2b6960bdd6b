"""StyleGAN2: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020).

What it changes in StyleGAN: styles scale the weights of a convolution, not its output, and the outputs are brought back
to unit norm (demodulation); images are sums over all sizes (skip connections) instead of growing; the discriminator is
residual. Path length regularisation is left out.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from lib.fakes.gan.layers import Discriminator, EqualConv, EqualLinear, normal
from lib.fakes.gan.stylegan import StyleGAN


class ModulatedConv(nn.Module):
    """Convolution whose weights each style scales: x (N, in, H, W) and w (N, latent) -> (N, out, H, W).

    demodulate: scale the weights of each output back to unit norm, Eq. 1-3. Here inputs and outputs are scaled instead,
    which gives the same, and one convolution serves all images.
    """

    def __init__(self, in_channels, out_channels, kernel_size, latent, demodulate=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.style = EqualLinear(latent, in_channels, gain=1.0, bias_init=1.0)
        self.scale, self.demodulate = 1 / math.sqrt(in_channels * kernel_size**2), demodulate

    def forward(self, x, w):
        weight, style = self.weight * self.scale, self.style(w)
        x = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return x
        energy = style.float().square() @ weight.float().square().sum((2, 3)).T
        return x * torch.rsqrt(energy + 1e-8)[:, :, None, None]


class ModulatedLayer(nn.Module):
    """Modulated convolution, noise of one learned strength, bias, leaky ReLU. Fig. 2(c, d)."""

    def __init__(self, in_channels, out_channels, latent):
        super().__init__()
        self.conv = ModulatedConv(in_channels, out_channels, 3, latent)
        self.noise = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))

    def forward(self, x, w, generator=None):
        x = self.conv(x, w)
        noise = normal((len(x), 1, *x.shape[2:]), x, generator)
        return math.sqrt(2) * F.leaky_relu(x + noise * self.noise + self.bias, 0.2)


class ToImage(nn.Module):
    """What a size adds to the image: a modulated 1x1 convolution, not demodulated, and one bias a channel."""

    def __init__(self, in_channels, channels, latent):
        super().__init__()
        self.conv = ModulatedConv(in_channels, channels, 1, latent, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(() if channels == 1 else (channels, 1, 1)))

    def forward(self, x, w):
        return self.conv(x, w) + self.bias


class StyleGAN2(StyleGAN):
    """Latent vectors (N, latent) from a standard normal -> images (N, channels, S, S), real ones lie in [-1, 1].

    One layer at 4 pixels and two at each further size take a style each, and the last image its own: as many as in
    StyleGAN. Images and maps are doubled by bilinear interpolation, the paper's [1, 3, 3, 1] filter.
    """

    start = staticmethod(torch.randn)

    def block(self, below, width):
        pairs = [(below, width), (width, width)] if below else [(width, width)]
        return nn.ModuleList(ModulatedLayer(*pair, self.latent) for pair in pairs)

    def draw(self, width):
        return ToImage(width, self.channels, self.latent)

    def synthesise(self, styles, growth=None, generator=None):
        """Draw images as StyleGAN does, but always of the full size, whatever `growth` is."""
        x, image, at = self.constant.expand(len(styles), -1, -1, -1), None, 0
        for block, to_image in zip(self.blocks, self.to_image, strict=True):
            if image is not None:
                x, image = (F.interpolate(map, scale_factor=2, mode="bilinear") for map in (x, image))
            for layer in block:
                x = layer(x, styles[:, at], generator)
                at += 1
            added = to_image(x, styles[:, at])  # the style of the layer that follows, which sees the same map
            image = added if image is None else image + added
        return image


class ResidualDiscriminator(Discriminator):
    """StyleGAN2's discriminator: images (N, C, S, S) in [-1, 1] -> logits (N,), high = real. Fig. 7(c)."""

    def build(self, widths, channels):
        self.from_image = EqualConv(channels, widths[-1], 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [EqualConv(width, width, 3), EqualConv(width, below, 3), EqualConv(width, below, 1, 1.0, bias=False)]
            )
            for below, width in itertools.pairwise(widths)
        )

    def features(self, images, growth):
        x = F.leaky_relu(self.from_image(images), 0.2)
        for first, second, skip in reversed(self.blocks):
            y = F.leaky_relu(second(F.leaky_relu(first(x), 0.2)), 0.2)
            x = (F.avg_pool2d(y, 2) + skip(F.avg_pool2d(x, 2))) / math.sqrt(2)
        return x
