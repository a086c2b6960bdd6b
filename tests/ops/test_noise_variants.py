"""The denoisers of PEL's Table 5 beside the median of size 3."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from lib import ops

VARIANTS = [(5, "median"), ((3, 5), "median"), ((3, 5, 7), "median"), (3, "mean"), (3, "non_local_means")]


@pytest.fixture
def x():
    return torch.randn(2, 4, 9, 8)


def weights(channels, kernel_size, **options):
    shape = (channels, len(kernel_size)) if isinstance(kernel_size, tuple) else (channels,)
    return torch.randn(shape, **options), torch.randn(channels, **options)


@pytest.mark.parametrize(("kernel_size", "denoiser"), VARIANTS)
def test_each_variant_is_the_grouped_convolution_of_its_sigmoids(x, kernel_size, denoiser):
    x.requires_grad_()
    weight, bias = weights(4, kernel_size, requires_grad=True)
    ours, twin = (op(x, weight, bias, kernel_size, denoiser) for op in (ops.noise_enhance, ops.noise_enhance_ref))
    torch.testing.assert_close(ours, twin)
    for a, b in zip(*(torch.autograd.grad(y.square().sum(), (x, weight, bias)) for y in (ours, twin)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kernel_size", "denoiser"), VARIANTS)
def test_gradients_pass_gradcheck(kernel_size, denoiser):
    x = torch.randperm(2 * 5 * 5).double().reshape(1, 2, 5, 5).requires_grad_()  # no ties: differentiable
    weight, bias = weights(2, kernel_size, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda *a: ops.noise_enhance(*a, kernel_size, denoiser), (x * 0.1, weight, bias))


def test_several_medians_add_one_weighted_gate_each(x):
    weight, bias = weights(4, (3, 5))
    parts = [ops.noise_enhance(x, w, torch.zeros(4), k) - x for k, w in zip((3, 5), weight.T, strict=True)]
    torch.testing.assert_close(ops.noise_enhance(x, weight, bias, (3, 5)), x + sum(parts) + bias[:, None, None])


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_the_mean_is_the_one_that_scipy_computes(x, kernel_size):
    expected = scipy.ndimage.uniform_filter(x.numpy(), size=(1, 1, kernel_size, kernel_size), mode="mirror")
    np.testing.assert_allclose(ops.mean_filter(x, kernel_size), expected, atol=1e-6)


@pytest.mark.parametrize("denoise", [ops.mean_filter, ops.non_local_means])
def test_a_constant_stays_and_has_a_finite_gradient(denoise):
    x = torch.full((1, 2, 8, 8), 3.0, requires_grad=True)
    out = denoise(x)
    torch.testing.assert_close(out, x)
    assert torch.autograd.grad(out.sum(), x)[0].isfinite().all()


def test_non_local_means_is_its_definition_at_one_pixel():
    x = torch.randn(1, 1, 11, 11, dtype=torch.float64)
    patches = x[0, 0].unfold(0, 3, 1).unfold(1, 3, 1)  # patch (i, j) is centred at (i + 1, j + 1)
    own, around = patches[4, 4], patches[1:8, 1:8]
    weight = (-(around - own).square().mean((2, 3)) / x.var(correction=0)).exp()
    expected = (weight * x[0, 0, 2:9, 2:9]).sum() / weight.sum()
    torch.testing.assert_close(ops.non_local_means(x)[0, 0, 5, 5], expected)


def test_non_local_means_keeps_an_edge_that_the_mean_blurs():
    x = torch.zeros(1, 1, 12, 12)
    x[..., 6:] = 1
    errors = [(denoise(x) - x).abs().max() for denoise in (ops.non_local_means, ops.mean_filter)]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize("denoise", [ops.mean_filter, ops.non_local_means])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_single(x, denoise, dtype):
    half = denoise(x.to(dtype))
    assert half.dtype == dtype
    torch.testing.assert_close(half.float(), denoise(x.to(dtype).float()), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"denoiser": "magic"}, "denoiser: needs one of median, mean, non_local_means, has 'magic'"),
        ({"kernel_size": (3, 4)}, "kernel_size: needs an odd number, has 4"),
        ({"kernel_size": (3, 5)}, r"weight: needs shape \(4, 2\), one number per channel of x and kernel size"),
        ({"weight": torch.ones(4, 2)}, r"weight: needs shape \(4,\), one number per channel of x, has \(4, 2\)"),
    ],
)
def test_what_does_not_fit_gets_one_line_that_names_it(x, change, message):
    with pytest.raises(ValueError, match=message) as error:
        ops.noise_enhance(**({"x": x, "weight": torch.ones(4), "bias": torch.ones(4)} | change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["patch", "search"])
def test_non_local_means_names_the_size_that_does_not_fit(x, name):
    with pytest.raises(ValueError, match=f"{name}: needs an odd number, has 4"):
        ops.non_local_means(x, **{name: 4})
