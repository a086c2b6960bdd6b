"""The median filter and the noise enhancement of PEL's self-enhancement module, and the filters of its Table 5."""

import functools

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from lib.ops.median import cpu, eager

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
    _check(x, kernel_size)
    if kernel_size == 1:
        return x
    return torch.ops.deepfake.median_filter(x, kernel_size, torch.is_grad_enabled() and x.requires_grad)[0]


def median_filter_ref(x, kernel_size=3):
    """Compute `median_filter` the plain way: gather the k * k neighbours of each value, take their median.

    Among equal neighbours, the gradient goes to the one that torch.median picks.
    """
    windows = _reflect(x, kernel_size // 2).unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    return windows.flatten(-2).median(-1).values


def mean_filter(x, kernel_size=3):
    """Replace each value by the mean of its k x k neighbourhood; arguments and result as in `median_filter`."""
    _check(x, kernel_size)
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
    _check(x, patch, "patch")
    _check(x, search, "search")
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
            out = torch.ops.deepfake.noise_enhance(x, scale, bias, size, needs_index)[0]
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


DENOISERS = {"median": median_filter, "mean": mean_filter, "non_local_means": non_local_means}


def _shifted(x, padded, scale, dy, dx, patch):
    other = padded[..., dy : dy + x.shape[2], dx : dx + x.shape[3]]
    distance = F.avg_pool2d(_reflect((x - other).square(), patch // 2), patch, stride=1)
    weight = (-distance * scale).exp()
    return weight * other, weight


def _reflect(x, padding):
    return F.pad(x, (padding,) * 4, mode="reflect")


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


def _check_enhance(x, weight, bias, kernel_size, denoiser):
    several = isinstance(kernel_size, tuple | list)
    sizes = tuple(kernel_size) if several else (kernel_size,)
    for size in sizes:
        _check(x, size)
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


def _kernels(x, size):
    """Return the module whose `forward` and `backward` run for x."""
    if x.dtype in cpu.TYPES and size in eager.NETWORKS:
        if x.device.type == "cpu" and cpu.library():
            return cpu
        if x.device.type == "cuda" and _triton():
            return _triton()
    return eager


@functools.cache
def _triton():
    try:
        from lib.ops.median import triton
    except ImportError:
        return None
    return triton


def _format(x):
    plain = x.is_contiguous() or x.stride(1) != 1
    return torch.contiguous_format if plain else torch.channels_last


def _index_like(x, needs_index):
    return torch.empty_like(x, dtype=torch.uint8, memory_format=_format(x)) if needs_index else x.new_empty(0).byte()


def _run_forward(x, weight, bias, size, needs_index):
    layout = _format(x)
    x = x.contiguous(memory_format=layout)
    if not x.numel():
        return torch.empty_like(x), _index_like(x, needs_index)
    out, index = _kernels(x, size).forward(x, weight, bias, size, needs_index)
    index = index.contiguous(memory_format=layout) if needs_index else x.new_empty(0, dtype=torch.uint8)
    return out.contiguous(memory_format=layout), index


def _run_backward(grad, x, weight, index, size):
    if index.numel() != grad.numel():
        raise RuntimeError("deepfake: this forward pass stored no index, ask for it with needs_index=True")
    layout = _format(index)
    grad, x = (t if t is None else t.contiguous(memory_format=layout) for t in (grad, x))
    if not grad.numel():
        zeros = (None, None) if weight is None else (torch.zeros_like(weight), torch.zeros_like(weight))
        return torch.empty_like(grad), *zeros
    grad_x, *others = _kernels(grad, size).backward(grad, x, weight, index, size)
    return grad_x.contiguous(memory_format=layout), *others


@torch.library.custom_op("deepfake::median_filter", mutates_args=())
def _median_filter(x: torch.Tensor, size: int, needs_index: bool) -> tuple[torch.Tensor, torch.Tensor]:
    return _run_forward(x, None, None, size, needs_index)


@torch.library.custom_op("deepfake::median_filter_backward", mutates_args=())
def _median_filter_backward(grad: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    return _run_backward(grad, None, None, index, size)[0]


@torch.library.custom_op("deepfake::noise_enhance", mutates_args=())
def _noise_enhance(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, size: int, needs_index: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    return _run_forward(x, weight, bias, size, needs_index)


@torch.library.custom_op("deepfake::noise_enhance_backward", mutates_args=())
def _noise_enhance_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, index: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    grad_x, grad_weight, grad_bias = _run_backward(grad, x, weight, index, size)
    return grad_x, grad_weight.to(weight.dtype), grad_bias.to(bias.dtype)


@_median_filter.register_fake
def _(x, size, needs_index):
    return torch.empty_like(x, memory_format=_format(x)), _index_like(x, needs_index)


@_noise_enhance.register_fake
def _(x, weight, bias, size, needs_index):
    return torch.empty_like(x, memory_format=_format(x)), _index_like(x, needs_index)


@_median_filter_backward.register_fake
def _(grad, index, size):
    return torch.empty_like(grad, memory_format=_format(index))


@_noise_enhance_backward.register_fake
def _(grad, x, weight, bias, index, size):
    grad_x = torch.empty_like(grad, memory_format=_format(index))
    return grad_x, torch.empty_like(weight), torch.empty_like(bias)


def _save_index(ctx, inputs, output):
    ctx.size = inputs[1]
    ctx.save_for_backward(output[1])


def _median_filter_gradient(ctx, grad, _):
    return torch.ops.deepfake.median_filter_backward(grad, *ctx.saved_tensors, ctx.size), None, None


def _save_for_enhance(ctx, inputs, output):
    *tensors, ctx.size, _ = inputs
    ctx.save_for_backward(*tensors, output[1])


def _noise_enhance_gradient(ctx, grad, _):
    gradients = torch.ops.deepfake.noise_enhance_backward(grad, *ctx.saved_tensors, ctx.size)
    return *gradients, None, None


def _no_second_derivative(ctx, *_):
    raise RuntimeError(
        "lib.ops: the median and the noise enhancement have no second derivative; take that of their _ref"
    )


_median_filter.register_autograd(_median_filter_gradient, setup_context=_save_index)
_noise_enhance.register_autograd(_noise_enhance_gradient, setup_context=_save_for_enhance)
_median_filter_backward.register_autograd(_no_second_derivative)
_noise_enhance_backward.register_autograd(_no_second_derivative)
