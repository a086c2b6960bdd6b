"""PRNU: every source of images, camera or generator, leaves its own fingerprint in their noise.

Marra et al., "Do GANs leave artificial fingerprints?" (2019), with the noise extraction of camera forensics: Mihcak's
wavelet denoising and the clean-up of the Binghamton toolbox (Goljan, Fridrich, Chen).
"""

import itertools

import numpy as np
import pywt
import torch
from scipy.ndimage import uniform_filter

from lib.detectors import Detector, register

GREY = (0.29893602, 0.58704307, 0.11402090)
WINDOWS = (3, 5, 7, 9)
SATURATED = 250


def pixels(rgb):
    """Return rgb (N, 3, H, W) in [0, 1] as images, uint8 (N, H, W, 3)."""
    return (255 * rgb).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def noise_residual(image, levels=4, sigma=5.0):
    """Return what wavelet denoising takes out of an image (H, W, C) of grey levels 0 .. 255, float64 (H, W, C).

    levels: of the db4 decomposition, fewer where the image is too small; sigma: of the noise, in grey levels.
    """
    levels = min(levels, pywt.dwt_max_level(min(image.shape[:2]), "db4"))
    channels = image[..., :1] if (image == image[..., :1]).all() else image  # a grey image costs a third
    smooth, *details = pywt.wavedec2(channels.astype(float), "db4", level=levels, axes=(0, 1))
    details = [tuple(_noise_part(band, sigma**2) for band in level) for level in details]
    residual = pywt.waverec2([np.zeros_like(smooth), *details], "db4", axes=(0, 1))
    return np.broadcast_to(residual[: image.shape[0], : image.shape[1]], image.shape)


def residual(image, levels=4, sigma=5.0):
    """Return the cleaned grey noise (H, W) of an image (H, W, 3) of grey levels 0 .. 255; zeros for a constant one."""
    return _clean(noise_residual(image, levels, sigma) @ GREY)


def fingerprint(images, levels=4, sigma=5.0):
    """Return the fingerprint (H, W) of a source: the maximum-likelihood mean of the noise of uint8 (N, H, W, 3)."""
    total, weight = 0.0, 0.0
    for image in images:
        total = total + noise_residual(image, levels, sigma) * (image / 255)
        # Bright pixels carry more of it, saturated ones none.
        weight = weight + (_intensity(image) * _unsaturated(image)) ** 2
    return _clean(total / (weight + 1) @ GREY)


def correlation(a, b):
    """Return the normalised correlation in [-1, 1] of each of a (N, H, W) with each of b (M, H, W): (N, M)."""
    a, b = (np.reshape(x, (len(x), -1)) for x in (a, b))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    return a @ b.T


class Prnu(Detector):
    """One fingerprint a source; an image is fake if it is more like a generator than like the photographs.

    size: side of the images in pixels; sources: names, the first the photographs'.
    """

    def __init__(self, size, sources=("real", "fake"), levels=4, sigma=5.0):
        super().__init__()
        self.size, self.sources, self.levels, self.sigma = size, list(sources), levels, sigma
        self.register_buffer("fingerprints", torch.zeros(len(sources), size, size))

    def learn(self, learn_items, learn_table, check_items, check_table, levels=(1, 2, 3, 4), sigmas=(0.5, 0.8, 5.0)):
        """Take the fingerprints of all sources in a table, with the best levels and sigma: returns these options.

        Best: they tell the images to check apart, as Frank et al. (2020) chose; of equally good ones the first.
        """
        sources = learn_table.sort_values("label", kind="stable")["method"].unique().tolist()
        source, fakes = learn_table["method"].map(sources.index), check_table["label"].to_numpy() > 0
        images = pixels(torch.stack([learn_items[i]["rgb"] for i in range(len(learn_items))]))
        checked = torch.stack([check_items[i]["rgb"] for i in range(len(check_items))])
        best_accuracy = -1.0
        for level, sigma in itertools.product(levels, sigmas):
            model = Prnu(self.size, sources, level, sigma).fit(images, source)
            accuracy = ((model.fake_probability({"rgb": checked}) > 0.5).numpy() == fakes).mean()
            if accuracy > best_accuracy:
                best, best_accuracy = model, accuracy
        self.sources, self.levels, self.sigma, self.fingerprints = sources, best.levels, best.sigma, best.fingerprints
        return {"sources": sources, "levels": best.levels, "sigma": best.sigma}

    def fit(self, images, source):
        """Take the fingerprints of images, uint8 (N, H, W, 3), of the sources (N,) with these indices; returns itself.

        Raises ValueError where a source has no image.
        """
        for index, name in enumerate(self.sources):
            chosen = np.flatnonzero(np.asarray(source) == index)
            if not len(chosen):
                raise ValueError(f"source: no image of {name}; each source needs some for its fingerprint")
            self.fingerprints[index] = torch.from_numpy(fingerprint(images[chosen], self.levels, self.sigma))
        return self

    def correlations(self, rgb):
        """Return the normalised correlation (N, sources) of rgb (N, 3, H, W) in [0, 1] with each fingerprint."""
        residuals = np.stack([residual(image, self.levels, self.sigma) for image in pixels(rgb)])
        return torch.from_numpy(correlation(residuals, self.fingerprints.cpu().numpy()))

    def fake_probability(self, batch):
        """Return a score (N,) in [0, 1], above 0.5 where a generator's fingerprint correlates most; no probability."""
        found = self.correlations(batch["rgb"])
        return 0.5 + (found[:, 1:].amax(1) - found[:, 0]) / 4


@register("PRNU", "bts", Prnu, flip=False)
def options(size):
    return {"size": size}


def _noise_part(x, variance):
    """Wiener filter: keep the noise of x; the least local variance of several windows is that of the image."""
    energies = [uniform_filter(x**2, (size, size, *(1,) * (x.ndim - 2)), mode="constant") for size in WINDOWS]
    image = np.maximum(np.min(energies, axis=0) - variance, 0)
    whole = image + variance
    return x * np.divide(variance, whole, out=np.zeros_like(whole), where=whole > 0)


def _clean(grey):
    """Remove what a sensor's colour filter leaves (row and column means of each 2x2 phase) and compression's peaks."""
    grey = grey.copy()
    for phase in (grey[y::2, x::2] for y in range(2) for x in range(2)):  # views: the means are taken out of `grey`
        phase -= phase.mean()
        phase -= phase.mean(1, keepdims=True) + phase.mean(0, keepdims=True)
    spectrum = np.fft.fft2(grey)
    magnitude = np.abs(spectrum) / np.sqrt(grey.size)
    flat = _noise_part(magnitude, grey.var(ddof=1))
    gain = np.divide(flat, magnitude, out=np.zeros_like(flat), where=magnitude > 0)
    return np.fft.ifft2(spectrum * gain).real


def _intensity(image):
    image = image.astype(float)
    return np.where(image < 252, image / 252, np.exp(-((image - 252) ** 2) / 6))


def _unsaturated(image):
    """Return False where a channel is at its greatest value, above 250, and a neighbour has the same: (H, W, C)."""
    equal = [image == np.roll(image, shift, axis) for axis in (0, 1) for shift in (1, -1)]
    greatest = image.max((0, 1))
    return ~(np.any(equal, 0) & (image == greatest) & (greatest > SATURATED))
