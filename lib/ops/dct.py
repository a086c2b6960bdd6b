"""The sliding-window DCT that turns an image into PEL's fine-grained frequency map."""

import functools
import math

import torch
import torch.nn.functional as F

from lib.ops.precision import float32

# JPEG, full range, on [0, 1]: rows Y, Cb, Cr; columns R, G, B.
RGB_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
YCBCR_OFFSET = (0.0, 128 / 255, 128 / 255)


@float32
def sliding_dct(rgb, stride=2, padding=3):
    """Return the 192 maps of an image, one for each colour channel and DCT frequency of an 8x8 window.

    rgb: float (N, 3, H, W) in [0, 1]; stride: pixels between windows; padding: reflected pixels on each side.
    Returns float (N, 192, (H + 2 * padding - 8) // stride + 1, the same of W): H/2 x W/2 by default and for even sides.
    Channel colour * 64 + row * 8 + column is frequency (row, column) of Y, Cb or Cr. The transform is orthonormal: a
    window of constant value v has one coefficient, 8 * v at (0, 0).
    Raises ValueError for a shape, dtype, stride or padding that does not fit.
    Source: PEL (Gu et al., AAAI 2022), section "Fine-grained Clues", Eq. 1.
    """
    _check(rgb, stride, padding)
    kernel, offset = dct_filters(rgb.dtype, rgb.device)
    # One dense convolution: on a CPU, two separable passes through PyTorch's convolutions take 1.6 times as long.
    return F.conv2d(F.pad(rgb, (padding,) * 4, mode="reflect"), kernel, offset, stride=stride)


@float32
def frequency_stem(rgb, weight, bias=None, stride=2, padding=3):
    """Return `sliding_dct` mixed by a 1x1 convolution, without making the 192 maps.

    Colour conversion, DCT and mixing are linear: together they are one convolution with O kernels of 3x8x8, composed
    from `weight` at each call. Gradients reach `rgb`, `weight` and `bias`.
    weight: (O, 192) or (O, 192, 1, 1); bias: (O,) or None; the rest, errors and sizes as in `sliding_dct`.
    Returns float (N, O, H/2, W/2) by default. Source: the same section of PEL, x_freq.
    """
    _check(rgb, stride, padding)
    kernel, shift = compose(weight, bias)
    # With so few input channels, channels_last is the faster format, the copy of the image included.
    rgb, kernel = (x.contiguous(memory_format=torch.channels_last) for x in (rgb, kernel))
    return F.conv2d(F.pad(rgb, (padding,) * 4, mode="reflect"), kernel, shift, stride=stride)


@float32
def frequency_stem_ref(rgb, weight, bias=None, stride=2, padding=3):
    """Compute `frequency_stem` as the paper writes it: the 192 maps, then the 1x1 convolution."""
    return F.conv2d(sliding_dct(rgb, stride, padding), weight.reshape(len(weight), 192, 1, 1), bias)


def compose(weight, bias=None):
    """Fold colour conversion and DCT into 1x1 weights: kernels (O, 3, 8, 8) and biases (O,) of one convolution.

    weight: float (O, 192) or (O, 192, 1, 1); bias: (O,) or None. Raises ValueError for another shape.
    """
    if weight.dim() not in (2, 4) or weight.shape[1] != 192 or weight.shape[2:].numel() != 1:
        raise ValueError(f"weight: needs shape (O, 192) or (O, 192, 1, 1), has {tuple(weight.shape)}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias: needs shape ({len(weight)},), one number per output channel, has {tuple(bias.shape)}")
    kernel, offset = dct_filters(weight.dtype, weight.device)
    weight = weight.flatten(1)
    shift = weight @ offset
    return (weight @ kernel.flatten(1)).unflatten(1, (3, 8, 8)), shift if bias is None else shift + bias


@functools.cache
@torch.inference_mode(False)  # a constant first made under inference mode could not be used in training later
def dct_filters(dtype=torch.float32, device="cpu"):
    """Return `sliding_dct` as one convolution of RGB: kernels (192, 3, 8, 8) and offsets (192,)."""
    matrix = torch.tensor(RGB_TO_YCBCR, dtype=torch.float64)
    kernel = torch.einsum("ck,fyx->cfkyx", matrix, dct_basis()).flatten(0, 1)
    # A constant that is added to a channel changes frequency (0, 0) alone, by 8 times its value.
    offset = torch.zeros(3, 64, dtype=torch.float64)
    offset[:, 0] = 8 * torch.tensor(YCBCR_OFFSET, dtype=torch.float64)
    return kernel.to(device, dtype), offset.flatten().to(device, dtype)


def dct_basis(size=8, dtype=torch.float64):
    """Return the orthonormal DCT-II patterns of a window (size ** 2, size, size); number row * size + column."""
    waves = dct_matrix(size, dtype)
    return torch.einsum("uy,vx->uvyx", waves, waves).flatten(0, 1)


def dct_matrix(size, dtype=torch.float32, device=None):
    """Return the orthonormal DCT-II matrix (size, size); row = frequency."""
    n = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi * (2 * n + 1) * n[:, None] / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device, dtype)


def _check(rgb, stride, padding):
    if rgb.dim() != 4 or rgb.shape[1] != 3:
        raise ValueError(f"rgb: needs shape (N, 3, H, W), has {tuple(rgb.shape)}")
    if not rgb.is_floating_point():
        raise ValueError(f"rgb: needs float values in [0, 1], has {rgb.dtype}; divide uint8 by 255")
    if stride < 1:
        raise ValueError(f"stride: needs at least 1, has {stride}")
    if padding < 0 or min(rgb.shape[2:]) < max(8 - 2 * padding, padding + 1):
        raise ValueError(f"padding: {padding} does not fit an image of {rgb.shape[2]} x {rgb.shape[3]} pixels")
