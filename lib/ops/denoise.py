"""PEL's noise enhancement and its denoisers: the median of the self-enhancement module, and those of Table 5."""

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from lib.ops.median.eager import plain_median, reflect
from lib.ops.median.op import noise_block

LARGEST = 15  # the index of a neighbour is stored in one byte


def median_filter(x, kernel_size=3):
    """Replace each value by the median of its k x k neighbourhood, channel by channel, with a reflected border.

    x: float (N, C, H, W); kernel_size: odd, up to 15, kernel_size // 2 smaller than H and W; only 3, 5 and 7 are fast.
    Returns the same shape, dtype and memory format. A NaN makes the median of its windows NaN. Among several
    neighbours that equal the median, the first in reading order gets the gradient.
    Raises ValueError for a shape, dtype or kernel size that does not fit; RuntimeError for a second derivative.
    Source: PEL (Gu et al., AAAI 2022), Eq. 2, the filter M.
    """
    _check(x, kernel_size)
    if kernel_size == 1:
        return x
    return noise_block(x, None, None, kernel_size, torch.is_grad_enabled() and x.requires_grad)[0]


def median_filter_ref(x, kernel_size=3):
    """Compute `median_filter` the plain way; among equal neighbours torch.median picks the one with the gradient."""
    return plain_median(reflect(x, kernel_size // 2), kernel_size)


def mean_filter(x, kernel_size=3):
    """Replace each value by the mean of its k x k neighbourhood; arguments and result as in `median_filter`."""
    _check(x, kernel_size)
    return F.avg_pool2d(reflect(x, kernel_size // 2), kernel_size, stride=1)


def non_local_means(x, patch=3, search=7):
    """Replace each value by a mean of the values around it, weighted by how similar their patches are.

    x: float (N, C, H, W); search: side of the neighbourhood, patch: side of the patches, both odd, in pixels.
    The weight is exp(-d / h^2): d is the mean squared difference of the patches, h the standard deviation of the
    channel in its image. The border is reflected.
    Returns the same shape and dtype; differentiable, h included.
    Raises ValueError for a shape, dtype, patch or search that does not fit.
    Source: PEL, Table 5; Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005. PEL gives
    neither search nor h: ours are a choice.
    """
    _check(x, patch, "patch")
    _check(x, search, "search")
    padded = reflect(x, search // 2)
    # `tiny` keeps all weights of a constant channel at 1.
    scale = 1 / (x.var((2, 3), correction=0, keepdim=True) + torch.finfo(x.dtype).tiny ** 0.5)
    total, weights = torch.zeros_like(x), torch.zeros_like(x)
    for dy in range(search):
        for dx in range(search):
            # Recomputed in the backward pass, because keeping all 49 shifts would take several copies of x for each.
            term, weight = checkpoint(_shifted, x, padded, scale, dy, dx, patch, use_reentrant=False,
                                      preserve_rng_state=False)  # fmt: skip
            total, weights = total + term, weights + weight
    return total / weights


def _shifted(x, padded, scale, dy, dx, patch):
    other = padded[..., dy : dy + x.shape[2], dx : dx + x.shape[3]]
    distance = F.avg_pool2d(reflect((x - other).square(), patch // 2), patch, stride=1)
    weight = (-distance * scale).exp()
    return weight * other, weight


DENOISERS = {"median": median_filter, "mean": mean_filter, "non_local_means": non_local_means}


def noise_enhance(x, weight, bias, kernel_size=3, denoiser="median"):
    """Add to each value its own noise: x + weight * sigmoid(x - denoised x) + bias.

    x: float (N, C, H, W); weight, bias: (C,), the depth-wise 1x1 convolution; kernel_size: of the denoiser, odd.
    denoiser: "median", "mean" or "non_local_means" (there kernel_size is that of the patches). With a tuple of n kernel
    sizes and a weight (C, n), the weighted sigmoids of all n residuals are added: PEL's multiple median filter.
    Returns the shape, dtype and memory format of x, also under autocast; weight and bias may have another float dtype.
    NaN, gradients and errors as in `median_filter`. Source: PEL, Eq. 2-3 and Table 5.
    """
    sizes = _check_enhance(x, weight, bias, kernel_size, denoiser)
    out = None
    for size, scale in zip(sizes, weight.reshape(len(bias), len(sizes)).unbind(1), strict=True):
        if out is None and denoiser == "median" and size > 1:
            needs_index = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad or bias.requires_grad)
            out = noise_block(x, scale, bias, size, needs_index)[0]
            continue
        noise = (x - DENOISERS[denoiser](x, size)).sigmoid() * scale.to(x.dtype)[:, None, None]
        out = noise + (x + bias.to(x.dtype)[:, None, None] if out is None else out)
    return out


def noise_enhance_ref(x, weight, bias, kernel_size=3, denoiser="median"):
    """Compute `noise_enhance` as the paper writes it: residuals, interleaved by channel, and a grouped convolution."""
    sizes = _check_enhance(x, weight, bias, kernel_size, denoiser)
    denoise = median_filter_ref if denoiser == "median" else DENOISERS[denoiser]
    residuals = torch.stack([x - denoise(x, size) for size in sizes], 2).flatten(1, 2)
    kernel = weight.reshape(len(bias), len(sizes), 1, 1).to(x.dtype)
    return x + F.conv2d(residuals.sigmoid(), kernel, bias.to(x.dtype), groups=len(bias))


def _check_enhance(x, weight, bias, kernel_size, denoiser):
    """Return the kernel sizes as a tuple; raise ValueError for what does not fit."""
    several = isinstance(kernel_size, tuple | list)
    sizes = tuple(kernel_size) if several else (kernel_size,)
    for size in sizes:
        _check(x, size)
    if denoiser not in DENOISERS:
        raise ValueError(f"denoiser: needs one of {', '.join(DENOISERS)}, has {denoiser!r}")
    shape = (x.shape[1], len(sizes)) if several else (x.shape[1],)
    if bias.shape != shape[:1]:
        raise ValueError(f"bias: needs shape {shape[:1]}, one number per channel of x, has {tuple(bias.shape)}")
    if weight.shape != shape:
        each = "channel of x and kernel size" if several else "channel of x"
        raise ValueError(f"weight: needs shape {shape}, one number per {each}, has {tuple(weight.shape)}")
    return sizes


def _check(x, kernel_size, name="kernel_size"):
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
