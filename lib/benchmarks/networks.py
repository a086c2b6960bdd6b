"""How fast whole networks run, PEL in training and the RDN on one large picture: `python -m lib.benchmarks.networks`.

The variants run in turn, round by round. The median round counts; the first one, in which torch.compile compiles, is
reported separately. With `--memory` it measures instead how much memory PEL takes at the paper's size.
"""

import argparse
import contextlib
import functools
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest import mock

import pandas as pd
import torch

from lib import ops, paths
from lib.benchmarks.ops import by_round, medians, name_of
from lib.bts.re_synthesizer import RDN
from lib.pel import network as pel_network
from lib.training import device as training_device
from lib.training.device import seed_everything


def pel_training(device, backbone, size, batch, rounds, compiled=True):
    """Measure steps of training: a DataFrame, one row a variant, with images a second and seconds of the first step.

    Variants: the operations as the paper writes them, ours, ours under bfloat16 autocast, and with `compiled` ours
    through torch.compile.
    """
    plain = mock.patch.multiple(ops, noise_enhance=ops.noise_enhance_ref, frequency_stem=ops.frequency_stem_ref)
    nothing, lower = contextlib.nullcontext(), torch.autocast(device.type, torch.bfloat16)
    contexts = {"plain operations": plain, "ours": nothing, "ours, bfloat16": lower}
    contexts |= {"ours, compiled": nothing} if compiled else {}
    runs = {name: functools.partial(_stepper(device, backbone, size, batch, compiled="compiled" in name), context)
            for name, context in contexts.items()}  # fmt: skip
    return _measure(runs, batch, device, rounds)


def rdn_inference(device, sizes, size, rounds, compiled=True):
    """Measure the re-synthesis of one picture of size x size pixels: a DataFrame as in `pel_training`.

    sizes: arguments of RDN. Variants: plain eager float32, channels_last, channels_last under bfloat16, and with
    `compiled` channels_last through torch.compile.
    """
    rgb, runs = torch.rand(1, 3, size, size, device=device), {}
    variants = ("eager", "channels_last", "channels_last, bfloat16", "channels_last, compiled")
    for name in variants[: 4 if compiled else 3]:
        seed_everything(0)
        layout = torch.channels_last if "channels_last" in name else torch.contiguous_format
        model = RDN(**sizes).to(device, memory_format=layout).eval()
        if "bfloat16" in name:  # only measured: elsewhere the RDN keeps to float32
            forward = functools.partial(RDN.forward.__wrapped__, model)
            model.forward = torch.autocast(device.type, torch.bfloat16)(forward)
        run = torch.compile(model.re_synthesize) if "compiled" in name else model.re_synthesize
        runs[name] = functools.partial(torch.inference_mode()(run), rgb)
    return _measure(runs, 1, device, rounds)


def pel_memory(device, backbone="tf_efficientnet_b4", size=320, batches=(1, 2)):
    """Measure the most memory that PEL takes: a DataFrame, a row each for training and scoring, in MiB.

    batches: two numbers of images; their difference tells what an image costs from what any batch needs (weights, and
    in training gradients and Adam's averages). Columns: PEL, "batch of ..." twice, "an image", "fixed".
    On a CPU: by how much the process grows, as Linux counts it, in float32; on a GPU: what PyTorch allocates, under
    bfloat16 as in lib.training.fit. Each number is measured in a new process, because a process does not return all the
    memory that it has freed.
    """
    rows = []
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for what in ("training", "scoring"):
            peaks = [*pool.map(_peak, [(str(device), backbone, size, batch, what == "training") for batch in batches])]
            image = (peaks[1] - peaks[0]) / (batches[1] - batches[0])
            named = {f"batch of {batch}": peak for batch, peak in zip(batches, peaks, strict=True)}
            rows.append({"PEL": what, **named, "an image": image, "fixed": peaks[0] - image * batches[0]})
    return pd.DataFrame(rows)


def _peak(job):
    """Return by how many MiB this process grows at most in two steps of training, or of scoring."""
    device, backbone, size, batch, training = job
    gpu = torch.device(device).type == "cuda"
    before = 0 if gpu else _status("VmRSS")
    step = _stepper(device, backbone, size, batch, training)
    for _ in range(2):  # Adam's averages are there from the end of the first step on
        step(torch.autocast("cuda", torch.bfloat16, enabled=gpu))
    return torch.cuda.max_memory_allocated(device) / 2**20 if gpu else _status("VmHWM") - before


def _stepper(device, backbone, size, batch, training=True, compiled=False):
    """Return step(context), which takes a step of training, or of scoring, with PEL's loss inside this context."""
    seed_everything(0)
    model = pel_network.PEL(backbone, pretrained=False).to(device).train(training)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    network = torch.compile(model) if compiled else model
    rgb, label = torch.rand(batch, 3, size, size, device=device), torch.randint(0, 2, (batch,), device=device)

    def step(context):
        with context, torch.inference_mode(not training):
            loss = pel_network.loss(network, {"rgb": rgb, "label": label})
        if training:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return step


def _status(key):
    """Return an entry of Linux's status of this process, a size, in MiB."""
    return int(re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def _measure(variants, images, device, rounds):
    times = by_round(variants, device, rounds)
    seconds = {name: median / 1000 for name, median in medians(times).items()}
    first = next(iter(seconds.values()))
    rows = [(n, images / seconds[n], first / seconds[n], times[n][0] / 1000) for n in variants]
    return pd.DataFrame(rows, columns=["variant", "images/s", "times as fast", "first step, s"])


def main():
    parser = argparse.ArgumentParser(prog="python -m lib.benchmarks.networks", description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or cuda; the GPU where there is one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="the memory of PEL, EfficientNet-B4, 320 px, alone")
    options = parser.parse_args()
    device = torch.device(options.device or training_device.device())
    if options.memory:
        table = pel_memory(device)
        print(f"PEL, tf_efficientnet_b4, 320 px, MiB ({device})\n{table.to_string(index=False, float_format='%.0f')}")
        paths.replace(paths.RESULTS / "memory_benchmark.csv", lambda file: table.to_csv(file, index=False))
        return
    large = device.type == "cuda"
    backbone, size, batch = ("tf_efficientnet_b4", 320, 32) if large else ("tf_efficientnet_lite0", 128, 16)
    small = {"num_features": 32, "growth_rate": 16, "num_blocks": 4, "num_layers": 4}
    sizes, side = ({}, 1024) if large else (small, 256)
    name = name_of(device) if large else f"CPU, {torch.get_num_threads()} threads"
    tables = {
        f"PEL, {backbone}, {size} px, batches of {batch}": pel_training(device, backbone, size, batch, options.rounds),
        f"RDN, {side} px": rdn_inference(device, sizes, side, options.rounds),
    }
    for title, table in tables.items():
        print(f"{title} ({name})\n{table.to_string(index=False, float_format='%.2f')}\n")
    whole = pd.concat([table.assign(what=title, device=name) for title, table in tables.items()])
    paths.replace(paths.RESULTS / "model_benchmark.csv", lambda file: whole.to_csv(file, index=False))
    print("" if large else "CUDA: not measured here")


if __name__ == "__main__":
    main()
