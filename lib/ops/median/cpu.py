"""Builds and loads noise.cpp, the CPU kernels of the noise block, at their first use."""

import ctypes
import functools
import glob
import hashlib
import logging
import os
import platform
import subprocess
import tempfile
import warnings
from pathlib import Path

import torch

from lib.ops.median import selection
from lib.ops.median.selection import median_network, sort_network

SOURCE = Path(__file__).with_name("noise.cpp")
SIZES = (3, 5, 7)
TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}  # as in noise.cpp
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=c++17", "-fPIC", "-fopenmp")
SPECIALIZATION = """
template <>
KERNEL void sort_columns<{size}>(const float *const *rows, int64_t count, int64_t n, float *sorted, int64_t plane,
                                 int64_t stride) {{
  for (int64_t y = 0; y < count; y++) {{
    {rows}
#pragma GCC ivdep
    for (int64_t j = 0; j < n; j++) {{
      {sort}
    }}
  }}
}}

template <>
KERNEL void median_of_columns<{size}>(const float *__restrict sorted, int64_t plane, int64_t stride, int64_t step,
                                      int64_t count, int64_t n, float *__restrict median, int64_t median_stride) {{
  for (int64_t y = 0; y < count; y++) {{
    const float *__restrict s = sorted + y * stride;
    float *__restrict to = median + y * median_stride;
#pragma GCC ivdep
    for (int64_t j = 0; j < n; j++) {{
      {find}
    }}
  }}
}}
"""
VALUES_PER_THREAD = 1 << 15  # below it, waking a thread costs more than it saves


@functools.cache
def library():
    """Return the compiled kernels as a ctypes library, built where no earlier build fits; None where that fails.

    A failure is told once, in one line. The build directory is that of torch.utils.cpp_extension, which the
    environment variable TORCH_EXTENSIONS_DIR moves.
    """
    try:
        loaded = ctypes.CDLL(str(_build()))
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines() or [type(error).__name__]
        warnings.warn(f"lib.ops: no compiled CPU kernels, PyTorch's own are slower: {reason[0]}", stacklevel=2)
        return None
    address, size = ctypes.c_void_p, ctypes.c_int64
    loaded.noise_forward.argtypes = [address] * 5 + [size] * 5 + [ctypes.c_int] * 3
    loaded.noise_backward.argtypes = [address] * 7 + [size] * 5 + [ctypes.c_int] * 3
    return loaded


def _build():
    cpp_extension = _cpp_extension()
    openmp = glob.glob(os.path.join(os.path.dirname(torch.__file__), "lib", "libgomp*"))
    compiler = cpp_extension.get_cxx_compiler()
    sources = (SOURCE, *sorted(SOURCE.parent.glob("*.h")), __file__, selection.__file__)
    code = [Path(file).read_text() for file in sources]
    key = (*code, compiler, *FLAGS, *openmp, platform.machine(), _processor())
    name = f"deepfake_noise_{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}"
    root = os.environ.get("TORCH_EXTENSIONS_DIR") or cpp_extension.get_default_build_root()
    library = Path(root, name, "noise.so")
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        # Each process builds in a directory of its own; the last step is atomic, so that none waits for another.
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            Path(folder, "networks.h").write_text("\n".join(map(_network_code, SIZES)))
            run = functools.partial(subprocess.run, cwd=folder, check=True, capture_output=True, text=True)
            run([compiler, *FLAGS, f"-I{folder}", "-c", str(SOURCE), "-o", "noise.o"])
            # With PyTorch's OpenMP: a second one in the process would let two pools of threads fight for the cores.
            run([compiler, "-shared", "noise.o", "-o", "noise.so", *(openmp[:1] or ["-fopenmp"])])
            os.replace(Path(folder, "noise.so"), library)
    return library


def _cpp_extension():
    """Import torch.utils.cpp_extension: late, for it is slow, and without its notice that there is no GPU."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from torch.utils import cpp_extension
    finally:
        logger.setLevel(level)
    return cpp_extension


def _processor():
    """Return what -march=native depends on: a home directory may be shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _network_code(size):
    """Return the C++ of sort_columns<size> and median_of_columns<size>: straight lines in a loop over columns."""
    wires = [f"v{i}" for i in range(size)]
    rows = [f"const float *__restrict r{i} = rows[y + {i}];" for i in range(size)]
    rows += [f"float *__restrict s{i} = sorted + {i} * plane + y * stride;" for i in range(size)]
    sort = [f"const float v{i} = r{i}[j];" for i in range(size)]
    for number, (i, j) in enumerate(sort_network(size)):
        a, b = wires[i], wires[j]
        wires[i], wires[j] = f"a{number}", f"b{number}"
        sort.append(f"const float a{number} = minimum({a}, {b}), b{number} = maximum({a}, {b});")
    sort += [f"s{i}[j] = {wire};" for i, wire in enumerate(wires)]

    places = [divmod(value, size) for value in range(size * size)]
    find = [f"const float v{n} = s[{row} * plane + {column} * step + j];" for n, (row, column) in enumerate(places)]
    for value, (name, a, b) in enumerate(median_network(size), size * size):
        find.append(f"const float v{value} = {name}imum(v{a}, v{b});")
    find.append(f"to[j] = v{value};")
    rows, (sort, find) = "\n    ".join(rows), ("\n      ".join(lines) for lines in (sort, find))
    return SPECIALIZATION.format(size=size, rows=rows, sort=sort, find=find)


def forward(x, weight, bias, size, needs_index):
    """Run noise.cpp: arguments and results as in lib.ops.median.eager; x contiguous or channels_last."""
    out = torch.empty_like(x)
    index = torch.empty_like(x, dtype=torch.uint8) if needs_index else None
    weight, bias = _floats(weight), _floats(bias)
    tensors = map(_address, (x, weight, bias, out, index))
    library().noise_forward(*tensors, *_plan(x, size))
    return out, index


def backward(grad, x, weight, index, size):
    """Run noise.cpp: arguments and results as in lib.ops.median.eager; grad, x and index of one memory format."""
    grad_x = torch.empty_like(grad)
    weight = _floats(weight)
    grad_weight, grad_bias = (None, None) if weight is None else (torch.empty_like(weight), torch.empty_like(weight))
    tensors = map(_address, (grad, x, weight, index, grad_x, grad_weight, grad_bias))
    library().noise_backward(*tensors, *_plan(grad, size))
    return grad_x, grad_weight, grad_bias


def _plan(x, size):
    count, channels, height, width = x.shape
    plain = x.is_contiguous()
    threads = max(1, min(torch.get_num_threads(), x.numel() // VALUES_PER_THREAD))
    planes, step = (count * channels, 1) if plain else (count, channels)
    return planes, height, width, step, channels, TYPES[x.dtype], size, threads


def _floats(values):
    return values if values is None else values.detach().to(torch.float32).contiguous()


def _address(tensor):
    return None if tensor is None else tensor.data_ptr()
