"""PEL with another filter than the 3x3 median in its noise blocks: the rows of the paper's Table 5."""

import torch
from torch import nn

from lib import ops
from lib.pel.network import NoiseEnhancement

# Row of Table 5: denoiser and kernel sizes, as lib.ops.noise_enhance takes them.
DENOISERS = {
    "median3": ("median", 3),
    "mean3": ("mean", 3),
    "nlm3": ("non_local_means", 3),
    "median5": ("median", 5),
    "median7": ("median", 7),
    "median3+5": ("median", (3, 5)),
    "median3+5+7": ("median", (3, 5, 7)),
}


class Denoised(NoiseEnhancement):
    """Eq. 2-3 with M one of DENOISERS; several kernel sizes have one weight each, (C, n), and are added up.

    Source: PEL (Gu et al., AAAI 2022), Table 5; the sum is its grouped 1x1 convolution.
    """

    def __init__(self, channels, denoiser):
        if denoiser not in DENOISERS:
            raise ValueError(f"denoiser: {denoiser!r} is not one of {', '.join(DENOISERS)}")
        name, sizes = DENOISERS[denoiser]
        super().__init__(channels, sizes)
        self.denoiser = name
        if isinstance(sizes, tuple):
            self.weight = nn.Parameter(torch.zeros(channels, len(sizes)))

    def forward(self, x):
        return ops.noise_enhance(x, self.weight, self.bias, self.kernel_size, self.denoiser)


def with_denoiser(model, denoiser):
    """Return the PEL `model` with `denoiser`, one of DENOISERS, in its noise blocks, which start as the identity.

    Raises ValueError for another name, and for a network without noise blocks.
    """
    count = 0
    for enhancement in model.enhancements:
        for parts in enhancement.alone:
            for index, part in enumerate(parts):
                if isinstance(part, NoiseEnhancement):
                    parts[index] = Denoised(len(part.bias), denoiser)
                    count += 1
    if not count:
        raise ValueError("model: has no noise block that a denoiser could stand in; give self_enhancement")
    return model
