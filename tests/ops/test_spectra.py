import cv2
import numpy as np
import pytest
import scipy.fft
import torch
from sklearn.datasets import load_sample_image

from lib.data.image import resize
from lib.ops import spectra
from lib.training import checkpoints


@pytest.fixture(scope="module")
def photograph():
    """uint8 RGB (64, 64, 3) of a real scene: its spectrum falls as those of faces do."""
    return resize(load_sample_image("china.jpg"), 64)


@pytest.fixture(scope="module")
def rgb(photograph):
    return torch.from_numpy(photograph).permute(2, 0, 1)[None].double() / 255


def azimuthal_by_sorting(grey, half_a_bin_off):
    """A second implementation of the 1D spectrum: shift, sort the bins by whole radius, take means."""
    size = len(grey)
    transform = np.fft.fftshift(scipy.fft.fft2(grey.astype(float)))
    log = 20 * np.log(np.abs(transform + 1e-8))
    centre = (size - 1) / 2 if half_a_bin_off else size // 2
    radius = [int(((y - centre) ** 2 + (x - centre) ** 2) ** 0.5) for y in range(size) for x in range(size)]
    values = [[] for _ in range(max(radius) + 1)]
    for r, value in zip(radius, log.ravel(), strict=True):
        values[r].append(value)
    means = np.array([np.mean(ring) for ring in values])
    return means[1:-1] if half_a_bin_off else means


@pytest.mark.parametrize(("size", "grid", "dc"), [(1024, 722, 725), (512, 360, 363), (256, 179, 182), (128, 88, 91),
                                                  (64, 43, 46)])  # fmt: skip
def test_the_1d_spectrum_has_the_published_length(size, grid, dc):
    assert len(spectra.azimuthal_profile(np.zeros((size, size)))) == grid
    assert len(spectra.azimuthal_profile(np.zeros((size, size)), "dc")) == dc


@pytest.mark.parametrize("centre", ["grid", "dc"])
def test_the_1d_spectrum_agrees_with_a_second_implementation(photograph, centre):
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)
    expected = azimuthal_by_sorting(grey, centre == "grid")
    np.testing.assert_allclose(spectra.azimuthal_profile(grey, centre), expected, atol=1e-4)
    ours = spectra.azimuthal_profile_torch(torch.from_numpy(grey).double()[None], centre)[0]
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize(("source", "first", "last"), [("CelebA-HQ", 315.20, 100.16), ("ProGAN", 320.45, 109.89),
                                                       ("StyleGAN", 322.87, 107.93)])  # fmt: skip
def test_the_1d_spectrum_of_the_released_images_is_the_one_that_was_measured(outside, source, first, last):
    grey = cv2.imread(str(outside("celebahq_1024") / source / f"{source}_00000000.png"), cv2.IMREAD_GRAYSCALE)
    profile = spectra.azimuthal_profile(grey)
    assert (round(profile[0], 2), round(profile[-1], 2)) == (first, last)


def test_gradients_flow_through_the_1d_spectrum():
    grey = torch.rand(2, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: spectra.azimuthal_profile_torch(x, "dc"), grey)


def test_the_profile_of_a_constant_image_is_finite_and_so_is_its_gradient():
    grey = torch.full((1, 16, 16), 0.5, requires_grad=True)
    profile = spectra.azimuthal_profile_torch(grey, "dc")
    profile.sum().backward()
    assert profile.isfinite().all() and grey.grad.isfinite().all()
    assert profile[0, 0] - profile[0, 1:].max() > 200


def test_ring_means_equal_those_of_one_mask_a_ring():
    values, rings = np.random.default_rng(0).random((2, 64, 64)), spectra.rings(64)
    masks = np.stack([rings == r for r in range(rings.max() + 1)])
    expected = (values[:, None] * masks).sum((-2, -1)) / masks.sum((-2, -1))
    np.testing.assert_allclose(spectra.ring_mean(values), expected, atol=1e-12)


def test_an_image_that_is_not_square_is_named():
    with pytest.raises(ValueError, match="8 x 9 pixels are not square"):
        spectra.azimuthal_profile(np.zeros((8, 9)))
    with pytest.raises(ValueError, match="centre: 'middle'"):
        spectra.rings(8, "middle")


def test_the_fft_detector_sees_exactly_minus_one_to_one_with_a_twentieth_at_each_end(rgb):
    features = spectra.fft_features(rgb)
    assert features.shape == rgb.shape
    assert features.amin((2, 3)).eq(-1).all() and features.amax((2, 3)).eq(1).all()
    for end in (-1, 1):
        assert (features == end).double().mean().item() == pytest.approx(0.05, abs=0.002)


def test_brightness_and_contrast_do_not_change_what_the_fft_detector_sees(rgb):
    features, darker = spectra.fft_features(rgb), spectra.fft_features(0.5 * rgb + 0.1)
    features[..., 0, 0] = darker[..., 0, 0] = 0
    assert (features - darker).abs().mean() < 0.01


def test_the_log_dct_agrees_with_scipy(rgb):
    expected = np.log(np.abs(scipy.fft.dctn(255 * rgb.numpy(), axes=(-2, -1), norm="ortho")) + 1e-12)
    np.testing.assert_allclose(spectra.log_dct(rgb), expected, atol=1e-4)


def test_the_dct_keeps_energy_and_is_the_one_that_scipy_computes(rgb):
    torch.testing.assert_close(spectra.dct2(rgb).square().sum(), rgb.square().sum())
    for images in (rgb, torch.rand(6, 10, dtype=torch.float64)):
        expected = scipy.fft.dctn(images.numpy(), axes=(-2, -1), norm="ortho")
        np.testing.assert_allclose(spectra.dct2(images), expected, atol=1e-12)


def test_a_constant_image_has_a_single_dct_coefficient():
    coefficients = spectra.dct2(torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64))
    assert coefficients[..., 0, 0].allclose(torch.tensor(8.0, dtype=torch.float64))
    coefficients[..., 0, 0] = 0
    assert coefficients.abs().max() < 1e-12


def test_log_dct_features_of_the_training_images_have_mean_0_and_deviation_1_and_are_saved(tmp_path):
    images = torch.rand(40, 3, 8, 8)
    module = spectra.LogDct(8).fit(images.split(16))
    features = module(images)
    assert features.mean(0).abs().max() < 1e-4
    assert (features.std(0, unbiased=False) - 1).abs().max() < 1e-3
    checkpoints.save(module, tmp_path / "log_dct.safetensors", {})
    restored = spectra.LogDct(8)
    restored.load_state_dict(checkpoints.load(tmp_path / "log_dct.safetensors")[0])
    assert torch.equal(restored(images), features)


def test_the_gap_between_spectra_is_in_decibel():
    spectrum = np.ones(10)
    assert spectra.gap(spectrum, spectrum) == 0
    assert spectra.gap(spectrum, 10 * spectrum) == pytest.approx(10)
