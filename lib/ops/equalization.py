"""Spectrum equalization, +E of Beyond the Spectrum: a picture gets the azimuthal power spectrum of real ones."""

import functools
from types import SimpleNamespace

import numpy as np
import scipy.fft
from scipy.linalg import solve_banded

from lib.ops.spectra import rings

GENTLE = 3  # steps that begin with each ring's own gain, weakened by interpolation: Newton's would clip more pixels


def equalize(images, spectrum, tolerance=1e-4, max_steps=100):
    """Give each image the azimuthal power spectrum of real images: +E.

    images: float (..., S, S) in [0, 1]; spectrum: (..., rings), their channels' `mean_spectrum` over real images.
    Returns float64 like `images`, in [0, 1], not rounded. Phases and mean brightness stay, except for what is clipped.
    The log gain of a frequency is interpolated linearly between the rings' middles. Interpolation and clipping disturb
    the spectrum, so the step is repeated until the logarithm of every ring is right up to `tolerance`, or `max_steps`
    times.
    Raises ValueError for images that are not square or have no power in some ring.
    Source: BTS sections 4.3-4.4, which names the operation; its steps are ours.
    """
    images = np.array(images, float)
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f"images: {images.shape[-2]} x {images.shape[-1]} pixels are not square; crop or resize")
    wanted = np.broadcast_to(spectrum, (*images.shape[:-2], np.shape(spectrum)[-1]))
    for index in np.ndindex(images.shape[:-2]):
        images[index] = _equalize(images[index], wanted[index], tolerance, max_steps)
    return images


def equalize_image(image, spectrum):
    """Apply `equalize` to one uint8 image (S, S, 3), and write the result as uint8; spectrum: (3, rings) of [0, 1]."""
    equalized = equalize(np.moveaxis(image, -1, 0) / 255, spectrum)
    return np.moveaxis(np.rint(255 * equalized).astype(np.uint8), 0, -1)


def _equalize(image, wanted, tolerance, max_steps):
    """Equalize one image (S, S)."""
    side, half, quarter = len(image), len(image) // 2, _quarter(len(image))
    for step in range(max_steps):
        transform = scipy.fft.rfft2(image)
        power = transform.real**2 + transform.imag**2
        power[1 : side - half] += power[:half:-1]  # frequencies that differ only in their signs share a gain
        power[:, 1 : side - half] *= 2
        power = power[: half + 1].ravel()
        total = np.bincount(quarter.ring, power)[1:]
        if (total <= 0).any():
            raise ValueError("images: one has no power in a ring of frequencies, so that nothing can be amplified")
        missing = np.log(wanted[1:] * quarter.count / total)
        if (worst := np.abs(missing).max()) < tolerance:
            break
        log = missing / 2
        if step >= GENTLE:  # Newton's step; a long one means that two rings can hardly be told apart
            log = solve_banded((1, 1), _response(quarter, power, total), log).clip(-worst, worst)
        gain = np.exp(log[quarter.low] + quarter.share * np.diff(log, append=log[-1])[quarter.low])
        gain[0, 0] = 1
        transform[: half + 1] *= gain
        transform[half + 1 :] *= gain[side - half - 1 : 0 : -1]
        image = scipy.fft.irfft2(transform, s=image.shape, overwrite_x=True).clip(0, 1)
    return image


def _response(quarter, power, total):
    """Return the derivative of each ring's log power by the log gains of the rings, as bands of `solve_banded`."""
    inner, outer = (np.bincount(quarter.ring, power * part)[1:] / total for part in (quarter.inner, quarter.outer))
    return np.stack([np.roll(outer, 1), 1 - inner - outer, np.roll(inner, -1)])


@functools.cache
def _quarter(size):
    """Return what does not change in the quarter of frequencies >= 0 of an image: arrays over it, (size // 2 + 1,) * 2.

    ring: of each frequency, flat; count: frequencies of the whole plane in the rings 1, 2, ...; low, share: the log
    gain at a frequency is (1 - share) times that of ring low + 1, plus share times that of the next one; inner, outer:
    its part that comes from the ring inside its own, and from the one outside, flat.
    """
    axis, whole = np.arange(size // 2 + 1), rings(size)
    ring = whole[: len(axis), : len(axis)]
    place = np.clip(np.hypot(axis[:, None], axis) - 1.5, 0, ring.max() - 1)
    low = place.astype(int)
    share = place - low
    inner, outer = np.where(low < ring - 1, 1 - share, 0), np.where(low == ring - 1, share, 0)
    count = np.bincount(whole.ravel())[1:]
    return SimpleNamespace(ring=ring.ravel(), count=count, low=low, share=share, inner=inner.ravel(),
                           outer=outer.ravel())  # fmt: skip
