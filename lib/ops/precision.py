"""What autocast must not reach: residuals and spectra, whose small numbers bfloat16 rounds away beside large ones."""

import contextlib
import functools

import torch


def float32(function):
    """Decorate a function of tensors, or a method: it computes in float32 on any device, under autocast as without.

    Tensors that come in half precision are made float32 first; float64 stays. So a network learns from the same numbers
    under autocast, as lib.training.fit trains on a GPU, as it is scored on without. TF32, which cuDNN's convolutions
    use unless PyTorch is told otherwise, is left as it is: training and scoring have it alike.
    """

    @functools.wraps(function)
    def run(*arguments, **named):
        tensors = (value for value in (*arguments, *named.values()) if isinstance(value, torch.Tensor))
        kind = next(tensors).device.type
        known = torch.amp.is_autocast_available(kind)  # not for "meta", which holds shapes alone
        with torch.autocast(kind, enabled=False) if known else contextlib.nullcontext():
            return function(*map(_whole, arguments), **{name: _whole(value) for name, value in named.items()})

    return run


def _whole(value):
    half = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value
