"""The median filter and the noise enhancement of PEL's self-enhancement module."""

import torch
import torch.nn.functional as F


def median_filter(x, kernel_size=3):
    """Replace each value by the median of its k x k neighbourhood, channel by channel, with a reflected border.

    x: float (N, C, H, W); kernel_size: odd, with kernel_size // 2 smaller than H and W.
    Returns the same shape and dtype. Where several neighbours equal the median, the gradient goes to the first of them
    in reading order for 3x3, to the one that torch.median picks otherwise.
    Raises ValueError where the shape, dtype or kernel size does not fit.
    Source: PEL (Gu et al., AAAI 2022), Eq. 2, the filter M.
    """
    _check(x, kernel_size)
    if kernel_size == 1:
        return x
    return _Median3x3.apply(x) if kernel_size == 3 else median_filter_ref(x, kernel_size)


def median_filter_ref(x, kernel_size=3):
    """Compute `median_filter` the plain way: gather the k * k neighbours of each value, take their median."""
    windows = _reflect(x, kernel_size // 2).unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    return windows.flatten(-2).median(-1).values


def noise_enhance(x, weight, bias, kernel_size=3):
    """Add to each value its own noise: x + weight * sigmoid(x - median(x)) + bias.

    x: float (N, C, H, W); weight, bias: (C,), the depth-wise 1x1 convolution; kernel_size: of the median, odd.
    Returns the same shape and dtype.
    Raises ValueError where a shape, dtype or the kernel size does not fit.
    Source: PEL (Gu et al., AAAI 2022), Eq. 2-3.
    """
    _check(x, kernel_size)
    for name, value in (("weight", weight), ("bias", bias)):
        if value.shape != x.shape[1:2]:
            raise ValueError(
                f"{name}: needs shape ({x.shape[1]},), one number per channel of x, has {tuple(value.shape)}"
            )
    noise = x - median_filter(x, kernel_size)
    return x + weight[:, None, None] * noise.sigmoid() + bias[:, None, None]


class _Median3x3(torch.autograd.Function):
    """A selection network forward; backward, the gradient of each median goes to the neighbour that it came from.

    Autograd through the network's 20 minima and maxima would keep them all in memory; here only x and the median stay.
    """

    @staticmethod
    def forward(ctx, x):
        padded = _reflect(x, 1)
        top, middle, bottom = (padded[..., i : i + x.shape[2], :] for i in range(3))
        median = _median_of_sorted_columns(*_sort3(top, middle, bottom))
        ctx.save_for_backward(x, median)
        return median

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, median = ctx.saved_tensors
        padded = _reflect(x, 1)
        height, width = x.shape[2:]
        out = torch.zeros_like(padded, dtype=grad.dtype)
        unclaimed = torch.ones_like(median, dtype=torch.bool)
        for i in range(3):
            for j in range(3):
                window = (..., slice(i, i + height), slice(j, j + width))
                claimed = (padded[window] == median).logical_and_(unclaimed)
                unclaimed.logical_xor_(claimed)
                out[window] += grad * claimed
        return _fold_reflection(out)


def _sort3(a, b, c):
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    rest, high = torch.minimum(high, c), torch.maximum(high, c)
    return torch.minimum(low, rest), torch.maximum(low, rest), high


def _median_of_sorted_columns(low, middle, high):
    """Each argument has two columns more than the result: a column's sort serves the three windows that it is in."""
    low = _across(torch.maximum, low)
    high = _across(torch.minimum, high)
    a, b, c = middle[..., :-2], middle[..., 1:-1], middle[..., 2:]
    return _median3(low, _median3(a, b, c), high)


def _across(pick, x):
    return pick(pick(x[..., :-2], x[..., 1:-1]), x[..., 2:])


def _median3(a, b, c):
    return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))


def _fold_reflection(padded):
    """Add the gradient of each mirrored border value to the value that it mirrors (width of the border: 1)."""
    for dim in (2, 3):
        last = padded.shape[dim] - 1
        padded.narrow(dim, 2, 1).add_(padded.narrow(dim, 0, 1))
        padded.narrow(dim, last - 2, 1).add_(padded.narrow(dim, last, 1))
        padded = padded.narrow(dim, 1, last - 1)
    return padded.contiguous()


def _reflect(x, padding):
    return F.pad(x, (padding,) * 4, mode="reflect")


def _check(x, kernel_size):
    if x.dim() != 4:
        raise ValueError(f"x: needs shape (N, C, H, W), has {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"x: needs a float dtype, has {x.dtype}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size: needs an odd number, has {kernel_size}")
    if min(x.shape[2:]) <= kernel_size // 2:
        raise ValueError(f"x: {tuple(x.shape[2:])} pixels are too few for kernel_size {kernel_size}")
