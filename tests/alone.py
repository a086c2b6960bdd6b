"""Does each notebook run alone, and give the committed numbers? `python tests/alone.py [NUMBER ...]`, after `make lab`.

Each notebook is run by itself, on one thread, with outputs of its own (.alone/NUMBER), which begin as what `make lab`
restores. A line says its minutes, and which numbers of results/metrics it left: beyond TOLERANCE, which another
processor keeps. The exit status is 1 if a notebook failed or a number moved.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = ("checkpoints", "faces", "generated", "wiped", ".landmarks", "results/scores", "results/history")
WRITTEN = ("results/tables", "results/claims")  # also read
TOLERANCE = 2e-3


def numbers(values, name=""):
    """Yield (name, number) of everything in a nested dict."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from numbers(value, f"{name}/{key}")
    elif isinstance(values, (int, float)) and not isinstance(values, bool):
        yield name, float(values)


def moved(committed, now):
    """Return the names of the numbers that are missing, new, or not where they were."""
    before, after = dict(numbers(committed)), dict(numbers(now))
    same = lambda a, b: math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(a) and math.isnan(b))
    return sorted(n for n in before.keys() | after.keys()
                  if n not in before or n not in after or not same(before[n], after[n]))  # fmt: skip


def run(notebook, top):
    """Run a notebook with outputs of its own below `top`; returns (minutes, what is wrong with it, in words)."""
    outputs, began = top / notebook.stem[:2], time.perf_counter()
    for part in MADE:
        link = outputs / part
        if (ROOT / part).exists() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(ROOT / part, target_is_directory=True)
    for part in WRITTEN:
        shutil.copytree(ROOT / part, outputs / part, dirs_exist_ok=True)
    environment = {**os.environ, "DEEPFAKE_OUTPUTS": str(outputs), "OMP_NUM_THREADS": "1"}
    command = [
        "papermill",
        "-k",
        "python3",
        "--no-progress-bar",
        "--cwd",
        "notebooks",
        str(notebook),
        str(outputs / "run.ipynb"),
    ]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    minutes = (time.perf_counter() - began) / 60
    if ended.returncode:
        return minutes, (ended.stderr.strip().splitlines() or ["no message"])[-1]
    wrong = []
    for file in sorted((outputs / "results/metrics").glob("*.json")):
        committed = json.loads((ROOT / "results/metrics" / file.name).read_text())
        wrong += [f"{file.stem}{name}" for name in moved(committed, json.loads(file.read_text()))]
    return minutes, f"{len(wrong)} numbers moved: {', '.join(wrong[:5])}" if wrong else ""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="of notebooks, such as 04; all by default")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="notebooks that run at a time")
    given = parser.parse_args(arguments)
    chosen = [
        n for n in sorted((ROOT / "notebooks").glob("*.ipynb")) if not given.numbers or n.stem[:2] in given.numbers
    ]
    bad = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        for notebook, (minutes, wrong) in zip(chosen, pool.map(lambda n: run(n, ROOT / ".alone"), chosen), strict=True):
            bad += bool(wrong)
            print(f"{notebook.stem:<36} {minutes:4.1f} min  {wrong or 'the same numbers'}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
