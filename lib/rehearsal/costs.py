"""Estimate what the papers' full data would take, stage by stage, by counts alone: `python -m lib.rehearsal.costs`.

No data set is read and nothing is trained. The time of a GPU is that of counted operators at an assumed share of its
peaks (`counting`), the time of a CPU that of measured items (`cpu`); `stages` says how many images there are, `ledger`
turns both into hours. No whole run has been compared with these estimates. Not counted: statistics and drawings, the
exchange of gradients between GPUs, the disk of the data sets.
"""

import argparse
import dataclasses

import pandas as pd

from lib import detectors, paths, preflight
from lib.params import ParamsError, read
from lib.rehearsal import cpu
from lib.rehearsal.counting import KINDS, Gpu
from lib.rehearsal.ledger import CORES, LIMITS, SUMS, Costs
from lib.rehearsal.networks import RDN_KEY, counted
from lib.rehearsal.notebooks import STAGES

FILE = paths.ROOT / "results" / "costs.csv"
PAGE = ["stage", "hours, 1 GPU", "hours, 8 GPUs", "core-hours", "disk GB", "GPU GiB", "RAM GiB"]  # of docs/cluster.md


def rows(params, gpu=None, works=None, seconds=None):
    """Return a row for each training, scoring and part on the CPU: stage, what, the numbers of `table`, batch, fit.

    params: of the scale to count; works: the result of `networks.counted`, which takes a minute, if it is known;
    seconds: the result of `cpu.table`. fit: the largest batch that the GPU's memory holds.
    Raises ParamsError for a data set or detector without known counts, FileNotFoundError as `cpu.table`.
    """
    seconds = cpu.table() if seconds is None else seconds
    costs = Costs(params, gpu or Gpu(), works or counted(params), seconds)
    for stage, add in STAGES.items():
        costs.add(stage, "")  # a stage that costs little has a row
        add(costs, stage)
    return pd.DataFrame(costs.rows)


def table(params, gpu=None, works=None, seconds=None):
    """Return the costs of each stage of dvc.yaml: a DataFrame, one row a stage.

    Columns: stage; the sums SUMS over its rows (images: seen in training, all epochs together; scored: in tests and
    validation; GPU busy h: without waiting for images); the largest GPU GiB and RAM GiB; verdict: "fits", or what
    does not (LIMITS). Arguments and errors as in `rows`.
    """
    found = rows(params, gpu, works, seconds)
    stages = found.groupby("stage", sort=False)
    whole = stages[SUMS].sum().join(stages[["GPU GiB", "RAM GiB"]].max())
    whole["verdict"] = [_verdict(found[found["stage"] == stage], row) for stage, row in whole.iterrows()]
    return whole.reset_index()


def memory(params, works):
    """Return the memory of the largest network of each batch size in params.yaml: a DataFrame, a row a batch size.

    Columns: trained, made_of, side (of an image in pixels), as in `preflight.trained`; network; its MiB, fixed and for
    each image.
    """
    rows = "ablations/"
    known = {"residual_detectors": detectors.names("bts"), "pel": detectors.names("pel"), "re_synthesizer": [RDN_KEY],
             "ablations": [key for key in works if key.startswith(rows)]}  # fmt: skip
    found = []
    for key, (batch, side, made_of) in preflight.trained(params).items():
        needs = {
            name: works[name].fixed + batch * works[name].image for name in known[key.split(".")[0]] if name in works
        }
        name = max(needs, key=needs.get)
        found.append({"trained": key, "made_of": made_of, "side": side, "network": name.removeprefix(rows),
                      "fixed": works[name].fixed / 2**20, "image": works[name].image / 2**20})  # fmt: skip
    return pd.DataFrame(found)


def _verdict(parts, whole):
    """Return "fits", or in one line which LIMITS a stage exceeds, and the batch that would fit."""
    wrong = []
    for need, limit in LIMITS.items():
        if whole[need] > limit:
            line = f"{need.split()[0]}: {whole[need]:.0f} of {limit:.0f} {need.split()[1]}"
            if need == "GPU GiB":
                worst = parts.loc[parts[need].idxmax()]
                line += f" ({worst['what']}, batch {worst['batch']:.0f}; {max(0, int(worst['fit']))} fit)"
            wrong.append(line)
    return "; ".join(wrong) or "fits"


def shown(table):
    """Return a table with its numbers as text, rounded to two digits."""
    text = lambda value: f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"
    return table.map(lambda value: value if isinstance(value, str) else text(value))


def main(arguments=None):
    """Run the command line; a mistake in params.yaml or a missing file ends it with one line, not a traceback."""
    parser = argparse.ArgumentParser(prog="python -m lib.rehearsal.costs", description=__doc__.splitlines()[0])
    words = f"peaks of the GPU in TFLOP/s: {', '.join(KINDS)}"
    default = Gpu()
    parser.add_argument("--gpu", default=default.name, help="its name, for the title")
    parser.add_argument("--tflops", type=float, nargs=len(KINDS), default=default.tflops, metavar="PEAK", help=words)
    parser.add_argument("--bandwidth", type=float, default=default.bandwidth, help="of its memory in TB/s")
    parser.add_argument("--utilisation", type=float, default=default.utilisation, help="share of both that is reached")
    parser.add_argument("--rows", action="store_true", help="each training and scoring instead of each stage")
    parser.add_argument("--measure", action="store_true", help="measure the CPU anew, in minutes, and write its table")
    given = parser.parse_args(arguments)
    gpu = dataclasses.replace(default, name=given.gpu, tflops=tuple(given.tflops), bandwidth=given.bandwidth,
                              utilisation=given.utilisation)  # fmt: skip
    try:
        if given.measure:
            print(cpu.measure().to_string(index=False))
        params = read("paper")
        works = counted(params)
        found = (rows if given.rows else table)(params, gpu, works)
        if gpu == default and not given.rows:
            paths.replace(FILE, lambda file: found.to_csv(file, index=False, float_format="%.3g"))
            needed = memory(params, works)
            paths.replace(preflight.MEMORY, lambda file: needed.to_csv(file, index=False, float_format="%.4g"))
    except (ParamsError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    peaks = ", ".join(f"{peak:g} {kind}" for peak, kind in zip(gpu.tflops, KINDS, strict=True))
    print(f"{gpu.name}: {peaks} TFLOP/s, {gpu.bandwidth:g} TB/s, of which {gpu.utilisation:.0%} are reached; "
          f"{CORES} CPU cores a GPU. Estimates, of two digits.")  # fmt: skip
    print(shown(found.fillna("") if given.rows else found).to_string(index=False))
    if not given.rows:
        total = found[SUMS].sum().to_frame().T
        print(f"in all:\n{shown(total).to_string(index=False)}")


if __name__ == "__main__":
    main()
