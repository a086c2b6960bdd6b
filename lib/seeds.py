"""Repeat all trainings with other seeds, to see how much depends on luck, and keep their scores in results/seeds.

`python -m lib.seeds 0 1 2 3 4` trains and scores both papers' detectors once a seed, on the faces and fakes of the
default run. Each seed has outputs of its own in .seeds/SEED; started again, the command goes on. What is kept is small
and in git: the scores of each test image, and results/seeds/runs.csv, which tells how each run was made.
"""

import argparse
import datetime
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from sklearn.metrics import roc_auc_score

from lib import detectors, params, paths, preflight
from lib.bts import re_synthesis
from lib.evaluation import score_files, verdicts
from lib.training import staleness

FAMILIES = {
    "bts": ("lib.bts.re_synthesis", "lib.bts.score"),
    "pel": ("lib.pel.score --every",),
    "pel_ablations": ("lib.pel.ablations --every",),
}
"""{family: commands that train its detectors and write results/scores/FAMILY}."""
SETTINGS = {
    "bts": ("data", "re_synthesizer", "residual_detectors", "bts_detectors", "test_sets"),
    "pel": ("data", "faces", "pel", "pel_detectors"),
    "pel_ablations": ("data", "faces", "pel", "ablations"),
}
"""Sections of params.yaml that decide the results of a family."""
CODE = {
    "bts": ("lib.bts.train", "lib.bts.testing", "lib.bts.re_synthesizer", *re_synthesis.CODE),
    "pel": ("lib.pel.train", "lib.pel.testing"),
    "pel_ablations": ("lib.pel.train", "lib.pel.testing"),
}
"""The modules that train and test a family; the code of each detector is added to them."""
SHARED = ("faces", "wiped", ".landmarks")  # made once, because they do not depend on the training seed
KEPT = paths.ROOT / "results" / "seeds"
RUNS = "runs.csv"  # in the folder of what is kept: how each run was made
FORMAT = {"index": False, "float_format": "%.4f", "compression": {"method": "gzip", "mtime": 0}}
ROUNDING = 1e-4  # of the scores that are kept
COLUMNS = ["scale", "family", "seed", "seconds", "machine", "date", "recipe"]


def recipe(family, settings):
    """Return a hash of all that the scores of a family depend on, except the training seed: settings and code."""
    sections = {name: _decisive(getattr(settings, name).model_dump()) for name in SETTINGS[family]}
    every = [detectors.entry(name).code for name in detectors.names("bts" if family == "bts" else "pel")]
    code = sorted({*CODE[family], *itertools.chain(*every)})
    return staleness.key(scale=settings.scale, seed=settings.seed, settings=sections, code=code)


def _decisive(section):
    """Return a section without the number of processes that read images, and without the list of rows of a run."""
    if not isinstance(section, dict):
        return section
    return {key: _decisive(value) for key, value in section.items() if key not in ("workers", "rows")}


def machine():
    """Return the name of the processor."""
    file = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", file.read_text()) if file.is_file() else None
    return named[1] if named else platform.processor()


def start(family, outputs):
    """Copy what the default run has trained of a family to `outputs`, so that its seed is not trained twice."""
    parts = [paths.CHECKPOINTS / family, paths.HISTORY / family, paths.RESULTS / "scores" / family]
    for folder in (*parts, paths.CHECKPOINTS / "re_synthesizer", paths.HISTORY / "re_synthesizer"):
        if folder.is_dir():
            shutil.copytree(folder, outputs / folder.relative_to(paths.OUTPUTS), dirs_exist_ok=True)


def train(family, seed, outputs, only=()):
    """Run the commands of a family with a training seed into the folder `outputs`; raises SystemExit if one fails.

    only: the detectors or rows to train, all by default.
    """
    outputs.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        made, link = paths.OUTPUTS / name, outputs / name
        if made.is_dir() and not link.exists():
            link.symlink_to(made, target_is_directory=True)
    environment = os.environ | {"DEEPFAKE_OUTPUTS": str(outputs), "DEEPFAKE_SEED": str(seed)}
    for command in FAMILIES[family]:
        words = [sys.executable, "-m", *command.split(), *(only if command == FAMILIES[family][-1] else ())]
        if status := subprocess.run(words, env=environment, cwd=paths.ROOT).returncode:
            raise SystemExit(f"seed {seed}: python -m {command} ended with {status}; start it again to go on from here")


def copy(family, seed, outputs, kept):
    """Copy the scores of a family from the folder `outputs` to a folder such as KEPT, four digits a score."""
    folder = outputs / "results" / "scores" / family
    for file in sorted(folder.rglob("*.csv")):
        to, table = kept / family / file.relative_to(folder).with_suffix(""), score_files.read(file)
        paths.replace(to / f"{seed}.csv.gz", lambda temporary, table=table: table.to_csv(temporary, **FORMAT))


def keep(family, seed, outputs, kept=None, **how):
    """Copy the scores of a family to a folder (KEPT by default), and add how they were made, COLUMNS, to its RUNS."""
    kept = kept or KEPT
    copy(family, seed, outputs, kept)
    row = pd.DataFrame([{"family": family, "seed": seed, **how}])[COLUMNS]
    whole = pd.concat([table for table in (runs(kept), row) if len(table)])
    whole = whole.drop_duplicates(["family", "seed"], keep="last").sort_values(["family", "seed"])
    paths.replace(kept / RUNS, lambda temporary: whole.to_csv(temporary, index=False))


def runs(kept=None, family=None):
    """Return how the scores in a folder (KEPT by default) were made: COLUMNS, one row for each family and seed."""
    file = (kept or KEPT) / RUNS
    table = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=COLUMNS)
    return table if family is None else table[table["family"] == family]


def read(name, kept=None):
    """Return {seed: table of scores} that are kept under a name, such as "bts/SR/ProGAN"; {} if none are."""
    files = sorted(((kept or KEPT) / name).glob("*.csv.gz"), key=lambda file: int(file.name.split(".")[0]))
    return {int(file.name.split(".")[0]): score_files.kept(file) for file in files}


def doubt(family, settings):
    """Return why the kept scores of a family are not those of this code and these settings, in one line, or ""."""
    made = runs(family=family)
    if made.empty:
        return f"results/seeds: no seeds of {family} are kept; `python -m lib.seeds 0 1 2 3 4` makes them"
    if not _of_scale(made, settings):
        return f"results/seeds: those of {family} are of scale {made['scale'].iloc[0]}, this run is {settings.scale}"
    old = made.loc[made["recipe"] != recipe(family, settings), "seed"].tolist()
    remedy = "`make repro-all` makes them again"
    return f"results/seeds: {family} has changed since seeds {old} were run; {remedy}" if old else ""


def together(family, names, settings, this_run):
    """Return ({name: {training seed: scores}}, `doubt`), for tables and verdicts: the kept scores, else those of a run.

    names: under which scores of a family are kept, such as "PEL" or "SR/ProGAN"; this_run: {name: scores of this run},
    which are used where none are kept, and for all names if the kept ones are of another scale.
    """
    told, usable = doubt(family, settings), _of_scale(runs(family=family), settings)
    kept = {name: read(f"{family}/{name}") if usable else {} for name in names}
    alone = {name: {settings.training_seed: scores} for name, scores in this_run.items()}
    return {name: kept[name] or alone[name] for name in names if kept[name] or name in alone}, told


def _of_scale(made, settings):
    return set(made["scale"]) == {settings.scale}


def check():
    """Compare the scores of the default run with the range that other seeds let expect: a DataFrame, one row a number.

    Columns: what (the kept name), test, metric, value, low, high (`verdicts.expected`), inside. The numbers are frame
    accuracy and AUC of each test that has real and fake images.
    """
    rows = []
    for folder in sorted({file.parent for file in KEPT.rglob("*.csv.gz")}):
        what = folder.relative_to(KEPT).as_posix()
        file = paths.RESULTS / "scores" / f"{what}.csv"
        if not file.is_file():
            continue
        now, *others = (_by_test(run) for run in (score_files.read(file), *read(what).values()))
        for test, part in now.items():
            if part["label"].nunique() == 2 and len(others) > 1 and all(test in run for run in others):
                same = [(run[test]["label"], run[test].iloc[:, -1]) for run in (now, *others)]
                measured = {"accuracy": [((score > 0.5) == label).mean() for label, score in same],
                            "AUC": [roc_auc_score(label, score) for label, score in same]}  # fmt: skip
                for metric, (value, *kept) in measured.items():
                    low, high = verdicts.expected(kept)
                    inside = bool(low - ROUNDING <= value <= high + ROUNDING)
                    rows.append({"what": what, "test": ", ".join(test), "metric": metric, "value": value,
                                 "low": low, "high": high, "inside": inside})  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "test", "metric", "value", "low", "high", "inside"])


def _by_test(scores):
    return dict(list(scores.groupby([column for column in ("train", "test") if column in scores], sort=False)))


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.seeds", description=__doc__.splitlines()[0])
    parser.add_argument("seeds", type=int, nargs="*", metavar="SEED")
    parser.add_argument("--check", action="store_true", help="compare the last run with the range of other seeds")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="all by default")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="detectors or rows; all by default")
    parser.add_argument(
        "--kept", type=Path, default=KEPT, metavar="FOLDER", help="where to keep the scores (%(default)s)"
    )
    given = parser.parse_args(arguments)
    try:
        settings = params.load()
    except params.ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
    if given.check or not given.seeds:
        return _say(check())
    preflight.stop(settings)
    for family in given.family:
        for seed in given.seeds:
            outputs = paths.OUTPUTS / ".seeds" / str(seed)
            if seed == settings.training_seed:
                start(family, outputs)
            spent, began = outputs / ".unfinished" / f"seconds_{family}.json", time.perf_counter()
            before = json.loads(spent.read_text()) if spent.is_file() else 0
            train(family, seed, outputs, given.only)
            seconds = before + time.perf_counter() - began
            paths.replace(spent, lambda temporary, seconds=seconds: temporary.write_text(json.dumps(seconds)))
            keep(family, seed, outputs, given.kept, scale=settings.scale, seconds=round(seconds),
                 recipe=recipe(family, settings), machine=f"{machine()}, {os.cpu_count()} cores",
                 date=datetime.date.today().isoformat())  # fmt: skip
            print(f"{family}, seed {seed}: {seconds / 60:.0f} minutes, kept in {paths.show(given.kept / family)}")
    return 0


def _say(table):
    """Print the numbers outside of the expected range; returns 1 if there are more of them than luck explains."""
    if table.empty:
        print("nothing to compare: no seeds are kept, or no scores are there (`make repro`)")
        return 0
    outside = table[~table["inside"]]
    if len(outside):
        print(outside.drop(columns="inside").to_string(index=False, float_format="{:.3f}".format))
    share = len(outside) / len(table)
    print(f"{len(outside)} of {len(table)} numbers ({share:.0%}) are outside the range of other seeds (luck: 5 %)")
    return int(share > 0.15)


if __name__ == "__main__":
    sys.exit(main())
