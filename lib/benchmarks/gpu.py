"""Test and time the project on a GPU, part by part: `make gpu`, or `python -m lib.benchmarks.gpu`.

Each part runs in a process of its own and keeps its table in results/gpu/PART.csv. If one fails, or the time is up, the
tables of the others stay; the same command then makes those that are missing or were made by older code.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import accelerate
import pandas as pd
import torch

from lib import detectors, params, paths
from lib.benchmarks import networks, ops
from lib.bts import re_synthesis, sets
from lib.bts.re_synthesizer import RDN, rdn_options
from lib.data import faces, layouts
from lib.data.items import Balanced, FaceImages
from lib.evaluation import score_files
from lib.pel import train as pel_train
from lib.training import checkpoints, staleness
from lib.training.device import seed_everything
from lib.training.fit import fit

FOLDER = paths.RESULTS / "gpu"
TARGETS = {"noise_enhance": 1.6, "noise_enhance + backward": 2.2, "frequency_stem + backward": 1.45}  # times the floor
SMALL = "tf_efficientnet_lite0"
MODULE = "lib.benchmarks.gpu"  # __name__ is __main__ where this runs as a command
CURVE = [sys.executable, "-m", MODULE, "--curve"]


def tests(options):
    """Run the tests that need a GPU: a row each, with its outcome and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests", f"--junit-xml={report}"]
        subprocess.run(command, cwd=paths.ROOT, stdout=sys.stderr)
        cases = list(ET.parse(report).iter("testcase"))
    outcome = lambda case: next((part.tag for part in case if part.tag in ("failure", "error", "skipped")), "passed")
    return pd.DataFrame([{"test": case.get("name"), "outcome": outcome(case), "seconds": float(case.get("time"))}
                         for case in cases])  # fmt: skip


def operations(options):
    """Time the operations of PEL in float32 and bfloat16, and say which have met their TARGETS."""
    sizes = (
        {"shapes": ((1, 4, 16, 16),), "images": (1, 3, 32, 32), "rounds": 1} if options.quick else {"compiled": True}
    )
    measured = ops.table(options.device, (torch.float32, torch.bfloat16), **sizes)
    target = measured["operation"].map(TARGETS)
    return measured.assign(target=target, met=(measured["ours / floor"] <= target).where(target.notna()))


def whole_networks(options):
    """Time PEL in training and the re-synthesis of one picture: rows as in `networks.pel_training`."""
    backbone, size, batch, rounds = (SMALL, 64, 2, 1) if options.quick else ("tf_efficientnet_b4", 320, 32, 5)
    sizes, side = (rdn_options(params.read("smoke").re_synthesizer), 64) if options.quick else ({}, 1024)
    compiled = not options.quick
    pel = networks.pel_training(options.device, backbone, size, batch, rounds, compiled)
    rdn = networks.rdn_inference(options.device, sizes, side, rounds, compiled)
    titles = (f"PEL, {backbone}, {size} px, batches of {batch}", f"RDN, {side} px")
    return pd.concat([table.assign(what=title) for title, table in zip(titles, (pel, rdn), strict=True)])


def memory(options):
    """Measure the memory of PEL: rows as in `networks.pel_memory`."""
    return networks.pel_memory(options.device, *((SMALL, 64) if options.quick else ()))


def pel_epoch(options):
    """Train PEL for one epoch at the paper's size on faces cut out of videos: images a second, with the validation.

    Random weights. The videos are those of `--videos`, in the layout of FaceForensics++; cutting is timed separately.
    """
    paper = params.read("smoke" if options.quick else "paper")
    data_set = params.DataSet(layout="FaceForensics++", root=options.videos)
    began = time.perf_counter()
    table = faces.prepare(data_set, paper.faces, 0)
    cut = time.perf_counter() - began
    budget = paper.pel.training.replace(epochs=1, warmup_epochs=0, decay_at=[])
    train = functools.partial(pel_train.train, detectors.entry("PEL"), table, paper.faces, budget, 0, "gpu/PEL",
                              pel=paper.pel.replace(pretrained=False))  # fmt: skip
    splits = table.groupby(["split", "label"]).size()
    counts = {"images": 2 * splits["train"].min(), "validated": splits["val"].sum()}
    return _epoch(train, f"PEL, {paper.pel.backbone}, {paper.faces.size} px", budget, counts, options.videos, cut)


def residual_epoch(options):
    """Train the detector of Beyond the Spectrum for one epoch at the paper's size, random weights, on `--images`."""
    paper = params.read("smoke" if options.quick else "paper")
    shared, entry = paper.re_synthesizer, detectors.entry("SR")
    table = layouts.images(params.DataSet(layout="CelebA-HQ", root=options.images, resize=True), 0)
    learn, budget = sets.rows(table, "train"), paper.residual_detectors.replace(epochs=1)
    seed_everything(0)
    checkpoints.save(RDN(**rdn_options(shared)), checkpoints.file("re_synthesizer/SR"), {})
    made = entry.options(size=shared.size, re_synthesizer=shared, residual_detectors=budget)
    model = entry.network(**made, pretrained=False)
    items = Balanced(learn, FaceImages(learn, shared.size, flip=True), 0)
    depends_on = {"code": (*entry.code, FaceImages.__module__, re_synthesis.__name__)}
    train = functools.partial(fit, model, entry.loss, items, budget, "gpu/SR", seed=0, depends_on=depends_on,
                              optimizer="sgd")  # fmt: skip
    counts = {"images": len(items), "validated": 0}
    return _epoch(train, f"BTS, SR, {shared.size} px", budget, counts, options.images)


def _epoch(train, what, budget, counts, root, cut=0.0):
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    train()
    seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else float("nan")
    row = {"what": what, "batch": budget.batch_size, **counts, "seconds": seconds,
           "images/s": sum(counts.values()) / seconds, "peak MiB": peak, "cutting, s": cut}  # fmt: skip
    return pd.DataFrame([row | {"sample": Path(root).name}])


def two_processes(options):
    """Compare the loss curve of two processes that share the device with that of one: a row an epoch."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *CURVE[1:]]
    curves = []
    for command in (CURVE, torchrun):
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"DEEPFAKE_OUTPUTS": folder}
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=paths.ROOT
            )
        curves.append(json.loads(done.stdout.splitlines()[-1]))
    return pd.DataFrame({"epoch": range(1, len(curves[0]) + 1), "one process": curves[0], "two processes": curves[1]})


class Faces(torch.utils.data.Dataset):
    """Images of noise; those with the label fake are brighter."""

    def __len__(self):
        return 32

    def __getitem__(self, index):
        rgb = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(index))
        return {"rgb": rgb * (0.8 + 0.1 * (index % 2)), "label": torch.tensor(index % 2, dtype=torch.float32)}


def curve():
    """Print the losses of a short training as JSON; processes that share a GPU need gloo, because NCCL refuses them."""
    if "WORLD_SIZE" in os.environ and torch.cuda.is_available():
        accelerate.PartialState(backend="gloo")
    seed_everything(0)
    entry, budget = detectors.entry("RGB"), params.read("smoke").pel.training
    budget = budget.replace(epochs=3, warmup_epochs=1, batch_size=16)
    model = entry.network(SMALL, pretrained=False, streams=["rgb"], drop_rate=0)
    history = fit(model, entry.loss, Faces(), budget, "gpu/curve", seed=0, depends_on={"code": (*entry.code, MODULE)})
    if os.environ.get("RANK", "0") == "0":  # lines of two processes would mix
        print(json.dumps(history["loss"].tolist()))


PARTS = {tests: 10, operations: 6, whole_networks: 8, memory: 3, pel_epoch: 8, residual_epoch: 6, two_processes: 4}
"""{part: the minutes that it may take}."""


def run(options):
    """Run each part that has no up-to-date table, print how each ended, and return how many still have none."""
    began, missing = time.monotonic(), 0
    for part, minutes in PARTS.items():
        file, name = FOLDER / f"{part.__name__}.csv", part.__name__
        if score_files.fresh(file, _key(part, options)):
            print(f"{name}: measured already, {paths.show(file)}")
            continue
        left = 60 * options.minutes - (time.monotonic() - began)
        command = [sys.executable, "-m", MODULE, *options.given, "--part", name]
        try:
            with tempfile.TemporaryDirectory() as folder:  # for weights, which nobody needs afterwards
                environment = os.environ | {"DEEPFAKE_OUTPUTS": folder, "DEEPFAKE_RESULT": str(file)}
                done = subprocess.run(command, env=environment, cwd=paths.ROOT, stderr=subprocess.PIPE, text=True,
                                      timeout=max(1.0, min(left, 60 * minutes)))  # fmt: skip
            ended = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]
        except subprocess.TimeoutExpired:
            ended = "out of time; run the same command again"
        missing += bool(ended)
        print(f"{name}: {ended or paths.show(file)}\n" + ("" if ended else f"{file.read_text()}\n"), flush=True)
    return missing


def _key(part, options):
    what = {"part": part.__name__, "device": ops.name_of(options.device), "quick": options.quick}
    return staleness.key(**what, sample=[options.videos, options.images], code=(MODULE,))


def main(arguments=None):
    """Run the command line; the exit status is 1 if a part has no table."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the command itself")
    parser.add_argument("--minutes", type=float, default=35, help="in all (%(default)s)")
    parser.add_argument("--videos", default="data/FaceForensics++", help="of pel_epoch (%(default)s)")
    parser.add_argument("--images", default="data/CelebA-HQ", help="of residual_epoch (%(default)s)")
    parser.add_argument("--part", choices=[part.__name__ for part in PARTS], help=argparse.SUPPRESS)
    parser.add_argument("--curve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.curve:
        return curve()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device is here; `--device cpu --quick` tries the command without one")
    options.device, options.given = torch.device(options.device), sys.argv[1:] if arguments is None else arguments
    if options.part:
        part = next(part for part in PARTS if part.__name__ == options.part)
        table = part(options).assign(device=ops.name_of(options.device))
        return score_files.write(Path(os.environ["DEEPFAKE_RESULT"]), table, _key(part, options))
    raise SystemExit(min(run(options), 1))


if __name__ == "__main__":
    main()
