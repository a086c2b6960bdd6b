"""The generator of StyleGAN: Karras et al., "A Style-Based Generator Architecture for GANs" (CVPR 2019)."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from lib.fakes.gan.layers import EqualConv, EqualLinear, fade, level_and_fade, normal, pixel_norm


class Mapping(nn.Sequential):
    """The mapping network f: latent vectors z (N, latent) -> styles w (N, latent). Section 2."""

    def __init__(self, latent):
        super().__init__(*(m for _ in range(8) for m in (EqualLinear(latent, latent, rate=0.01), nn.LeakyReLU(0.2))))

    def forward(self, z):
        return super().forward(pixel_norm(z))


class StyledLayer(nn.Module):
    """Convolution, noise, leaky ReLU, AdaIN (Eq. 1): x (N, in, H, W) and w (N, latent) -> (N, out, H, W).

    in_channels None: the learned constant 4x4 input takes the place of the convolution.
    """

    def __init__(self, in_channels, out_channels, latent):
        super().__init__()
        self.conv = EqualConv(in_channels, out_channels, 3, bias=False) if in_channels else nn.Identity()
        self.noise = nn.Parameter(torch.zeros(out_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))
        self.style = EqualLinear(latent, 2 * out_channels, gain=1.0)

    def forward(self, x, w, generator=None):
        x = self.conv(x)
        noise = normal((len(x), 1, *x.shape[2:]), x, generator)
        x = F.leaky_relu(x + noise * self.noise + self.bias, 0.2)
        return adain(x, *self.style(w)[:, :, None, None].chunk(2, 1))


def adain(x, scale, bias):
    """Adaptive instance normalisation (Eq. 1): each map of x (N, C, H, W) gets the style's deviation and mean.

    The scale is learned as a difference from 1; scale and bias are (N, C, 1, 1).
    """
    variance, mean = torch.var_mean(x, (2, 3), unbiased=False, keepdim=True)
    gain = (1 + scale) * torch.rsqrt(variance + 1e-8)
    return x * gain + (bias - mean * gain)


class StyleGAN(nn.Module):
    """Latent vectors (N, latent) from a standard normal -> images (N, channels, S, S), real ones lie in [-1, 1].

    latent: length of z and w. Maps are doubled in size by bilinear interpolation, which equals the paper's nearest
    neighbour followed by its [1, 2, 1] blur away from the border.
    """

    mixing = 0.9  # share of the training images drawn from two styles that meet at a random layer, section 3.1
    start = staticmethod(torch.ones)

    def __init__(self, latent, widths, channels=1):
        super().__init__()
        self.latent, self.widths, self.channels = latent, list(widths), channels
        self.mapping = Mapping(latent)
        self.constant = nn.Parameter(self.start(1, widths[0], 4, 4))
        self.blocks = nn.ModuleList(self.block(below, width) for below, width in itertools.pairwise([None, *widths]))
        self.to_image = nn.ModuleList(map(self.draw, widths))
        self.register_buffer("mean_style", torch.zeros(latent))
        self.layers = 2 * len(widths)  # that take a style

    def block(self, below, width):
        """Make the layers of one size, with `width` channels; below: channels of the size below, None for the first."""
        return nn.ModuleList([StyledLayer(below, width, self.latent), StyledLayer(width, width, self.latent)])

    def draw(self, width):
        """Make the layer that turns maps of `width` channels into an image."""
        return EqualConv(width, self.channels, 1, gain=1.0)

    def synthesise(self, styles, growth=None, generator=None):
        """Draw images of styles (N, layers, latent), one style a layer; `generator` seeds the noise."""
        level, weight = level_and_fade(growth, len(self.to_image))
        x = self.constant.expand(len(styles), -1, -1, -1)
        for at in range(level + 1):
            if at:
                below, x = x, F.interpolate(x, scale_factor=2, mode="bilinear")
            for layer, w in zip(self.blocks[at], styles[:, 2 * at : 2 * at + 2].unbind(1), strict=True):
                x = layer(x, w, generator)
        image = self.to_image[level](x)
        return image if weight == 1 else fade(self.to_image[level - 1](below), image, weight)

    def mix(self, first, second, crossover):
        """Make styles (N, layers, latent): `first` (N, latent) up to layer `crossover`, then `second`: section 3.1."""
        layer = torch.arange(self.layers, device=first.device)[:, None]
        crossover = torch.as_tensor(crossover, device=first.device).view(-1, 1, 1)
        return torch.where(layer < crossover, first[:, None], second[:, None])

    def truncate(self, w, psi):
        """Pull styles towards their mean: psi 1 leaves them, 0 gives the mean face. Appendix B (for all layers)."""
        return torch.lerp(self.mean_style, w, psi)

    def forward(self, z, growth=None):
        """In training, styles are mixed, and the running mean of all styles is kept for truncation."""
        w = self.mapping(z)
        if not self.training:
            return self.synthesise(self.mix(w, w, 0), growth)
        self.mean_style.lerp_(w.detach().float().mean(0), 0.005)
        crossover = torch.randint(1, self.layers, (len(z),), device=z.device)
        crossover = crossover.where(torch.rand(len(z), device=z.device) < self.mixing, self.layers)
        return self.synthesise(self.mix(w, self.mapping(torch.randn_like(z)), crossover), growth)

    def sample(self, count, generator=None, psi=0.7):
        """Draw `count` images in [-1, 1]; psi < 1 truncates the styles (trades variety for quality)."""
        w = self.truncate(self.mapping(normal((count, self.latent), self.constant, generator)), psi)
        return self.synthesise(self.mix(w, w, 0), generator=generator).clamp(-1, 1)
