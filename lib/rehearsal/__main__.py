"""Run every stage of dvc.yaml at `scale: paper`, on stand-ins for data and weights: `make rehearsal`.

Only the numbers of images and epochs are smaller. A stage that ended well is not run again unless its code, its
settings or the stand-ins have changed; if one fails, the others run as far as their inputs exist.
"""

import argparse
import functools
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import yaml

from lib import params, paths
from lib.rehearsal import memory, settings, stand_ins
from lib.training import staleness

COLUMNS = ["stage", "seconds", "core_seconds", "peak_GiB", "made", "outcome"]
QUICK = ("real_and_forged_faces", "re_synthesizers", "more_fakes", "wiped_fakes", "cross_training")
TABLE = paths.ROOT / "results" / "rehearsal.csv"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal, in the messages of papermill


def rehearse(folder, stages, names=()):
    """Run stages in a folder of their own and return a table, COLUMNS, with a row for each.

    stages: those of dvc.yaml, {name: stage}; names: of those to run, all by default. core_seconds: how long the stage
    kept cores busy, whatever else this machine did; peak_GiB: the largest resident memory of all its processes.
    """
    file = settings.write(folder)
    read = params.read("paper", file)
    stand_ins.make(folder / "stand_ins", read)
    found = [str(paths.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **stand_ins.hubs(folder / "stand_ins"), **memory.environment(folder),
                   "DEEPFAKE_PARAMS": str(file), "DEEPFAKE_OUTPUTS": str(folder), "DEEPFAKE_SCALE": "paper",
                   "PYTHONPATH": os.pathsep.join(found), "TQDM_DISABLE": "1"}  # fmt: skip
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    keys, rows = keys_of(stages, read.model_dump()), []
    for name in names or stages:
        kept = folder / "stages" / f"{name}.json"
        row = json.loads(kept.read_text()) if kept.is_file() else {}
        if row.get("key") != keys[name] or row["outcome"] != "ok":
            row = {"stage": name, **run(name, stages, folder, environment), "key": keys[name]}
            paths.replace(kept, lambda temporary, row=row: temporary.write_text(json.dumps(row)))
        rows.append(row)
        print(f"{name}: {row['outcome']}, {row['seconds']:.0f} s, {row['peak_GiB']:.1f} GiB", flush=True)
    return pd.DataFrame(rows)[COLUMNS]


def run(name, stages, folder, environment):
    """Run one stage and return {seconds, core_seconds, peak_GiB, made, outcome}; its output is kept in folder/logs."""
    nothing = {"seconds": 0.0, "core_seconds": 0.0, "peak_GiB": 0.0, "made": ""}
    for dependency, maker in makers(stages, name).items():
        if not (folder / dependency).exists():
            return {**nothing, "outcome": f"not run: {dependency} of stage {maker} is missing"}
    log, began, when, busy = folder / "logs" / f"{name}.txt", time.perf_counter(), time.time(), core_seconds()
    log.parent.mkdir(exist_ok=True)
    (folder / "results/notebooks").mkdir(parents=True, exist_ok=True)
    command = settings.command(stages[name], folder)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=paths.ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        watch = Memory(process.pid)
        watch.start()
        status = process.wait()
    peak, seconds = watch.end(), time.perf_counter() - began
    lines = [line for line in COLOURS.sub("", log.read_text(errors="replace")).splitlines() if line.strip()]
    if name == "re_synthesizers" and status == 0:
        share(folder / "checkpoints/re_synthesizer")
    outcome = "ok" if status == 0 else f"failed: {(lines or [f'ended with {status}'])[-1].strip()}"
    return {
        "seconds": seconds,
        "core_seconds": core_seconds() - busy,
        "peak_GiB": peak / 2**30,
        "made": made(folder, when),
        "outcome": outcome,
    }


def share(folder):
    """Give SR+C and SR+D the weights of SR after their own training, so that later stages share what these compute."""
    for name in ("SR+C", "SR+D"):
        copy = functools.partial(shutil.copyfile, folder / "SR.safetensors")
        paths.replace(folder / f"{name}.safetensors", copy)


def core_seconds():
    """Return the processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def makers(stages, name):
    """Return {dependency of a stage: the stage that writes it}, for outputs of other stages."""
    outs = {next(iter(out)) if isinstance(out, dict) else out: other
            for other, stage in stages.items() for out in stage["outs"]}  # fmt: skip
    return {dependency: outs[dependency] for dependency in stages[name]["deps"] if dependency in outs}


def keys_of(stages, read):
    """Return {stage: hash of its command, its code and notebook, its settings, and the hashes of earlier stages}."""
    own, keys = {}, {}
    for name, stage in stages.items():
        digest = hashlib.sha256(json.dumps([stage["cmd"], [read[key] for key in stage["params"]]]).encode())
        for dependency in stage["deps"]:
            place = paths.ROOT / dependency
            files = sorted(place.rglob("*.*")) if place.is_dir() else [place]
            for file in files if dependency.startswith(("lib", "notebooks")) else ():
                if file.is_file() and file.suffix != ".pyc":
                    digest.update(file.read_bytes())
        own[name] = digest.hexdigest()
    for name in stages:  # in the order in which they run
        before = [keys[maker] for maker in makers(stages, name).values()]
        keys[name] = staleness.key(own=own[name], before=before, code=(stand_ins.__name__,))
    return keys


def made(folder, began):
    """Return in words what was written to the folder since `began`: trainings, images scored, images written."""
    new = lambda pattern: [file for file in folder.glob(pattern) if file.stat().st_mtime >= began]
    scored = sum(len(file.read_text().splitlines()) - 1 for file in new("results/scores/**/*.csv"))
    counts = {"trainings": len(new("results/history/**/*.csv")), "scores": scored,
              "images": len(new("faces/**/*.png")) + len(new("wiped/**/*.png"))}  # fmt: skip
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


class Memory(threading.Thread):
    """Watch the resident memory of a process and all that it starts, five times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.process, self.peak, self.over = psutil.Process(pid), 0, threading.Event()

    def run(self):
        while not self.over.wait(0.2):
            try:
                together = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.peak = max(self.peak, sum(map(_resident, together)))

    def end(self):
        """Stop and return the peak in bytes."""
        self.over.set()
        self.join()
        return self.peak


def _resident(process):
    try:
        return process.memory_info().rss
    except psutil.Error:  # it has ended
        return 0


def main(arguments=None):
    """Run the command line; returns 1 if a stage failed."""
    stages = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"]
    parser = argparse.ArgumentParser(prog="python -m lib.rehearsal", description=__doc__.splitlines()[0])
    parser.add_argument("stages", metavar="STAGE", nargs="*", help="of dvc.yaml; all by default")
    parser.add_argument("--quick", action="store_true", help=f"five minutes: {', '.join(QUICK)}")
    parser.add_argument("--folder", type=Path, default=paths.ROOT / ".rehearsal", help="to work in (%(default)s)")
    options = parser.parse_args(arguments)
    names = options.stages or (QUICK if options.quick else ())
    if unknown := set(names) - set(stages):
        parser.error(f"{min(unknown)!r} is no stage of dvc.yaml: {', '.join(stages)}")
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    table = rehearse(folder, stages, names)
    if not names:
        paths.replace(TABLE, lambda file: table.to_csv(file, index=False, float_format="%.1f"))
    print(table.to_string(index=False, float_format="{:.1f}".format))
    return int((table["outcome"] != "ok").any())


if __name__ == "__main__":
    sys.exit(main())
