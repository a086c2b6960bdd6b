"""Keep autocast away from residuals and spectra, whose small numbers bfloat16 rounds away beside large ones."""

import contextlib
import functools

import torch


def float32(function):
    """Decorate a function of tensors, or a method: it computes in float32 on any device, with and without autocast.

    Tensors in half precision become float32 first; float64 stays. So a network that learns under autocast, as on a GPU
    in lib.training.fit, sees the numbers that it is scored on without autocast. TF32, which cuDNN's convolutions use by
    default, is left as it is, because it is the same in training and in scoring.
    """

    @functools.wraps(function)
    def run(*arguments, **named):
        tensors = (value for value in (*arguments, *named.values()) if isinstance(value, torch.Tensor))
        kind = next(tensors).device.type
        known = torch.amp.is_autocast_available(kind)  # false for "meta", whose tensors have shapes alone
        with torch.autocast(kind, enabled=False) if known else contextlib.nullcontext():
            return function(*map(_whole, arguments), **{name: _whole(value) for name, value in named.items()})

    return run


def _whole(value):
    half = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value
