import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from lib import ops
from lib.ops.median import cpu, eager

pytestmark = pytest.mark.skipif(shutil.which(cpu.compiler()) is None, reason="needs a C++ compiler")

LAYOUTS = [torch.contiguous_format, torch.channels_last]
SHAPES = [(2, 3, 9, 14), (1, 5, 4, 4), (1, 1, 4, 150), (1, 70, 40, 33)]  # the last in several tiles


def build():
    """Build or load the kernels; what would warn a user raises here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cpu.library.__wrapped__() is not None


def test_where_a_compiler_exists_the_kernels_are_built_and_nothing_is_printed():
    build()


def random(shape, dtype, layout, ties):
    x = torch.randint(-3, 4, shape) if ties else torch.randn(shape)
    return x.to(dtype, memory_format=layout)


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ties", [False, True])
def test_the_compiled_kernels_give_the_numbers_of_the_plain_ones(size, dtype, layout, ties):
    for shape in SHAPES:
        x, grad = (random(shape, dtype, layout, ties) for _ in range(2))
        weight, bias = torch.randn(2, shape[1]).unbind()
        (median, index), expected = (k.forward(x, None, None, size, True) for k in (cpu, eager))
        assert torch.equal(median, expected[0])
        assert torch.equal(index, expected[1])
        assert torch.equal(cpu.forward(x, None, None, size, False)[0], median)
        for needs_index in (True, False):
            ours, expected = (k.forward(x, weight, bias, size, needs_index)[0] for k in (cpu, eager))
            torch.testing.assert_close(ours, expected)
        for arguments in ((grad, x, weight, index, size), (grad, None, None, index, size)):
            for a, b in zip(*(k.backward(*arguments) for k in (cpu, eager)), strict=True):
                if a is not None:
                    torch.testing.assert_close(a, b, rtol=1e-4 if a.dtype == torch.float32 else None,
                                               atol=1e-4 if a.dtype == torch.float32 else None)  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_do_not_depend_on_the_number_of_threads(layout):
    x = torch.randn(2, 24, 90, 70).to(memory_format=layout).requires_grad_()
    weight, bias = torch.randn(2, 24).requires_grad_().unbind()
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            out = ops.noise_enhance(x, weight, bias)
            results.append((out, *torch.autograd.grad(out.square().sum(), (x, weight, bias))))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_what_is_not_finite_spreads_as_in_the_plain_kernels(value, size):
    x = torch.randn(1, 2, 12, 12)
    x[0, 0, 0, 3] = x[0, 1, 6, 6] = value
    weight, bias = torch.randn(2, 2).unbind()
    for arguments in ((x, None, None, size, True), (x, weight, bias, size, False)):
        ours, expected = (kernels.forward(*arguments) for kernels in (cpu, eager))
        torch.testing.assert_close(ours, expected, equal_nan=True)
    index = cpu.forward(x, None, None, size, True)[1]
    ours, expected = (k.backward(torch.ones_like(x), x, weight, index, size) for k in (cpu, eager))
    torch.testing.assert_close(ours, expected, equal_nan=True)


def test_the_fast_sigmoid_is_a_sigmoid():
    noise = torch.linspace(-100, 100, 4001).double()
    x = torch.zeros(1, 1, 3, 3 * len(noise))
    x[0, 0, 1, 1::3] = noise.float()  # single impulses: their median is 0
    gate = ops.noise_enhance(x, torch.ones(1), torch.zeros(1))[0, 0, 1, 1::3].double() - noise
    assert (gate - noise.sigmoid()).abs().max() < 1e-5  # x + gate is rounded to float32
    at = noise.abs() < 1
    assert ((gate - noise.sigmoid()).abs() / noise.sigmoid())[at].max() < 1e-6


def run(program, **environment):
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)


PROGRAM = """
import torch
from lib import ops
from lib.ops.median import cpu
torch.manual_seed(0)
x, weight, bias = torch.randn(1, 3, 8, 9, requires_grad=True), torch.randn(3), torch.randn(3)
out = ops.noise_enhance(x, weight, bias)
print(sum("libgomp" in line and "r-xp" in line for line in open("/proc/self/maps")))
print(bool(cpu.library()), *out.flatten().tolist(), *torch.autograd.grad(out.sum(), x)[0].flatten().tolist())
"""


@pytest.fixture(scope="module")
def compiled():
    return run(PROGRAM)


def test_without_a_compiler_come_the_same_numbers_and_one_line_that_says_why(compiled, tmp_path):
    without = run(PROGRAM, CXX="/no/compiler", TORCH_EXTENSIONS_DIR=str(tmp_path))
    notices = [line for line in without.stderr.splitlines() if "UserWarning" in line]
    assert len(notices) == 1
    assert "no compiled CPU kernels" in notices[0] and "/no/compiler" in notices[0]
    assert compiled.stderr == ""
    (kind, *numbers), (other, *expected) = (done.stdout.splitlines()[1].split() for done in (without, compiled))
    assert (kind, other) == ("False", "True")
    torch.testing.assert_close(*(torch.tensor(list(map(float, n))) for n in (numbers, expected)))


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """A copy of the source that no compiler takes, in place of ours."""
    for file in (cpu.SOURCE, *cpu.SOURCE.parent.glob("*.h")):
        shutil.copy(file, tmp_path)
    source = tmp_path / "noise.cpp"
    source.write_text("this is no C++\n" + source.read_text())
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setattr(cpu, "SOURCE", source)


@pytest.mark.usefixtures("broken")
def test_a_failed_build_names_the_compilers_first_complaint():
    with pytest.warns(UserWarning, match="no compiled CPU kernels.*noise.cpp:1") as notices:
        assert cpu.library.__wrapped__() is None
    assert len(notices) == 1 and "\n" not in str(notices[0].message)


@pytest.mark.usefixtures("broken")
def test_where_a_compiler_exists_a_broken_source_turns_the_first_of_these_tests_red():
    with pytest.raises(UserWarning, match="no compiled CPU kernels.*noise.cpp:1"):
        build()


def test_code_for_another_processor_is_never_loaded(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setattr(cpu.subprocess, "run", lambda _, cwd, **__: Path(cwd, "noise.so").touch())
    monkeypatch.setattr(cpu, "_network", str)
    here = cpu._build()
    assert cpu._build() == here
    monkeypatch.setattr(cpu, "_processor", lambda: "flags: fewer")
    assert cpu._build() != here


def test_an_edited_header_is_built_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "built"))
    monkeypatch.setattr(cpu.subprocess, "run", lambda _, cwd, **__: Path(cwd, "noise.so").touch())
    monkeypatch.setattr(cpu, "_network", str)
    for file in (cpu.SOURCE, *cpu.SOURCE.parent.glob("*.h")):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(cpu, "SOURCE", tmp_path / "noise.cpp")
    before = cpu._build()
    header = tmp_path / "noise_tiles.h"
    header.write_text(header.read_text() + "// edited\n")
    assert cpu._build() != before


def test_processes_that_build_at_the_same_time_all_get_the_kernels(tmp_path):
    program = "from lib.ops.median import cpu; print(bool(cpu.library()))"
    environment = os.environ | {"TORCH_EXTENSIONS_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", program]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    assert [process.communicate()[0] for process in both] == ["True\n", "True\n"]
    assert [file.name for file in tmp_path.glob("*/*")] == ["noise.so"]


def test_the_kernels_bring_no_second_openmp_into_the_process(compiled):
    assert int(compiled.stdout.splitlines()[0]) <= 1
