"""How fast the operations of PEL are beside other ways to compute them: `python -m lib.benchmarks.ops`.

reference: plain PyTorch, the twin `_ref` or, for the stem, `stem_by_unfold`. kornia: its median. compiled: our
selection network in plain PyTorch under torch.compile, with autograd through it. grouped: the stem by grouped
convolutions. floor: a copy (`clone`) of as many bytes as the operation must read and write. All candidates of a row run
in turn, round by round, so that a busy machine slows all of them alike; the median round counts.
"""

import argparse
import functools
import shutil
import statistics
import time

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from lib import figures, ops, paths
from lib.ops import dct
from lib.ops.median import cpu, eager, selection
from lib.training import device as training_device

SHAPES = ((8, 24, 160, 160), (8, 32, 80, 80))  # behind stages 1 and 2 of EfficientNet-B4, 320 pixels, a batch of 8
IMAGES = (8, 3, 320, 320)
CHANNELS = 64  # of the frequency stem
RATIOS = ("ours / floor", "reference / ours", "compiled / ours")
COLUMNS = ("operation", "device", "shape", "dtype", "reference", "kornia", "compiled", "grouped", "ours", "floor",
           *RATIOS, "first compiled call, s", "gigabytes", "gigaflops")  # fmt: skip


def table(device=None, dtypes=(torch.float32,), rounds=15, shapes=SHAPES, images=IMAGES, compiled=False):
    """Measure each operation, in milliseconds: a DataFrame of COLUMNS, one row for each (operation, shape, dtype).

    compiled: whether to measure torch.compile, which takes seconds at its first call. NaN: not measured, or kornia is
    not installed. gigabytes: the least that must be read and written; gigaflops: 10^9 operations, not a rate.
    """
    device = torch.device(device or training_device.device())
    rows = []
    for dtype in dtypes:
        for case in (*(c for shape in shapes for c in _noise(shape, dtype, device)), *_stem(images, dtype, device)):
            name, shape, moved, flops, candidates = case
            candidates = {key: run for key, run in candidates.items() if run and (compiled or key != "compiled")}
            source = torch.zeros(moved // 2, dtype=torch.uint8, device=device)
            # Into new memory, as every operation here writes its result.
            times = by_round({**candidates, "floor": source.clone}, device, rounds)
            rows.append({"operation": name, "device": name_of(device), "shape": "x".join(map(str, shape)),
                         "dtype": str(dtype).removeprefix("torch."), **medians(times),
                         "first compiled call, s": times.get("compiled", [np.nan])[0] / 1000,
                         "gigabytes": moved / 1e9, "gigaflops": flops / 1e9})  # fmt: skip
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.assign(**{ratio: found.eval(ratio) for ratio in RATIOS})


def paired(candidates, device, rounds):
    """Time functions side by side: {name: median milliseconds over `rounds`}, without the warm-up round."""
    return medians(by_round(candidates, device, rounds))


def by_round(candidates, device, rounds):
    """Run functions in turn: {name: milliseconds of the warm-up round and of each of `rounds`}."""
    settle = functools.partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    times = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, run in candidates.items():
            settle()
            began = time.perf_counter()
            run()
            settle()
            times[name].append(1000 * (time.perf_counter() - began))
    return times


def name_of(device):
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def medians(times):
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def roofline(measured, ax, peak=None):
    """Draw each operation, plain and ours, under the roofs of memory and arithmetic; needs rows of one device.

    peak: gigaflops a second of a matrix product, measured where None.
    """
    bandwidth = (measured["gigabytes"] / measured["floor"] * 1000).max()
    peak = peak or matrix_product(measured["device"].iloc[0])
    intensity = np.geomspace(0.1, 1000, 50)
    ax.loglog(intensity, np.minimum(peak, bandwidth * intensity), color="black")
    for (name, rows), marker in zip(measured.groupby("operation", sort=False), figures.MARKERS, strict=False):
        row = rows.iloc[0]
        x = row["gigaflops"] / row["gigabytes"]
        reference, ours = (1000 * row["gigaflops"] / row[key] for key in ("reference", "ours"))
        ax.annotate("", (x, ours), (x, reference), arrowprops={"arrowstyle": "->", "color": "grey"})
        ax.plot(x, reference, marker, color="lightgrey", markeredgecolor="black")
        ax.plot(x, ours, marker, color=figures.COLOURS[0], markeredgecolor="black", label=name)
    title = f"Up to {measured['reference / ours'].max():.0f} times as fast as the plain way (grey)"
    ax.set(xlabel="operations per byte that must be moved", ylabel="billion operations per second",
           title=f"{title}\nroofs: {bandwidth:.0f} GB/s, {peak:.0f} GFLOP/s")  # fmt: skip
    ax.legend(loc="lower right", fontsize=8)


def matrix_product(device, size=2048):
    """Return the gigaflops a second that a float32 matrix product reaches: the roof of arithmetic."""
    device = torch.device("cpu" if device == "cpu" else "cuda")
    a, b = torch.rand(2, size, size, device=device)
    return 2 * size**3 / 1e6 / paired({"product": lambda: a @ b}, device, 5)["product"]


def _noise(shape, dtype, device):
    """Yield (name, shape, bytes, flops, candidates) of the median and of the noise block, forward and with backward."""
    x = torch.randn(shape, device=device).to(dtype, memory_format=torch.channels_last)
    weight, bias = (torch.randn(shape[1], device=device, dtype=dtype, requires_grad=True) for _ in range(2))
    pull, grown = torch.randn_like(x), x.clone().requires_grad_()
    size, count = x.element_size(), x.numel()
    torch.compiler.reset()  # torch.compile gives up after several shapes and dtypes of one function
    network = torch.compile(by_network(), dynamic=False)

    def forward_and_backward(op):
        torch.autograd.grad(op(grown, weight, bias), (grown, weight, bias), pull)

    forward = torch.no_grad()(lambda op: op(x, weight, bias))
    median = {"reference": lambda: ops.median_filter_ref(x), "kornia": _kornia(x),
              "compiled": lambda: network(x), "ours": lambda: ops.median_filter(x)}  # fmt: skip
    noise = {"reference": ops.noise_enhance_ref, "compiled": network, "ours": ops.noise_enhance}
    forward, both = ({name: functools.partial(run, op) for name, op in noise.items()}
                     for run in (forward, forward_and_backward))  # fmt: skip
    yield "median 3x3", shape, 2 * size * count, 20 * count, median
    yield "noise_enhance", shape, 2 * size * count, 30 * count, forward
    # Forward reads x and writes the output and one byte; backward reads x, the byte and the gradient, and writes one.
    yield "noise_enhance + backward", shape, (5 * size + 2) * count, 60 * count, both


def _stem(shape, dtype, device):
    rgb = torch.rand(shape, device=device).to(dtype)
    weight = torch.randn(CHANNELS, 192, 1, 1, device=device, dtype=dtype, requires_grad=True)
    pull = torch.randn_like(ops.frequency_stem(rgb, weight))

    def run(op):
        torch.autograd.grad(op(rgb, weight), weight, pull)

    moved = (2 * rgb.numel() + 2 * pull.numel()) * rgb.element_size()
    stems = {"reference": stem_by_unfold, "grouped": stem_by_groups, "ours": ops.frequency_stem}
    candidates = {name: functools.partial(run, op) for name, op in stems.items()}
    yield "frequency_stem + backward", shape, moved, 2 * 2 * 192 * pull.numel(), candidates


def stem_by_unfold(rgb, weight):
    """Compute `ops.frequency_stem` by unfold and two matrix products, as one would first write it."""
    windows = F.unfold(_ycbcr(rgb), 8, stride=2).unflatten(1, (3, 64))
    maps = torch.einsum("fp,ncpl->ncfl", dct.dct_basis().flatten(1).to(rgb), windows).flatten(1, 2)
    return (weight.flatten(1) @ maps).unflatten(2, (rgb.shape[2] // 2, rgb.shape[3] // 2))


def stem_by_groups(rgb, weight):
    """Compute `ops.frequency_stem` by a grouped convolution, 64 filters a colour channel, and the 1x1 convolution."""
    kernels = dct.dct_basis().to(rgb)[:, None].repeat(3, 1, 1, 1)
    return F.conv2d(F.conv2d(_ycbcr(rgb), kernels, stride=2, groups=3), weight)


def _ycbcr(rgb):
    matrix, offset = (torch.tensor(values).to(rgb) for values in (dct.RGB_TO_YCBCR, dct.YCBCR_OFFSET))
    return eager.reflect(torch.einsum("ck,nkhw->nchw", matrix, rgb) + offset[:, None, None], 3)


def by_network():
    """Return a function of x, weight=None, bias=None: the median 3x3 or the noise enhancement, in plain PyTorch."""
    networks = selection.sort_network(3), selection.median_network(3)  # torch.compile need not look into their making

    def run(x, weight=None, bias=None):
        median = eager.network_median(eager.reflect(x, 1), 3, *networks)
        return median if weight is None else eager.enhance(x, median, weight, bias)

    return run


def _kornia(x):
    try:
        from kornia.filters import median_blur
    except ImportError:
        return None
    return lambda: median_blur(x, 3)


def main():
    parser = argparse.ArgumentParser(prog="python -m lib.benchmarks.ops", description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or cuda; the GPU where there is one")
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    dtypes = [getattr(torch, name) for name in options.dtypes]
    compiled = shutil.which(cpu.compiler()) is not None
    with torch.compiler.config.patch(force_disable_caches=True):  # else the first call finds what an earlier run made
        measured = table(options.device, dtypes, options.rounds, compiled=compiled)
    print(measured.drop(columns=["gigabytes", "gigaflops"]).to_string(index=False, float_format="%.2f", na_rep="-"))
    if not torch.cuda.is_available():
        print(f"CPU with {torch.get_num_threads()} threads; CUDA: not measured here")
    paths.replace(paths.RESULTS / "ops_benchmark.csv", lambda file: measured.to_csv(file, index=False))
    fig, ax = figures.plt.subplots(figsize=(7, 5))
    roofline(measured, ax)
    figures.save(fig, "ops_roofline")


if __name__ == "__main__":
    main()
