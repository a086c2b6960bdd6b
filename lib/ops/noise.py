"""The noise enhancement of PEL's self-enhancement module."""

import torch
import torch.nn.functional as F

from lib.ops.denoise import DENOISERS, check, median_filter_ref
from lib.ops.median.op import noise_block


def noise_enhance(x, weight, bias, kernel_size=3, denoiser="median"):
    """Add to each value its own noise: x + weight * sigmoid(x - denoised x) + bias.

    x: float (N, C, H, W); weight, bias: (C,), the depth-wise 1x1 convolution; kernel_size: of the denoiser, odd.
    denoiser: "median", "mean" or "non_local_means" (there kernel_size is that of the patches). With a tuple of n kernel
    sizes and a weight (C, n), the weighted sigmoids of all n residuals are added: PEL's multiple median filter.
    Returns the shape, dtype and memory format of x, also under autocast; weight and bias may have another float dtype.
    Gradients of the median: as in `median_filter`; NaN spreads as there.
    Raises ValueError where a shape, dtype, the denoiser or a kernel size does not fit.
    Source: PEL (Gu et al., AAAI 2022), Eq. 2-3 and Table 5.
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
    several = isinstance(kernel_size, tuple | list)
    sizes = tuple(kernel_size) if several else (kernel_size,)
    for size in sizes:
        check(x, size)
    if denoiser not in DENOISERS:
        raise ValueError(f"denoiser: needs one of {', '.join(DENOISERS)}, has {denoiser!r}")
    channels = x.shape[1]
    if bias.shape != (channels,):
        raise ValueError(f"bias: needs shape ({channels},), one number per channel of x, has {tuple(bias.shape)}")
    if several and weight.shape != (channels, len(sizes)):
        raise ValueError(
            f"weight: needs shape ({channels}, {len(sizes)}), one number per channel of x and kernel size, "
            f"has {tuple(weight.shape)}"
        )
    if not several and weight.shape != (channels,):
        raise ValueError(f"weight: needs shape ({channels},), one number per channel of x, has {tuple(weight.shape)}")
    return sizes
