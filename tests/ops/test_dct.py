import numpy as np
import pytest
import scipy.fft
import torch
from numpy.lib.stride_tricks import sliding_window_view

from lib import ops
from lib.ops.dct import compose, dct_basis, dct_filters

OFFSET = 128 / 255


def by_scipy(rgb, stride=2, padding=3):
    """A second implementation, in NumPy and SciPy only: (3, H, W) -> (192, h, w)."""
    r, g, b = np.pad(rgb, ((0, 0), (padding, padding), (padding, padding)), mode="reflect")
    y = 0.299 * r + 0.587 * g + 0.114 * b
    ycbcr = np.stack([y, (b - y) / 1.772 + OFFSET, (r - y) / 1.402 + OFFSET])
    windows = sliding_window_view(ycbcr, (8, 8), axis=(1, 2))[:, ::stride, ::stride]
    spectra = scipy.fft.dctn(windows, axes=(-2, -1), norm="ortho")
    return spectra.transpose(0, 3, 4, 1, 2).reshape(192, *windows.shape[1:3])


def grey(patch):
    """One grey 8x8 patch as an image whose only window it is."""
    return torch.as_tensor(patch, dtype=torch.float64).expand(1, 3, 8, 8)


def luma(patch):
    return ops.sliding_dct(grey(patch), padding=0)[0, :64, 0, 0].reshape(8, 8)


@pytest.mark.parametrize("size", [(32, 32), (18, 27), (9, 8)])
@pytest.mark.parametrize(("stride", "padding"), [(2, 3), (1, 0), (3, 4)])
def test_the_dct_is_the_one_that_scipy_computes(size, stride, padding):
    rgb = torch.rand(2, 3, *size, dtype=torch.float64)
    expected = np.stack([by_scipy(image.numpy(), stride, padding) for image in rgb])
    # Rounded constants of the JPEG standard: 0.168736 stands for 0.299 / 1.772.
    np.testing.assert_allclose(ops.sliding_dct(rgb, stride, padding), expected, atol=2e-5)


@pytest.mark.parametrize(("value", "dc"), [(0.5, 4.0), (128.0, 1024.0)])
def test_a_constant_patch_has_only_a_mean(value, dc):
    spectrum = luma(torch.full((8, 8), value))
    assert spectrum[0, 0].item() == pytest.approx(dc)
    spectrum[0, 0] = 0
    assert spectrum.abs().max() < 1e-10 * dc


def test_the_ramp_has_the_known_coefficients_and_rows_come_before_columns():
    spectrum = luma(torch.arange(64.0).reshape(8, 8))
    assert spectrum[0, 0].item() == pytest.approx(252)
    assert spectrum[0, 1].item() == pytest.approx(-18.2216, abs=1e-4)
    assert spectrum[1, 0].item() == pytest.approx(-145.7731, abs=1e-4)
    assert (spectrum**2).sum().item() == pytest.approx(85344)


def test_pure_red_has_the_ycbcr_of_jpeg():
    red = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    red[:, 0] = 1
    means = ops.sliding_dct(red, padding=0)[0, ::64, 0, 0] / 8 * 255
    np.testing.assert_allclose(means, [76.245, 84.97232, 255.5], atol=1e-6)


@pytest.mark.parametrize(("size", "side"), [(320, 160), (224, 112)])
def test_the_frequency_map_meets_the_rgb_stream_at_half_the_image_size(size, side):
    rgb = torch.rand(1, 3, size, size)
    assert ops.frequency_stem(rgb, torch.randn(64, 192)).shape == (1, 64, side, side)
    assert ops.sliding_dct(rgb).shape == (1, 192, side, side)


def test_no_energy_is_lost_and_the_patterns_rebuild_the_patch():
    basis = dct_basis().flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(64, dtype=torch.float64))
    patch = torch.randn(8, 8, dtype=torch.float64)
    spectrum = luma(patch)
    torch.testing.assert_close((spectrum**2).sum(), (patch**2).sum())
    torch.testing.assert_close(torch.einsum("f,fyx->yx", spectrum.flatten(), dct_basis()), patch)


def test_the_dct_is_linear_up_to_the_chroma_offset():
    a, b, black = *torch.rand(2, 1, 3, 16, 16, dtype=torch.float64), torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    mixed = 0.3 * ops.sliding_dct(a) + 0.7 * ops.sliding_dct(b)
    torch.testing.assert_close(ops.sliding_dct(0.3 * a + 0.7 * b), mixed)
    assert torch.equal(ops.sliding_dct(black).flatten(2).std(-1), torch.zeros(1, 192, dtype=torch.float64))


def test_an_image_moved_by_the_stride_gives_the_map_moved_by_one():
    rgb = torch.rand(1, 3, 40, 40)
    whole, moved = ops.sliding_dct(rgb, padding=0), ops.sliding_dct(rgb[..., 2:, 2:], padding=0)
    torch.testing.assert_close(whole[..., 1:, 1:], moved)


@pytest.mark.parametrize("shape", [(5, 192), (5, 192, 1, 1)])
def test_the_single_convolution_equals_dct_then_mixing(shape):
    rgb, bias = torch.rand(2, 3, 20, 24, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    rgb, weight, bias = (x.requires_grad_() for x in (rgb, torch.randn(shape, dtype=torch.float64), bias))
    ours, reference = ops.frequency_stem(rgb, weight, bias), ops.frequency_stem_ref(rgb, weight, bias)
    torch.testing.assert_close(ours, reference)
    pull = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad(y, (rgb, weight, bias), pull) for y in (ours, reference)), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(ops.frequency_stem(rgb, weight), ops.frequency_stem_ref(rgb, weight))


def test_gradients_of_the_stem_pass_gradcheck():
    rgb, weight = torch.rand(1, 3, 9, 8, dtype=torch.float64), torch.randn(2, 192, dtype=torch.float64)
    bias = torch.randn(2, dtype=torch.float64)
    torch.autograd.gradcheck(ops.frequency_stem, [x.requires_grad_() for x in (rgb, weight, bias)])


def test_training_works_after_a_first_call_under_inference_mode():
    dct_filters.cache_clear()
    with torch.inference_mode():
        ops.sliding_dct(torch.rand(1, 3, 8, 8))
    weight = torch.randn(2, 192, requires_grad=True)
    ops.frequency_stem(torch.rand(1, 3, 8, 8), weight).sum().backward()
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.rand(3, 16, 16),), r"rgb: needs shape \(N, 3, H, W\), has \(3, 16, 16\)"),
        ((torch.rand(1, 1, 16, 16),), "rgb: needs shape"),
        ((torch.zeros(1, 3, 16, 16, dtype=torch.uint8),), "rgb: needs float values .* divide uint8 by 255"),
        ((torch.rand(1, 3, 16, 16), 0), "stride: needs at least 1"),
        ((torch.rand(1, 3, 4, 4), 2, 1), "padding: 1 does not fit an image of 4 x 4 pixels"),
        ((torch.rand(1, 3, 16, 16), 2, 16), "padding: 16 does not fit"),
    ],
)
def test_a_wrong_input_gets_one_line_that_names_it(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        ops.sliding_dct(*arguments)
    assert "\n" not in str(error.value)


def test_wrong_weights_get_one_line_that_names_them():
    with pytest.raises(ValueError, match=r"weight: needs shape \(O, 192\)"):
        compose(torch.rand(64, 64))
    with pytest.raises(ValueError, match=r"bias: needs shape \(4,\)"):
        ops.frequency_stem(torch.rand(1, 3, 8, 8), torch.rand(4, 192), torch.rand(3))
