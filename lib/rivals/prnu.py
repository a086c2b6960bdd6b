"""PRNU: every source of images, be it a camera or a generator, leaves its own fingerprint in their noise.

Marra et al., "Do GANs leave artificial fingerprints?" (2019), with the noise extraction of camera forensics: Mihcak's
wavelet denoising and the clean-up of the Binghamton toolbox (Goljan, Fridrich, Chen).
"""

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor

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


def spread(work, images):
    """Yield work(image) of each image of a sequence, in order, by as many threads as PyTorch has.

    Each thread reads its own images, one at a time, so that few are in memory. Threads are enough here, because NumPy,
    SciPy and PyWavelets let other threads run while they work on a large array. The results do not depend on the number
    of threads.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(images), threads):
            yield from pool.map(lambda index: work(images[index]), range(start, min(start + threads, len(images))))


class Images:
    """Some images of a data set, rows of its items {"rgb", ...}, as a sequence of uint8 (H, W, 3) that keeps none."""

    def __init__(self, items, rows):
        self.items, self.rows = items, rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return pixels(self.items[int(self.rows[index])]["rgb"][None])[0]


def sample(table, count):
    """Return the rows of up to `count` images of each method of a table (0: all), always the same ones, in order."""
    shuffled = table.reset_index(drop=True).sample(frac=1, random_state=0)
    return np.sort((shuffled.groupby("method").head(count) if count else shuffled).index)


def noise_residuals(image, settings):
    """Yield (setting, what wavelet denoising takes out of an image (H, W, C) of grey levels), float64 (H, W, C).

    settings: pairs (levels, sigma): levels of the db4 decomposition, fewer if the image is too small, and deviation of
    the noise in grey levels. All settings share the decomposition and the local energies of its bands, which take most
    of the time.
    """
    deepest = min(max(levels for levels, _ in settings), pywt.dwt_max_level(min(image.shape[:2]), "db4"))
    channels = image[..., :1] if (image == image[..., :1]).all() else image  # a grey image costs a third
    planes = np.ascontiguousarray(np.moveaxis(channels, -1, 0), float)  # on which wavelets are a third faster
    smooth, *details = pywt.wavedec2(planes, "db4", level=deepest)
    bands = [[(band, _least_energy(band)) for band in level] for level in details]  # the coarsest level first
    noise = {sigma: [tuple(_noise_part(*band, sigma**2) for band in level) for level in bands]
             for sigma in {sigma for _, sigma in settings}}  # fmt: skip
    for levels, sigma in settings:
        finest = noise[sigma][-levels:]
        nothing = np.zeros_like(finest[0][0] if finest else smooth)
        whole = pywt.waverec2([nothing, *finest], "db4")[:, : image.shape[0], : image.shape[1]]
        yield (levels, sigma), np.broadcast_to(np.ascontiguousarray(np.moveaxis(whole, 0, -1)), image.shape)


def residuals(image, settings):
    """Return {setting: cleaned grey noise (H, W)} of an image (H, W, 3) in 0 .. 255; a constant image gives zeros.

    settings: as in `noise_residuals`.
    """
    return {setting: _clean(noise @ GREY) for setting, noise in noise_residuals(image, settings)}


def residual(image, levels=4, sigma=5.0):
    """Return what `residuals` returns for one setting: (H, W)."""
    return residuals(image, [(levels, sigma)])[levels, sigma]


def fingerprints(images, sources, settings):
    """Return {setting: {source: its fingerprint (H, W)}}, the maximum-likelihood mean of the noise of its images.

    images: a sequence of uint8 (H, W, 3), read one after the other; sources: that of each image; settings: as in
    `noise_residuals`.
    """
    totals, weights = {}, {}
    for (terms, weight), source in zip(spread(lambda image: _terms(image, settings), images), sources, strict=True):
        for sums, key, term in ((weights, source, weight), *((totals, (s, source), terms[s]) for s in settings)):
            sums.setdefault(key, np.zeros_like(term))
            sums[key] += term
    return {s: {source: _clean(totals[s, source] / (weight + 1) @ GREY) for source, weight in weights.items()}
            for s in settings}  # fmt: skip


def correlation(a, b):
    """Return the normalised correlation in [-1, 1] of each of a (N, H, W) with each of b (M, H, W): (N, M)."""
    a, b = (np.reshape(x, (len(x), -1)) for x in (a, b))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    return a @ b.T


class Prnu(Detector):
    """One fingerprint a source; an image is fake if it is more like a generator than like the photographs.

    size: side of the images in pixels; sources: names, the first the photographs'; chosen_on: number of images of
    each source on which `learn` chooses levels and sigma, 0: all.
    """

    def __init__(self, size, sources=("real", "fake"), levels=4, sigma=5.0, chosen_on=0):
        super().__init__()
        self.size, self.sources, self.levels, self.sigma = size, list(sources), levels, sigma
        self.chosen_on = chosen_on
        self.register_buffer("fingerprints", torch.zeros(len(sources), size, size))

    def learn(self, learn_items, learn_table, check_items, check_table, levels=(1, 2, 3, 4), sigmas=(0.5, 0.8, 5.0)):
        """Take the fingerprints of all sources in a table, with the best levels and sigma; returns these options.

        The best ones judge most of the images to check rightly, as Frank et al. (2020) chose them; of equally good ones
        the first are taken.
        """
        self.sources = learn_table.sort_values("label", kind="stable")["method"].unique().tolist()
        settings, methods = list(itertools.product(levels, sigmas)), learn_table["method"].to_numpy()
        few, checked = (sample(table, self.chosen_on) for table in (learn_table, check_table))
        found = fingerprints(Images(learn_items, few), methods[few], settings)
        stacks = {setting: self._stack(found[setting]) for setting in settings}
        calls = spread(lambda image: _called_fake(image, stacks), Images(check_items, checked))
        fakes, right = check_table["label"].to_numpy()[checked] > 0, np.zeros(len(settings), int)
        for called, fake in zip(calls, fakes, strict=True):
            right += called == fake
        best = settings[right.argmax()]
        if len(few) < len(learn_table):
            found = fingerprints(Images(learn_items, range(len(learn_table))), methods, [best])
        self.levels, self.sigma = best
        self.fingerprints = torch.from_numpy(self._stack(found[best]))
        return {"sources": self.sources, "levels": self.levels, "sigma": self.sigma}

    def fit(self, images, source):
        """Take the fingerprints of images, uint8 (N, H, W, 3); source: (N,), positions in `sources`; returns itself.

        Raises ValueError if a source has no image.
        """
        own = self.levels, self.sigma
        found = fingerprints(images, [self.sources[index] for index in source], [own])
        self.fingerprints = torch.from_numpy(self._stack(found[own]))
        return self

    def _stack(self, found):
        for name in self.sources:
            if name not in found:
                raise ValueError(f"source: no image of {name}; each source needs some for its fingerprint")
        return np.float32([found[name] for name in self.sources])

    def correlations(self, rgb):
        """Return the normalised correlation (N, sources) of rgb (N, 3, H, W) in [0, 1] with each fingerprint."""
        found = list(spread(lambda image: residual(image, self.levels, self.sigma), pixels(rgb)))
        return torch.from_numpy(correlation(np.stack(found), self.fingerprints.cpu().numpy()))

    def fake_probability(self, batch):
        """Return a score (N,) in [0, 1], no probability: above 0.5 if a generator's fingerprint correlates most."""
        found = self.correlations(batch["rgb"])
        return 0.5 + (found[:, 1:].amax(1) - found[:, 0]) / 4


@register("PRNU", "bts", Prnu, flip=False)
def options(size, bts_detectors):
    return {"size": size, "chosen_on": bts_detectors.prnu_images}


def _terms(image, settings):
    """Return what an image adds to the sums of `fingerprints`: {setting: (H, W, 3)} and its weights (H, W, 3)."""
    share = image / 255
    terms = {setting: noise * share for setting, noise in noise_residuals(image, settings)}
    # Bright pixels carry more of the fingerprint, saturated ones none.
    return terms, (_INTENSITY[image] * _unsaturated(image)) ** 2


def _called_fake(image, stacks):
    """Return bool (settings,): whether an image correlates most with a generator; stacks: {setting: fingerprints}."""
    noise = residuals(image, list(stacks))
    found = [correlation(noise[setting][None], stack)[0] for setting, stack in stacks.items()]
    return np.array([max(generators) > photographs for photographs, *generators in found])


def _least_energy(x):
    """Return the least mean of x^2 over windows of several sizes: the local energy of image and noise together."""
    energy = x**2
    return functools.reduce(np.minimum, [uniform_filter(energy, s, mode="constant", axes=(-2, -1)) for s in WINDOWS])


def _noise_part(x, energy, variance):
    """Return the noise in x by a Wiener filter; energy: `_least_energy` of x; variance: of the noise."""
    image = np.maximum(energy - variance, 0)
    whole = image + variance
    return x * np.divide(variance, whole, out=np.zeros_like(whole), where=whole > 0)


def _clean(grey):
    """Remove what a sensor's colour filter leaves (row and column means of each 2x2 phase) and compression's peaks."""
    grey = grey.copy()
    for phase in (grey[y::2, x::2] for y in range(2) for x in range(2)):  # views, so `grey` itself is changed
        phase -= phase.mean()
        phase -= phase.mean(1, keepdims=True) + phase.mean(0, keepdims=True)
    spectrum = np.fft.fft2(grey)
    magnitude = np.abs(spectrum) / np.sqrt(grey.size)
    flat = _noise_part(magnitude, _least_energy(magnitude), grey.var(ddof=1))
    gain = np.divide(flat, magnitude, out=np.zeros_like(flat), where=magnitude > 0)
    return np.fft.ifft2(spectrum * gain).real


def _intensity(grey):
    return np.where(grey < 252, grey / 252, np.exp(-((grey - 252) ** 2) / 6))


_INTENSITY = _intensity(np.arange(256.0))


def _unsaturated(image):
    """Return bool (H, W, C), False where a channel has its greatest value, above 250, and so has a neighbour."""
    greatest = image.max((0, 1))
    equal = [image == np.roll(image, shift, axis) for axis in (0, 1) for shift in (1, -1)]
    return ~(np.any(equal, 0) & (image == greatest) & (greatest > SATURATED))
