"""Images by frequency: azimuthal spectra, and what FFT and DCT detectors look at.

There are two conventions for the rings of a spectrum. "grid": the centre lies between the four middle bins, half a bin
off frequency 0, and the first and last ring are left out (Durall et al., 2019). "dc": the centre is frequency 0 and
every ring counts (Jung and Keuper, 2021); whatever is shown, compared or equalized here uses "dc".
"""

import functools

import numpy as np
import torch
from torch import nn

from lib.ops.dct import dct_matrix
from lib.ops.precision import float32

EPSILON = 1e-8


@functools.cache
def rings(size, centre="dc"):
    """Return the ring of each bin of an unshifted FFT, int64 (size, size); ValueError for another `centre`."""
    if centre not in ("dc", "grid"):
        raise ValueError(f"centre: {centre!r} is not one of dc, grid")
    axis = np.fft.fftfreq(size, 1 / size)
    if centre == "grid":
        axis = axis + size // 2 - (size - 1) / 2
    rings = np.hypot(axis[:, None], axis).astype(np.int64)
    rings.flags.writeable = False  # one array serves all callers
    return rings


def ring_mean(values, centre="dc"):
    """Return the mean of values (..., S, S), in the order of an unshifted FFT, over each ring: float64 (..., rings).

    Raises ValueError for values that are not square or an unknown centre.
    """
    values = np.asarray(values)
    index = rings(_side(values), centre).ravel()
    rows = values.reshape(-1, index.size)
    means = np.stack([np.bincount(index, row) for row in rows]) / np.bincount(index)
    return (means[:, 1:-1] if centre == "grid" else means).reshape(*values.shape[:-2], -1)


def azimuthal_profile(grey, centre="grid"):
    """Return the 1D spectrum of an image: the ring means of 20 ln(|FFT| + 1e-8), float64 (..., rings).

    grey: (..., S, S) in 0 .. 255; 1024 px make 722 rings of the "grid", 725 around "dc".
    Raises ValueError for an image that is not square. Source: Durall et al., "Unmasking DeepFakes with simple Features"
    (2019), with the natural logarithm of the released code.
    """
    return ring_mean(20 * np.log(np.abs(np.fft.fft2(grey)) + EPSILON), centre)


@float32
def azimuthal_profile_torch(grey, centre="grid"):
    """Return `azimuthal_profile` of a float tensor, differentiable: (N, S, S) -> (N, rings).

    It takes 10 ln(|FFT|^2 + 1e-16), because |FFT| has no gradient at 0; both differ only if |FFT| is about 1e-8.
    """
    index = torch.tensor(rings(_side(grey), centre).ravel(), device=grey.device)
    spectrum = torch.view_as_real(torch.fft.fft2(grey)).square().sum(-1)
    log = 10 * (spectrum + EPSILON**2).log()
    count = torch.bincount(index)
    means = log.new_zeros(len(log), len(count)).index_add(1, index, log.flatten(1)) / count
    return means[:, 1:-1] if centre == "grid" else means


def mean_spectrum(images):
    """Return the mean azimuthal power spectrum of images, an iterable of floats (..., S, S): float64 (..., rings)."""
    total, count = 0.0, 0
    for image in images:
        total, count = total + _power(np.fft.fft2(image)), count + 1
    return ring_mean(total / count)


def gap(real, fake):
    """Return the mean absolute distance of two power spectra (..., rings) in decibel, without ring 0 (brightness)."""
    return float(np.abs(10 * np.log10(np.asarray(fake)[..., 1:] / np.asarray(real)[..., 1:])).mean())


@float32
def fft_features(rgb):
    """Return what the FFT-2d detector sees: ln(|FFT| + 1e-3) of each channel, in [-1, 1].

    rgb: (N, 3, H, W) in [0, 1]. Returns the same shape, frequency 0 in the corner. The 5th and 95th percentile of each
    image and channel become -1 and 1, and what lies outside is clipped.
    Source: Zhang et al., "Detecting and Simulating Artifacts in GAN Fake Images" (2019), as released.
    """
    log = (torch.fft.fft2(rgb).abs() + 1e-3).log()
    at = log.new_tensor([0.05, 0.95])
    low, high = torch.stack([torch.quantile(image.flatten(1), at, dim=1) for image in log], 1)[..., None, None]
    return (2 * (log - low) / (high - low).clamp_min(EPSILON) - 1).clamp(-1, 1)


@float32
def dct2(images):
    """Return the orthonormal DCT-II of whole images (..., H, W): one coefficient a frequency, (0, 0) first."""
    rows, columns = (_dct_matrix(side, images.dtype, images.device) for side in images.shape[-2:])
    return rows @ images @ columns.T


@float32
def log_dct(rgb):
    """Return ln(|DCT| + 1e-12) of rgb (N, 3, H, W) in [0, 1], taken at 0 .. 255: the same shape.

    Source: Frank et al., "Leveraging Frequency Analysis for Deep Fake Image Recognition" (ICML 2020), as released.
    """
    return (dct2(255 * rgb).abs() + 1e-12).log()


class LogDct(nn.Module):
    """What the DCT-2d detector sees: `log_dct`, each coefficient standardised over the training images.

    rgb (N, 3, size, size) in [0, 1] -> the same shape. Images must be neither mirrored nor cropped.
    """

    def __init__(self, size):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, size, size))
        self.register_buffer("deviation", torch.ones(3, size, size))

    @torch.no_grad()
    def fit(self, batches):
        """Set mean and standard deviation from all images of an iterable of rgb (N, 3, size, size); returns itself."""
        count, total, squares = 0, 0.0, 0.0
        for rgb in batches:
            log = log_dct(rgb.to(self.mean)).double()
            count, total, squares = count + len(log), total + log.sum(0), squares + log.square().sum(0)
        self.mean.copy_(total / count)
        self.deviation.copy_((squares / count - (total / count) ** 2).clamp_min(EPSILON).sqrt())
        return self

    def forward(self, rgb):
        return (log_dct(rgb) - self.mean) / self.deviation


def _side(values):
    if values.shape[-1] != values.shape[-2]:
        raise ValueError(f"image: {values.shape[-2]} x {values.shape[-1]} pixels are not square; crop or resize")
    return values.shape[-1]


def _power(transform):
    return transform.real**2 + transform.imag**2


# Made outside of inference mode, because a constant first made under it could not be used in training later.
_dct_matrix = functools.cache(torch.inference_mode(False)(dct_matrix))
