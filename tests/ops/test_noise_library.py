"""What torch.library promises to torch.compile, torch.export and autocast."""

import pytest
import torch

from lib import ops
from lib.ops.median.op import noise_block


@pytest.fixture
def arguments():
    x = torch.randn(2, 3, 6, 7, requires_grad=True)
    return x, *torch.randn(2, 3).requires_grad_().unbind()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_ops_keep_what_torch_library_asks_of_them(arguments, layout):
    x, weight, bias = (t.detach() for t in arguments)
    x = x.contiguous(memory_format=layout).requires_grad_()
    torch.library.opcheck(noise_block, (x, None, None, 3, True))
    torch.library.opcheck(noise_block, (x, weight.requires_grad_(), bias, 3, True))


def test_compiled_whole_they_give_the_same_outputs_and_gradients(arguments):
    def run(x, weight, bias):
        return ops.noise_enhance(x, weight, bias) * ops.median_filter(x, 5)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    ours, expected = compiled(*arguments), run(*arguments)
    assert torch.equal(ours, expected)
    for a, b in zip(*(torch.autograd.grad(y.sum(), arguments) for y in (ours, expected)), strict=True):
        torch.testing.assert_close(a, b)


def test_they_can_be_exported(arguments):
    class Model(torch.nn.Module):
        def forward(self, x, weight, bias):
            return ops.noise_enhance(x, weight, bias)

    plain = tuple(t.detach() for t in arguments)
    assert torch.equal(torch.export.export(Model(), plain).module()(*plain), ops.noise_enhance(*plain))


def test_under_autocast_the_dtype_of_x_stays_and_parameters_get_their_own_back(arguments):
    x, weight, bias = arguments
    with torch.autocast("cpu", torch.bfloat16):
        half = ops.noise_enhance(x.bfloat16(), weight, bias)
        assert ops.noise_enhance(x, weight, bias).dtype == torch.float32
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half, ops.noise_enhance_ref(x.bfloat16().float(), weight, bias).bfloat16())
    assert [g.dtype for g in torch.autograd.grad(half.sum(), arguments)] == [torch.float32] * 3


def test_a_second_derivative_is_refused_in_one_clear_line(arguments):
    for out in (ops.noise_enhance(*arguments), ops.median_filter(arguments[0])):
        (grad,) = torch.autograd.grad(out.square().sum(), arguments[0], create_graph=True)
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(grad.sum(), arguments[0])


def test_without_an_index_there_is_no_gradient_and_a_line_says_so(arguments):
    out, index = noise_block(arguments[0], None, None, 3, False)
    assert index.numel() == 0
    with pytest.raises(RuntimeError, match="needs_index=True"):
        out.sum().backward()


def test_an_empty_batch_passes():
    x, weight = torch.zeros(0, 3, 6, 6, requires_grad=True), torch.ones(3, requires_grad=True)
    out = ops.noise_enhance(x, weight, weight)
    assert out.shape == x.shape
    for gradient, expected in zip(torch.autograd.grad(out.sum(), (x, weight)), (x, weight), strict=True):
        assert torch.equal(gradient, torch.zeros_like(expected))
