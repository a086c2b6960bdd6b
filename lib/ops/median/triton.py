"""The noise block's kernels for NVIDIA GPUs, in Triton.

As in noise.cpp, a tensor is planes of height rows of width * step values: step is 1 in a contiguous tensor, the number
of channels in a channels_last one. A program works on a tile of rows and of consecutive values of them.
"""

import functools

import torch
import triton
import triton.language as tl

from lib.ops.median.selection import median_network, sort_network

COLUMNS = 128
ROWS = {3: 4, 5: 2, 7: 2}  # of a tile: few, because registers hold k * k values for each of its pixels
WARPS = {3: 4, 5: 4, 7: 8}
STRIP = 32  # rows over which one program adds up the gradients of weight and bias


def forward(x, weight, bias, size, needs_index):
    """Run the forward kernel: arguments and results as in lib.ops.median.eager; x contiguous or channels_last."""
    out = torch.empty_like(x)
    index = torch.empty_like(x, dtype=torch.uint8) if needs_index else None
    planes, height, width, step = _planes(x)
    with torch.cuda.device_of(x):
        _forward[_grid(planes, height, width * step, ROWS[size])](
            x, weight, bias, out, index, height, width, x.shape[1], step, size, _network(size), ROWS[size], COLUMNS,
            num_warps=WARPS[size])  # fmt: skip
    return out, index


def backward(grad, x, weight, index, size):
    """Run the backward kernels: arguments and results as in lib.ops.median.eager; all of one memory format."""
    planes, height, width, step = _planes(grad)
    channels, sent = grad.shape[1], grad
    with torch.cuda.device_of(grad):
        if weight is not None:
            sent = torch.empty_like(grad, dtype=torch.float32)
            sums = grad.new_empty(2, planes, triton.cdiv(height, STRIP), width, step, dtype=torch.float32)
            grid = _grid(planes, height, width * step, STRIP)
            _send[grid](grad, x, weight, index, sent, *sums, height, width, channels, step, size, STRIP, ROWS[3],
                        COLUMNS, num_warps=4)  # fmt: skip
        grad_x = torch.empty_like(grad)
        grid = _grid(planes, height, width * step, ROWS[size])
        _collect[grid](grad, sent, index, grad_x, height, width, step, size, weight is not None, ROWS[size], COLUMNS,
                       num_warps=4)  # fmt: skip
    if weight is None:
        return grad_x, None, None
    # Planes are images x channels, or images alone if `step` holds the channels; the order of the sums is fixed.
    return grad_x, *sums.unflatten(1, (-1, channels // step)).sum((1, 3, 4)).flatten(1)


@triton.jit
def _tile(height, length, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return plane, first row and values of this program's tile."""
    across, down, program = tl.cdiv(length, COLUMNS), tl.cdiv(height, ROWS), tl.program_id(0)
    values = program % across * COLUMNS + tl.arange(0, COLUMNS)
    return (program // (across * down)).to(tl.int64), program // across % down * ROWS, values


@triton.jit
def _mirror(i, size):
    i = tl.abs(i)
    return tl.where(i < size, i, 2 * (size - 1) - i)


@triton.jit
def _pick(NAME: tl.constexpr, a, b):
    if NAME == "min":
        return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _window(x, plane, rows, values, height, width, STEP: tl.constexpr, SIZE: tl.constexpr):
    """Load the SIZE * SIZE neighbours of a tile, mirrored at the border, as a tuple in reading order."""
    inside = (rows < height)[:, None] & (values < width * STEP)[None, :]
    column, channel = values // STEP, values % STEP
    neighbours = ()
    for i in tl.static_range(SIZE * SIZE):
        y = _mirror(rows + (i // SIZE - SIZE // 2), height).to(tl.int64) + plane * height
        v = _mirror(column + (i % SIZE - SIZE // 2), width) * STEP + channel
        value = tl.load(x + y[:, None] * (width * STEP) + v[None, :], mask=inside, other=0.0)
        neighbours = neighbours + (value.to(tl.float32),)
    return neighbours


@triton.jit
def _forward(x, weight, bias, out, index, height, width, channels, STEP: tl.constexpr, SIZE: tl.constexpr,
             NETWORK: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    plane, row, values = _tile(height, width * STEP, ROWS, COLUMNS)
    rows = row + tl.arange(0, ROWS)
    neighbours = _window(x, plane, rows, values, height, width, STEP, SIZE)
    wires = neighbours
    for n in tl.static_range(len(NETWORK)):
        wires = wires + (_pick(NETWORK[n][0], wires[NETWORK[n][1]], wires[NETWORK[n][2]]),)
    median = wires[SIZE * SIZE + len(NETWORK) - 1]

    inside = (rows < height)[:, None] & (values < width * STEP)[None, :]
    at = (plane * height + rows)[:, None] * (width * STEP) + values[None, :]
    if index is not None:
        found = tl.zeros((ROWS, COLUMNS), tl.int32)
        for n in tl.static_range(SIZE * SIZE):
            v = neighbours[SIZE * SIZE - 1 - n]  # the last to be found is the first in reading order
            found = tl.where((v == median) | (v != v), SIZE * SIZE - 1 - n, found)
        tl.store(index + at, found.to(tl.uint8), mask=inside)
    if weight is None:
        result = median
    else:
        centre = neighbours[SIZE * SIZE // 2]
        channel = (plane * STEP + values % STEP) % channels
        w, b = tl.load(weight + channel).to(tl.float32)[None, :], tl.load(bias + channel).to(tl.float32)[None, :]
        result = centre + w * tl.sigmoid(centre - median) + b
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _send(grad, x, weight, index, sent, weight_sums, bias_sums, height, width, channels, STEP: tl.constexpr,
          SIZE: tl.constexpr, STRIP: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """Store what each window sends to the neighbour that is its median, and the sums over a strip of rows."""
    length = width * STEP
    plane, first, values = _tile(height, length, STRIP, COLUMNS)
    column, channel = values // STEP, values % STEP
    w = tl.load(weight + (plane * STEP + channel) % channels).to(tl.float32)[None, :]
    weight_sum, bias_sum = tl.zeros((COLUMNS,), tl.float32), tl.zeros((COLUMNS,), tl.float32)
    for row in range(first, tl.minimum(first + STRIP, height), ROWS):
        rows = row + tl.arange(0, ROWS)
        inside = (rows < height)[:, None] & (values < length)[None, :]
        at = (plane * height + rows)[:, None] * length + values[None, :]
        found = tl.load(index + at, mask=inside, other=0).to(tl.int32)
        y = _mirror(rows[:, None] + found // SIZE - SIZE // 2, height)
        v = _mirror(column[None, :] + found % SIZE - SIZE // 2, width) * STEP + channel[None, :]
        neighbour = tl.load(x + (plane * height + y) * length + v, mask=inside, other=0.0).to(tl.float32)
        noise = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) - neighbour
        g = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
        gate = tl.sigmoid(noise)
        tl.store(sent + at, g * w * gate * (1 - gate), mask=inside)
        weight_sum += tl.sum(g * gate, 0)
        bias_sum += tl.sum(g, 0)
    strip = plane * tl.cdiv(height, STRIP) + first // STRIP
    tl.store(weight_sums + strip * length + values, weight_sum, mask=values < length)
    tl.store(bias_sums + strip * length + values, bias_sum, mask=values < length)


@triton.jit
def _senders(i, offset, size, SIZE: tl.constexpr):
    """Return as bits which places of the window around i + offset are i, directly or mirrored at a border."""
    centre = i + offset
    bits = tl.zeros_like(centre)
    for place in tl.static_range(SIZE):
        same = _mirror(centre + (place - SIZE // 2), size) == i
        bits = bits | (same & (centre >= 0) & (centre < size)).to(tl.int32) << place
    return bits.to(tl.int64) if SIZE > 5 else bits  # SIZE * SIZE bits will be needed


@triton.jit
def _collect(grad, sent, index, out, height, width, STEP: tl.constexpr, SIZE: tl.constexpr, GATED: tl.constexpr,
             ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """Sum what each value receives from the windows whose median it is; those lie at most SIZE // 2 away."""
    length = width * STEP
    plane, row, values = _tile(height, length, ROWS, COLUMNS)
    rows = row + tl.arange(0, ROWS)
    column = values // STEP
    inside = (rows < height)[:, None] & (values < length)[None, :]
    at = (plane * height + rows)[:, None] * length + values[None, :]
    received = tl.zeros((ROWS, COLUMNS), tl.float32)
    for i in tl.static_range(SIZE * SIZE):
        ys = _senders(rows, i // SIZE - SIZE // 2, height, SIZE)
        xs = _senders(column, i % SIZE - SIZE // 2, width, SIZE)
        # The product has bit row * SIZE + column for each pair of bits; none carries, because rows lie SIZE bits apart.
        spread = tl.zeros_like(ys)
        for place in tl.static_range(SIZE):
            spread = spread | ((ys >> place) & 1) << (place * SIZE)
        accepted = spread[:, None] * xs[None, :]
        valid = inside & (accepted != 0)
        there = at + (i // SIZE - SIZE // 2) * length + (i % SIZE - SIZE // 2) * STEP
        found = tl.load(index + there, mask=valid, other=0).to(accepted.dtype)
        value_sent = tl.load(sent + there, mask=valid, other=0.0).to(tl.float32)
        received += tl.where(valid & (((accepted >> found) & 1) != 0), value_sent, 0.0)
    result = received
    if GATED:
        own = tl.load(sent + at, mask=inside, other=0.0).to(tl.float32)
        result = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32) + own - received
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


def _planes(x):
    count, channels, height, width = x.shape
    return (count * channels, height, width, 1) if x.is_contiguous() else (count, height, width, channels)


def _grid(planes, height, length, rows):
    return (planes * triton.cdiv(height, rows) * triton.cdiv(length, COLUMNS),)


@functools.cache
def _network(size):
    """Return the sorting of each column and the median network as one: (name, a, b) for each value after the inputs."""
    wires, operations = list(range(size * size)), []
    for i, j in sort_network(size):
        for low, high in ((i * size + column, j * size + column) for column in range(size)):
            pair = wires[low], wires[high]
            wires[low], wires[high] = size * size + len(operations), size * size + len(operations) + 1
            operations += [("min", *pair), ("max", *pair)]
    wires += range(size * size + len(operations), size * size + len(operations) + len(median_network(size)))
    return (*operations, *((name, wires[a], wires[b]) for name, a, b in median_network(size)))
