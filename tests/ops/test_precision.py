import pytest
import torch

from lib import ops
from lib.ops import spectra
from lib.ops.precision import float32

OPERATIONS = {
    "sliding_dct": ops.sliding_dct,
    "frequency_stem": lambda rgb: ops.frequency_stem(rgb, torch.linspace(-1, 1, 384).reshape(2, 192)),
    "frequency_stem_ref": lambda rgb: ops.frequency_stem_ref(rgb, torch.linspace(-1, 1, 384).reshape(2, 192)),
    "fft_features": spectra.fft_features,
    "log_dct": spectra.log_dct,
    "dct2": spectra.dct2,
    "azimuthal_profile_torch": lambda rgb: spectra.azimuthal_profile_torch(rgb[:, 0]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_frequencies_are_the_same_with_and_without_autocast_and_from_half_precision(name):
    operation, rgb = OPERATIONS[name], torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = operation(rgb.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(operation(rgb.float()), expected)
        assert torch.equal(operation(rgb), expected)


@float32
def product(a, b, times=1):
    return times * (a @ b)


def test_a_decorated_function_keeps_its_gradients_and_double_precision():
    a, b = torch.rand(2, 4, 4, dtype=torch.float64).requires_grad_().unbind()
    with torch.autocast("cpu", torch.bfloat16):
        assert product(a, b, times=2).dtype == torch.float64
        low = a.bfloat16().detach().requires_grad_()
        product(low, b=b.bfloat16()).sum().backward()
    assert low.grad.dtype == torch.bfloat16 and low.grad.any()


def test_a_decorated_function_counts_shapes_without_a_device():
    a = torch.empty(3, 3, device="meta")
    assert product(a, a).shape == (3, 3)


def test_a_decorated_function_compiles_into_one_graph():
    a = torch.rand(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        compiled = torch.compile(product, backend="eager", fullgraph=True)(a, a)
    assert torch.equal(compiled, a @ a)
