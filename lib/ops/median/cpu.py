"""Builds and loads noise.cpp, the CPU kernels of the noise block, at their first use."""

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import tempfile
import warnings
from pathlib import Path

import torch
from torch._appdirs import user_cache_dir

from lib.ops.median import selection

SOURCE = Path(__file__).with_name("noise.cpp")
TYPES = (torch.float32, torch.bfloat16, torch.float16)  # the kernels compute in float32
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=c++17", "-fPIC", "-fopenmp")
VALUES_PER_THREAD = 1 << 15  # below it, waking a thread costs more than it saves
TENSORS = ("x", "grad", "weight", "bias", "out", "index", "grad_weight", "grad_bias")
NUMBERS = ("planes", "height", "width", "step", "channels", "size", "threads")


class Task(ctypes.Structure):
    """The struct of the same name in noise_tiles.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in TENSORS] + [(name, ctypes.c_int64) for name in NUMBERS]


@functools.cache
def library():
    """Return the compiled kernels as a ctypes library, built if no earlier build fits; None if the build fails.

    A failure gives one warning of one line. TORCH_EXTENSIONS_DIR moves the build directory, as for PyTorch's
    extensions. torch.utils.cpp_extension.load is not used, because it needs ninja, and because a killed build leaves a
    lock that blocks later ones.
    """
    try:
        return ctypes.CDLL(str(_build()))
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines() or [type(error).__name__]
        warnings.warn(f"lib.ops: no compiled CPU kernels, PyTorch's own are slower: {reason[0]}", stacklevel=2)
        return None


def compiler():
    """Return the command of the C++ compiler."""
    return os.environ.get("CXX", "c++")


def _build():
    openmp = [str(file) for file in Path(torch.__file__).parent.glob("lib/libgomp*")][:1]
    sources = (SOURCE, *sorted(SOURCE.parent.glob("*.h")), Path(__file__), Path(selection.__file__))
    key = ([file.read_text() for file in sources], compiler(), FLAGS, openmp, _processor())
    name = f"deepfake_noise_{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}"
    library = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or user_cache_dir("torch_extensions"), name, "noise.so")
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        # Each process builds in a directory of its own and the last step is atomic, so that none waits for another.
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            Path(folder, "networks.h").write_text("".join(map(_network, (3, 5, 7))))
            run = functools.partial(subprocess.run, cwd=folder, check=True, capture_output=True, text=True)
            run([compiler(), *FLAGS, f"-I{folder}", "-c", str(SOURCE), "-o", "noise.o"])
            # With PyTorch's OpenMP, because with a second one two pools of threads would compete for the cores.
            run([compiler(), "-shared", "noise.o", "-o", "noise.so", *(openmp or ["-fopenmp"])])
            os.replace(f"{folder}/noise.so", library)
    return library


def _processor():
    """Return what -march=native depends on, because machines with other processors may share the home directory."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return platform.machine(), flags


def _network(size):
    """Return the C++ source of Network<size>, which noise_forward.h includes."""
    median = tuple((int(name == "max"), a, b) for name, a, b in selection.median_network(size))
    tables = f"sort[][2] = {selection.sort_network(size)}, median[][3] = {median}".translate(str.maketrans("()", "{}"))
    return f"template <> struct Network<{size}> {{ static constexpr int {tables}; }};\n"


def forward(x, weight, bias, size, needs_index):
    """Run noise.cpp: arguments and results as in lib.ops.median.eager; x contiguous or channels_last."""
    out = torch.empty_like(x, dtype=torch.float32)
    index = torch.empty_like(x, dtype=torch.uint8) if needs_index else None
    _run("noise_forward", size, x=x.float(), weight=_floats(weight), bias=_floats(bias), out=out, index=index)
    return out.to(x.dtype), index


def backward(grad, x, weight, index, size):
    """Run noise.cpp: arguments and results as in lib.ops.median.eager; grad, x and index of one memory format."""
    out, weight = torch.empty_like(grad, dtype=torch.float32), _floats(weight)
    sums = (None, None) if weight is None else (torch.empty_like(weight), torch.empty_like(weight))
    _run("noise_backward", size, grad=grad.float(), x=None if weight is None else x.float(), weight=weight,
         index=index, out=out, grad_weight=sums[0], grad_bias=sums[1])  # fmt: skip
    return out.to(grad.dtype), *sums


def _run(function, size, out, **tensors):
    """Call a function of noise.cpp, whose head explains planes and step."""
    count, channels, height, width = out.shape
    planes, step = (count * channels, 1) if out.is_contiguous() else (count, channels)
    threads = max(1, min(torch.get_num_threads(), out.numel() // VALUES_PER_THREAD))
    addresses = {name: None if tensor is None else tensor.data_ptr() for name, tensor in tensors.items()}
    numbers = dict(zip(NUMBERS, (planes, height, width, step, channels, size, threads), strict=True))
    getattr(library(), function)(ctypes.byref(Task(out=out.data_ptr(), **addresses, **numbers)))


def _floats(values):
    return values if values is None else values.detach().to(torch.float32).contiguous()
