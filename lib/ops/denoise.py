"""The denoisers of PEL: the median of its self-enhancement module, and those of its Table 5."""

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from lib.ops.median.op import noise_block

LARGEST = 15  # the index of a neighbour is stored in one byte


def median_filter(x, kernel_size=3):
    """Replace each value by the median of its k x k neighbourhood, channel by channel, with a reflected border.

    x: float (N, C, H, W); kernel_size: odd, with kernel_size // 2 smaller than H and W. 3, 5 and 7 are fast, larger
    ones up to 15 are not.
    Returns the same shape, dtype and memory format. Where several neighbours equal the median, the gradient goes to the
    first of them in reading order. The median of a window that holds a NaN is NaN.
    Raises ValueError where the shape, dtype or kernel size does not fit; RuntimeError for a second derivative.
    Source: PEL (Gu et al., AAAI 2022), Eq. 2, the filter M.
    """
    check(x, kernel_size)
    if kernel_size == 1:
        return x
    return noise_block(x, None, None, kernel_size, torch.is_grad_enabled() and x.requires_grad)[0]


def median_filter_ref(x, kernel_size=3):
    """Compute `median_filter` the plain way: gather the k * k neighbours of each value, take their median.

    Among equal neighbours, the gradient goes to the one that torch.median picks.
    """
    windows = _reflect(x, kernel_size // 2).unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    return windows.flatten(-2).median(-1).values


def mean_filter(x, kernel_size=3):
    """Replace each value by the mean of its k x k neighbourhood; arguments and result as in `median_filter`."""
    check(x, kernel_size)
    return F.avg_pool2d(_reflect(x, kernel_size // 2), kernel_size, stride=1)


def non_local_means(x, patch=3, search=7):
    """Replace each value by a mean of the values around it, weighted by how much their patches are like its own.

    x: float (N, C, H, W); search: side of the neighbourhood, patch: side of the patches, both odd, in pixels.
    The weight is exp(-d / h^2), with d the mean squared difference of the patches and h the standard deviation of the
    channel in its image. The border is reflected.
    Returns the same shape and dtype; differentiable, h included.
    Raises ValueError where the shape, dtype, patch or search does not fit.
    Source: PEL (Gu et al., AAAI 2022), Table 5; Buades, Coll and Morel, "A non-local algorithm for image denoising",
    CVPR 2005. PEL gives neither search nor h: ours are a choice.
    """
    check(x, patch, "patch")
    check(x, search, "search")
    radius = search // 2
    padded = _reflect(x, radius)
    variance = x.var((2, 3), correction=0, keepdim=True)
    scale = 1 / (variance + torch.finfo(x.dtype).tiny ** 0.5)  # of a constant channel, all weights are 1
    total, weights = torch.zeros_like(x), torch.zeros_like(x)
    for dy in range(search):
        for dx in range(search):
            # Recomputed in the backward pass: kept, each of the 49 shifts would cost several copies of x.
            term, weight = checkpoint(_shifted, x, padded, scale, dy, dx, patch, use_reentrant=False,
                                      preserve_rng_state=False)  # fmt: skip
            total, weights = total + term, weights + weight
    return total / weights


DENOISERS = {"median": median_filter, "mean": mean_filter, "non_local_means": non_local_means}


def check(x, kernel_size, name="kernel_size"):
    """Raise ValueError where x or the kernel size, called `name`, does not fit a denoiser."""
    if x.dim() != 4:
        raise ValueError(f"x: needs shape (N, C, H, W), has {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"x: needs a float dtype, has {x.dtype}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"{name}: needs an odd number, has {kernel_size}")
    if kernel_size > LARGEST:
        raise ValueError(f"{name}: needs at most {LARGEST}, has {kernel_size}")
    if min(x.shape[2:]) <= kernel_size // 2:
        raise ValueError(f"x: {tuple(x.shape[2:])} pixels are too few for {name} {kernel_size}")


def _shifted(x, padded, scale, dy, dx, patch):
    other = padded[..., dy : dy + x.shape[2], dx : dx + x.shape[3]]
    distance = F.avg_pool2d(_reflect((x - other).square(), patch // 2), patch, stride=1)
    weight = (-distance * scale).exp()
    return weight * other, weight


def _reflect(x, padding):
    return F.pad(x, (padding,) * 4, mode="reflect")
