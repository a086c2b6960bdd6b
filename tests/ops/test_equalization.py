import numpy as np
import pytest
import scipy.fft
from sklearn.datasets import load_sample_image

from lib.data.image import resize
from lib.ops import equalization, spectra


@pytest.fixture(scope="module")
def photograph():
    """uint8 RGB (64, 64, 3) of a real scene: its spectrum falls as those of faces do."""
    return resize(load_sample_image("china.jpg"), 64)


def faces_and_fakes(size=32, count=6):
    """Two sets of random images (count, 3, size, size) in [0, 1] whose power falls differently with frequency."""
    random = np.random.default_rng(0)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size))) + 1 / size
    sets = []
    for slope in (1.5, 0.8):
        images = np.fft.ifft2(np.fft.fft2(random.standard_normal((count, 3, size, size))) / radius**slope).real
        sets.append((0.5 + 0.12 * images / images.std((-2, -1), keepdims=True)).clip(0, 1))
    return sets


def test_equalization_closes_the_gap_to_the_real_spectrum_before_rounding_and_again_changes_nothing():
    reals, fakes = faces_and_fakes()
    spectrum = spectra.mean_spectrum(reals)
    before = spectra.gap(spectrum, spectra.mean_spectrum(fakes))
    equalized = np.stack([equalization.equalize(fake, spectrum) for fake in fakes])
    assert before > 3
    assert spectra.gap(spectrum, spectra.mean_spectrum(equalized)) < 1e-3
    assert max(spectra.gap(spectrum, spectra.mean_spectrum([image])) for image in equalized) < 1e-3
    assert equalized.min() >= 0 and equalized.max() <= 1
    again = np.stack([equalization.equalize(image, spectrum) for image in equalized])
    assert np.array_equal(again, equalized)


def test_equalization_keeps_phases_and_brightness():
    reals, fakes = faces_and_fakes()
    one = fakes[0, 0]
    equalized = equalization.equalize(one, spectra.mean_spectrum(reals)[0])
    before, after = np.fft.fft2(one), np.fft.fft2(equalized)
    assert np.abs(np.angle(after * before.conj()))[np.abs(before) > 1].mean() < 0.1
    assert equalized.mean() == pytest.approx(one.mean(), abs=0.01)


def test_an_equalized_photograph_is_an_image_closer_to_the_spectrum(photograph):
    reals, _ = faces_and_fakes(size=64)
    spectrum = spectra.mean_spectrum(reals)
    equalized = equalization.equalize_image(photograph, spectrum)
    assert equalized.dtype == np.uint8 and equalized.shape == photograph.shape
    gaps = [spectra.gap(spectrum, spectra.mean_spectrum([x.transpose(2, 0, 1) / 255])) for x in (photograph, equalized)]
    assert gaps[1] < 0.2 * gaps[0]


def by_small_steps(image, spectrum):
    """A second implementation of one channel: each step gives each ring its own gain, however long that takes."""
    size, wanted = len(image), spectrum[1:]
    axis = np.fft.fftfreq(size, 1 / size)
    place = np.clip(np.hypot(axis[:, None], axis) - 1.5, 0, len(wanted) - 1)
    missing = np.inf
    while np.abs(missing).max() >= 1e-4:
        transform = np.fft.fft2(image)
        missing = np.log(wanted / spectra.ring_mean(np.abs(transform) ** 2)[1:])
        gain = np.exp(np.interp(place, np.arange(len(wanted)), missing / 2))
        gain[0, 0] = 1
        image = np.fft.ifft2(transform * gain).real.clip(0, 1)
    return image


@pytest.mark.parametrize("size", [32, 33])
def test_the_picture_is_that_of_a_second_implementation_though_a_third_of_it_is_clipped(size):
    reals, fakes = faces_and_fakes(size)
    spectrum, fake = spectra.mean_spectrum(reals)[0], (2 * fakes[1, 0] - 0.1).clip(0, 1)
    assert np.isin(fake, (0, 1)).mean() > 0.3
    equalized, expected = equalization.equalize(fake, spectrum), by_small_steps(fake, spectrum)
    assert np.abs(np.log(spectra.mean_spectrum([equalized])[1:] / spectrum[1:])).max() < 1e-4
    off = np.abs(np.rint(255 * equalized) - np.rint(255 * expected))
    assert off.max() <= 1 and off.mean() < 0.01


def test_a_picture_is_right_after_a_few_steps_so_that_one_of_1024_px_takes_seconds(photograph, monkeypatch):
    reals, _ = faces_and_fakes(size=64)
    spectrum, steps, whole = spectra.mean_spectrum(reals)[0], [], scipy.fft.rfft2
    monkeypatch.setattr(scipy.fft, "rfft2", lambda image: steps.append(0) or whole(image))
    for channel in np.moveaxis(photograph, -1, 0) / 255:
        equalized = equalization.equalize(channel, spectrum)
        assert np.abs(np.log(spectra.mean_spectrum([equalized])[1:] / spectrum[1:])).max() < 1e-4
    assert len(steps) <= 3 * 15


def test_a_channel_does_not_depend_on_those_beside_it():
    reals, fakes = faces_and_fakes()
    spectrum = spectra.mean_spectrum(reals)
    together = equalization.equalize(fakes[0], spectrum)
    assert all(np.array_equal(together[c], equalization.equalize(fakes[0, c], spectrum[c])) for c in range(3))


def test_an_empty_image_cannot_be_equalized_and_is_named():
    with pytest.raises(ValueError, match="no power in a ring"):
        equalization.equalize(np.zeros((8, 8)), np.ones(6))
    with pytest.raises(ValueError, match="8 x 9 pixels are not square"):
        equalization.equalize(np.zeros((8, 9)), np.ones(6))
