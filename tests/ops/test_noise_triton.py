"""Without a GPU the kernels run under Triton's interpreter, which has to be chosen before Triton is imported."""

import json
import os
import subprocess
import sys

import pytest
import torch

from lib.ops.median import eager
from lib.ops.median import triton as median_triton

triton = pytest.importorskip("triton")

CASES = {
    "three": (3, torch.float32, (1, 2, 5, 7), "contiguous"),
    "more rows than one program adds up": (3, torch.float32, (1, 2, 33, 2), "ties"),
    "more values in a row than a tile holds": (3, torch.bfloat16, (1, 2, 2, 70), "ties"),
    "nan": (3, torch.float16, (1, 2, 4, 5), "nan"),
    "five": (5, torch.float32, (1, 2, 3, 4), "ties"),
    "seven": (7, torch.float32, (1, 1, 4, 5), "contiguous"),
}
PROGRAM = """
import json, sys, torch
from lib.ops.median import eager as noise_eager, triton as noise_triton

def compare(size, dtype, shape, layout):
    torch.manual_seed(0)
    x = (torch.randint(-3, 4, shape) if layout == "ties" else torch.randn(shape)).to(getattr(torch, dtype))
    x = x.to(memory_format=torch.contiguous_format if layout == "contiguous" else torch.channels_last)
    if layout == "nan":
        x[0, 0, 1, 1] = float("nan")
    weight, bias, grad = torch.randn(shape[1]), torch.randn(shape[1]), torch.randn_like(x)
    (median, index), expected = (kernels.forward(x, None, None, size, True) for kernels in (noise_triton, noise_eager))
    torch.testing.assert_close(median, expected[0], rtol=0, atol=0, equal_nan=True)
    assert torch.equal(index, expected[1]), "another index"
    assert median.stride() == x.stride() == index.stride(), "another memory format"
    ours, expected = (kernels.forward(x, weight, bias, size, False)[0] for kernels in (noise_triton, noise_eager))
    torch.testing.assert_close(ours, expected, equal_nan=True)
    for arguments in ((grad, x, weight, index, size), (grad, None, None, index, size)):
        for ours, expected in zip(*(k.backward(*arguments) for k in (noise_triton, noise_eager)), strict=True):
            if expected is not None:
                torch.testing.assert_close(ours, expected, equal_nan=True)

results = {}
for name, case in json.loads(sys.argv[1]).items():
    try:
        compare(*case)
        results[name] = "agree"
    except Exception as error:
        results[name] = repr(error)
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results():
    cases = {name: (size, str(dtype)[6:], *rest) for name, (size, dtype, *rest) in CASES.items()}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(cases)]
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout)


@pytest.mark.parametrize("name", CASES)
def test_the_gpu_kernels_give_the_numbers_of_the_plain_ones(results, name):
    assert results[name] == "agree"


@pytest.mark.gpu
@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_on_a_gpu_too(size, layout):

    x, grad = torch.randn(2, 2, 24, 33, 45, device="cuda").unbind()
    x, grad = (t.contiguous(memory_format=layout) for t in (x, grad))
    weight, bias = torch.randn(2, 24, device="cuda").unbind()
    ours, expected = (k.forward(x, weight, bias, size, True) for k in (median_triton, eager))
    torch.testing.assert_close(ours[0], expected[0])
    assert torch.equal(ours[1], expected[1])
    for a, b in zip(*(k.backward(grad, x, weight, ours[1], size) for k in (median_triton, eager)), strict=True):
        torch.testing.assert_close(a, b)
