import numpy as np
import pytest
import scipy.ndimage
import torch

from lib import ops


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("size", [(16, 16), (9, 14), (5, 5)])
def test_the_median_is_the_one_that_scipy_computes(kernel_size, size):
    x = torch.randn(2, 3, *size)
    expected = scipy.ndimage.median_filter(x.numpy(), size=(1, 1, kernel_size, kernel_size), mode="mirror")
    np.testing.assert_array_equal(ops.median_filter(x, kernel_size), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_selection_network_equals_the_plain_median_on_many_ties(dtype):
    x = torch.randint(0, 4, (2, 3, 12, 11)).to(dtype)
    assert torch.equal(ops.median_filter(x), ops.median_filter_ref(x))


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided"])
def test_the_gradient_goes_to_the_value_that_was_the_median(layout):
    x = torch.randn(2, 4, 10, 7, dtype=torch.float64)
    x = {"contiguous": x, "channels_last": x.to(memory_format=torch.channels_last), "strided": x[:, ::2, ::2]}[layout]
    x.requires_grad_()
    ours, reference = ops.median_filter(x), ops.median_filter_ref(x)
    pull = torch.randn_like(reference)
    (a,), (b,) = (torch.autograd.grad(y, x, pull) for y in (ours, reference))
    assert torch.equal(ours, reference)
    torch.testing.assert_close(a, b)


def test_among_equal_neighbours_the_first_in_reading_order_gets_the_gradient():
    x = torch.zeros(1, 1, 5, 5, requires_grad=True)
    grad = torch.autograd.grad(ops.median_filter(x)[0, 0, 2, 2], x)[0]
    assert grad.sum() == 1
    assert grad[0, 0, 1, 1] == 1


@pytest.mark.parametrize("kernel_size", [5, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_that_rule_holds_for_every_kernel_size(kernel_size, dtype):
    x = torch.zeros(1, 2, 9, 9, dtype=dtype, requires_grad=True)
    grad = torch.autograd.grad(ops.median_filter(x, kernel_size)[0, 0, 4, 4], x)[0]
    first = 4 - kernel_size // 2
    assert grad[0, 0, first, first] == grad.sum() == 1


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided", "expanded", "cropped"])
def test_every_layout_gives_the_twins_outputs_and_gradients_in_its_own_memory_format(kernel_size, layout):
    x = torch.randn(3, 6, 9, 8)
    last = x.to(memory_format=torch.channels_last)
    x = {"contiguous": x, "channels_last": last, "strided": x[:, ::2], "expanded": x[:1].expand_as(x),
         "cropped": last[..., 1:]}[layout]  # fmt: skip
    x = x.detach().requires_grad_()
    weight, bias = torch.randn(2, x.shape[1]).requires_grad_().unbind()
    ours, twin = (op(x, weight, bias, kernel_size) for op in (ops.noise_enhance, ops.noise_enhance_ref))
    torch.testing.assert_close(ours, twin)
    kept = torch.channels_last if layout in ("channels_last", "cropped") else torch.contiguous_format
    assert ours.is_contiguous(memory_format=kept)
    pull = torch.randn_like(twin)
    for a, b in zip(*(torch.autograd.grad(y, (x, weight, bias), pull) for y in (ours, twin)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_gradients_pass_gradcheck():
    x = torch.randperm(2 * 5 * 4).double().reshape(1, 2, 5, 4).requires_grad_()  # no ties: differentiable
    weight, bias = torch.randn(2, 2, dtype=torch.float64).requires_grad_().unbind()
    torch.autograd.gradcheck(ops.median_filter, x)
    for op in (ops.noise_enhance, ops.noise_enhance_ref):
        torch.autograd.gradcheck(op, (x * 0.1, weight, bias))


def test_the_median_of_a_constant_is_the_constant_and_one_outlier_disappears():
    x = torch.full((1, 1, 8, 8), 3.0)
    assert torch.equal(ops.median_filter(x), x)
    spoilt = x.clone()
    spoilt[0, 0, 4, 4] = 1000
    assert torch.equal(ops.median_filter(spoilt), x)


def test_the_median_ignores_the_order_inside_its_window():
    x = torch.randn(1, 1, 3, 3)
    centre = {
        ops.median_filter(x.flatten()[torch.randperm(9)].reshape(1, 1, 3, 3))[0, 0, 1, 1].item() for _ in range(20)
    }
    assert centre == {x.median().item()}


def test_the_median_commutes_with_increasing_functions():
    x = torch.randn(1, 2, 9, 9)
    assert torch.equal(ops.median_filter(x.exp()), ops.median_filter(x).exp())
    assert torch.equal(ops.median_filter(-x), -ops.median_filter(x))


def test_a_nan_is_not_hidden():
    x = torch.zeros(1, 1, 7, 7)
    x[0, 0, 3, 3] = float("nan")
    assert ops.median_filter(x).isnan().sum() == 9


def test_an_impulse_changes_only_its_own_pixel_beyond_the_constant():
    flat = torch.zeros(1, 2, 9, 9)
    weight, bias = torch.tensor([2.0, -1.0]), torch.tensor([0.25, 0.5])
    constant = (0.5 * weight + bias)[None, :, None, None]  # sigmoid(0) = 0.5
    assert torch.equal(ops.noise_enhance(flat, weight, bias), constant.expand_as(flat))
    impulse = flat.clone()
    impulse[..., 4, 4] = 1
    change = ops.noise_enhance(impulse, weight, bias) - constant
    expected = 1 + weight * (torch.tensor(1.0).sigmoid() - 0.5)
    torch.testing.assert_close(change[0, :, 4, 4], expected)
    change[..., 4, 4] = 0
    assert change.abs().max() < 1e-6


def test_noise_enhancement_is_equations_2_and_3():
    x, weight, bias = torch.randn(2, 3, 10, 10), torch.randn(3), torch.randn(3)
    denoised = scipy.ndimage.median_filter(x.numpy(), size=(1, 1, 3, 3), mode="mirror")
    gate = 1 / (1 + np.exp(denoised - x.numpy()))
    expected = x.numpy() + weight.numpy()[:, None, None] * gate + bias.numpy()[:, None, None]
    np.testing.assert_allclose(ops.noise_enhance(x, weight, bias), expected, atol=1e-6)


def test_a_kernel_of_one_leaves_no_noise():
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(ops.noise_enhance(x, torch.full((2,), 3.0), torch.full((2,), -1.5), kernel_size=1), x)


@pytest.mark.parametrize(
    ("x", "kernel_size", "message"),
    [
        (torch.rand(3, 8, 8), 3, r"x: needs shape \(N, C, H, W\), has \(3, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.long), 3, "x: needs a float dtype"),
        (torch.rand(1, 1, 8, 8), 4, "kernel_size: needs an odd number, has 4"),
        (torch.rand(1, 1, 8, 8), -1, "kernel_size: needs an odd number"),
        (torch.rand(1, 1, 32, 32), 17, "kernel_size: needs at most 15, has 17"),
        (torch.rand(1, 1, 2, 8), 5, r"x: \(2, 8\) pixels are too few for kernel_size 5"),
    ],
)
def test_a_wrong_input_gets_one_line_that_names_it(x, kernel_size, message):
    with pytest.raises(ValueError, match=message) as error:
        ops.median_filter(x, kernel_size)
    assert "\n" not in str(error.value)


def test_a_wrong_number_of_weights_gets_one_line_that_names_them():
    with pytest.raises(ValueError, match=r"weight: needs shape \(2,\)"):
        ops.noise_enhance(torch.rand(1, 2, 4, 4), torch.ones(3), torch.ones(2))
    with pytest.raises(ValueError, match=r"bias: needs shape \(2,\)"):
        ops.noise_enhance(torch.rand(1, 2, 4, 4), torch.ones(2), torch.ones(2, 1))
