"""The noise block as an operation of torch.library, so that autograd, torch.compile and torch.export can handle it."""

import torch
from torch import Tensor
from torch.utils._triton import has_triton_package

from lib.ops.median import cpu, eager


@torch.library.custom_op("deepfake::noise_block", mutates_args=())
def noise_block(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, size: int, needs_index: bool
) -> tuple[Tensor, Tensor]:
    """Return what lib.ops.median.eager.forward returns for x (N, C, H, W).

    Without `needs_index` the index is empty, and no gradient can be computed.
    """
    layout = _format(x)
    x = x.contiguous(memory_format=layout)
    if not x.numel():
        return torch.empty_like(x), _index_like(x, needs_index)
    out, index = _kernels(x, size).forward(x, weight, bias, size, needs_index)
    index = index.contiguous(memory_format=layout) if needs_index else _index_like(x, False)
    return out.contiguous(memory_format=layout), index


@torch.library.custom_op("deepfake::noise_block_backward", mutates_args=())
def noise_block_backward(
    grad: Tensor, x: Tensor | None, weight: Tensor | None, bias: Tensor | None, index: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias; where weight and bias are None, theirs are empty."""
    if index.numel() != grad.numel():
        raise RuntimeError("deepfake: this forward pass stored no index, ask for it with needs_index=True")
    layout = _format(index)
    grad, x = (t if t is None else t.contiguous(memory_format=layout) for t in (grad, x))
    if not grad.numel():
        return torch.empty_like(grad), *(_like(grad, t).zero_() for t in (weight, bias))
    grad_x, *others = _kernels(grad, size).backward(grad, x, weight, index, size)
    others = (_like(grad, t) if t is None else g.to(t.dtype) for g, t in zip(others, (weight, bias), strict=True))
    return grad_x.contiguous(memory_format=layout), *others


@noise_block.register_fake
def _(x, weight, bias, size, needs_index):
    return torch.empty_like(x, memory_format=_format(x)), _index_like(x, needs_index)


@noise_block_backward.register_fake
def _(grad, x, weight, bias, index, size):
    return torch.empty_like(grad, memory_format=_format(index)), _like(grad, weight), _like(grad, bias)


def _save(ctx, inputs, output):
    x, weight, bias, ctx.size, _ = inputs
    ctx.save_for_backward(None if weight is None else x, weight, bias, output[1])


def _gradient(ctx, grad, _):
    x, weight, bias, index = ctx.saved_tensors
    grad_x, *others = noise_block_backward(grad, x, weight, bias, index, ctx.size)
    return grad_x, *((None, None) if weight is None else others), None, None


def _no_second_derivative(ctx, *_):
    raise RuntimeError("lib.ops: median and noise enhancement have no second derivative; take that of their _ref")


noise_block.register_autograd(_gradient, setup_context=_save)
noise_block_backward.register_autograd(_no_second_derivative)


def _kernels(x, size):
    """Return the module whose `forward` and `backward` run for x."""
    if x.dtype in cpu.TYPES and size in eager.NETWORKS:
        if x.device.type == "cpu" and cpu.library():
            return cpu
        if x.device.type == "cuda" and has_triton_package():
            from lib.ops.median import triton

            return triton
    return eager


def _format(x):
    plain = x.is_contiguous() or x.stride(1) != 1
    return torch.contiguous_format if plain else torch.channels_last


def _index_like(x, needs_index):
    return torch.empty_like(x, dtype=torch.uint8, memory_format=_format(x)) if needs_index else x.new_empty(0).byte()


def _like(grad, values):
    return grad.new_empty(0) if values is None else torch.empty_like(values)
