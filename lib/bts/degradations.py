"""Omega of Beyond the Spectrum: the change of the small image before the re-synthesizer enlarges it.

The re-synthesizer learns to undo this change, too: SR (no change), SR+C (colourisation), SR+D (denoising).
"""

import torch

PROBABILITY = 0.5  # that an image is changed at all
SHARE = (0.10, 0.25)  # of the pixels of a changed image that turn grey: from, to
DEVIATION = 4 / 255  # standard deviation of the noise


def identity(low_res, generator=None):
    """Return the image unchanged: Omega of SR."""
    return low_res


def colour(low_res, generator):
    """Turn 10 to 25 % of the pixels grey, in half of the images: Omega of SR+C.

    low_res: (N,3,h,w) in [0,1]; generator: a torch.Generator, which draws for each image whether it is changed, which
    share of its pixels, and which pixels. Grey is the plain mean of the three channels. Returns the same shape, dtype
    and device.
    Raises ValueError for another shape. Source: BTS section 4.2, grey as in the released train.py.
    """
    _check(low_res)
    (count, _, *sides), pixels = low_res.shape, low_res[0, 0].numel()
    share = torch.empty(count, 1).to(generator.device).uniform_(*SHARE, generator=generator)
    order = _uniform(generator, count, pixels).argsort(1).argsort(1)
    grey = (order < (share * pixels).round()) & _chosen(generator, count)[:, None]
    grey = grey.view(count, 1, *sides).to(low_res.device)
    return torch.where(grey, low_res.mean(1, keepdim=True), low_res)


def noise(low_res, generator):
    """Add Gaussian noise of deviation 4/255, in half of the images: Omega of SR+D.

    Arguments, result and errors are those of `colour`. The result is not clipped: values can be a bit outside [0,1].
    Source: BTS section 4.2.
    """
    _check(low_res)
    drawn = torch.randn(low_res.shape, generator=generator, device=generator.device)
    drawn *= _chosen(generator, len(low_res))[:, None, None, None]
    return low_res + DEVIATION * drawn.to(low_res)


TASKS = {"": identity, "C": colour, "D": noise}


def _uniform(generator, *shape):
    return torch.rand(shape, generator=generator, device=generator.device)


def _chosen(generator, count):
    return _uniform(generator, count) < PROBABILITY


def _check(low_res):
    if low_res.ndim != 4 or low_res.shape[1] != 3:
        raise ValueError(f"low_res: needs shape (N, 3, h, w), has {tuple(low_res.shape)}")
