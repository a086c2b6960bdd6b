"""The kernels of the noise block in plain PyTorch: for devices and dtypes that have no code of their own."""

import torch
import torch.nn.functional as F

from lib.ops.median.selection import median_network, sort_network

NETWORKS = (3, 5, 7)
PICK = {"min": torch.minimum, "max": torch.maximum}


def forward(x, weight, bias, size, needs_index):
    """Return the median or, with weight and bias, x + weight * sigmoid(x - median) + bias, and the median's index.

    The index, uint8, is row * size + column of the first neighbour that equals the median; None unless it is needed.
    """
    padded = reflect(x, size // 2)
    networks = (sort_network(size), median_network(size)) if size in NETWORKS else None
    median = network_median(padded, size, *networks) if networks else plain_median(padded, size)
    index = None
    if needs_index:
        index = torch.zeros_like(median, dtype=torch.uint8)
        for number, window in reversed(list(enumerate(_windows(padded, size)))):
            index.masked_fill_((window == median) | (window != window), number)
    return median if weight is None else enhance(x, median, weight, bias), index


def backward(grad, x, weight, index, size):
    """Return the gradients of x, weight and bias; without a weight, that of the median alone and None twice."""
    sent, wide = _wide(grad), _wide(grad)
    if weight is not None:
        median = torch.zeros_like(x)
        for number, window in enumerate(_windows(reflect(x, size // 2), size)):
            median = torch.where(index == number, window, median)
        gate = (_wide(x) - _wide(median)).sigmoid()
        sent = wide * _wide(weight)[:, None, None] * gate * (1 - gate)
    height, width = grad.shape[2:]
    received = sent.new_zeros(*grad.shape[:2], height + size - 1, width + size - 1)
    for number, window in enumerate(_windows(received, size)):
        window += torch.where(index == number, sent, 0)  # a product would spread NaN
    received = _fold(received, size // 2)
    if weight is None:
        return received.to(grad.dtype), None, None
    return (wide + sent - received).to(grad.dtype), (wide * gate).sum((0, 2, 3)), wide.sum((0, 2, 3))


def enhance(x, median, weight, bias):
    """Return x + weight * sigmoid(x - median) + bias."""
    wide, noise = _wide(x), _wide(x) - _wide(median)
    return (wide + _wide(weight)[:, None, None] * noise.sigmoid() + _wide(bias)[:, None, None]).to(x.dtype)


def network_median(padded, size, sort, network):
    """Return the median of each window of `padded`, x with its border, by the networks of lib.ops.median.selection."""
    height, width = (side - size + 1 for side in padded.shape[2:])
    rows = [padded[..., i : i + height, :] for i in range(size)]
    for i, j in sort:  # a column is sorted once for all windows that contain it
        rows[i], rows[j] = torch.minimum(rows[i], rows[j]), torch.maximum(rows[i], rows[j])
    values = dict(enumerate(row[..., i : i + width] for row in rows for i in range(size)))
    last_use = {operand: number for number, (_, *pair) in enumerate(network) for operand in pair}
    for number, (name, a, b) in enumerate(network):
        values[size * size + number] = PICK[name](values[a], values[b])
        for operand in {a, b}:
            if last_use[operand] == number:
                del values[operand]
    return values[size * size + number]


def plain_median(padded, size):
    """Return the median of each window of `padded` by torch.median."""
    return padded.unfold(2, size, 1).unfold(3, size, 1).flatten(-2).median(-1).values


def reflect(x, padding):
    return F.pad(x, (padding,) * 4, mode="reflect")


def _windows(padded, size):
    height, width = (side - size + 1 for side in padded.shape[2:])
    return [padded[..., i : i + height, j : j + width] for i in range(size) for j in range(size)]


def _fold(padded, radius):
    """Add the gradient of each mirrored border value to the value that it mirrors."""
    for dim in (2, 3):
        size = padded.shape[dim] - 2 * radius
        for i in range(1, radius + 1):
            padded.narrow(dim, radius + i, 1).add_(padded.narrow(dim, radius - i, 1))
            padded.narrow(dim, radius + size - 1 - i, 1).add_(padded.narrow(dim, radius + size - 1 + i, 1))
        padded = padded.narrow(dim, radius, size)
    return padded


def _wide(x):
    return x if x.dtype == torch.float64 else x.float()
