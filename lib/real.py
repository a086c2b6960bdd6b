"""Results on real faces: `python -m lib.real FOLDER` trains and scores on the samples of real data sets in FOLDER.

Each task has a params.yaml of its own, written to .real/TASK, and runs the commands of one family of lib.seeds. Only
scores are kept, in results/real/TASK. Started again, the command goes on. No picture leaves FOLDER.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from lib import paths, seeds
from lib.params import merge

FACES = {"layout": "folders", "root": "ffpp_faces_128"}
DFDC = {"layout": "folders", "root": "dfdc_faces_224", "resize": True}
STYLEGAN = {"layout": "folders", "root": "ffhq_stylegan_256_q95"}
OFFICIAL = "mesonet/weights"  # where in FOLDER the weights are that MesoNet's authors published; may be missing
KEPT = paths.ROOT / "results" / "real"


@dataclass(frozen=True)
class Task:
    """What to train, on which data and with which seeds.

    family: of lib.seeds; params: what differs from params.yaml; seeds: {detectors or rows (none: all): seeds}; before:
    modules that are run once before the trainings.
    """

    family: str
    params: dict
    seeds: dict
    before: tuple = ()


def forged(own, other):
    """Return what differs from params.yaml if PEL and its rivals learn from `own` and are also tested on `other`."""
    return {"data": {"forged": own, "cross_forged": [other]}, "faces": {"size": 128},
            "pel_detectors": {"seeds_train_on": []}}  # fmt: skip


TASKS = {
    "forged": Task(
        "pel", forged(FACES, DFDC), {("PEL", "RGB"): range(5), ("SBI", "PEL+residual"): range(5), (): range(3)}
    ),
    "dfdc": Task("pel", forged(DFDC, FACES), {("PEL", "RGB"): range(3)}),
    "generated": Task(
        "bts",
        {
            "data": {"generated": STYLEGAN, "cross_generated": []},
            "re_synthesizer": {"size": 256},
            "bts_detectors": {"sources": ["all"]},
            "test_sets": {name: {"root": ""} for name in ("R", "A", "FFHQ", "StarGAN2")},
        },
        {(): range(3), ("SR", "SR+C", "SR+D", "Image"): range(3, 5)},
        before=("lib.bts.wiped",),
    ),
}


def write(task, folder, outputs):
    """Write the params.yaml of a Task, its roots below `folder`, to outputs/params.yaml and return this path."""

    def rooted(value):
        if isinstance(value, list):
            return [rooted(part) for part in value]
        if not isinstance(value, dict):
            return value
        return {key: str(folder / part) if key == "root" and part else rooted(part) for key, part in value.items()}

    raw = merge(yaml.safe_load(paths.PARAMS.read_text()), rooted(task.params)) | {"scale": "bundled"}
    paths.replace(outputs / "params.yaml", lambda temporary: temporary.write_text(yaml.safe_dump(raw)))
    return outputs / "params.yaml"


def run(name, folder, chosen=None):
    """Run a task on the samples in a folder; chosen: seeds, those of the task by default.

    Raises SystemExit in one line for a missing folder or a command that fails.
    """
    task, outputs = TASKS[name], paths.OUTPUTS / ".real" / name
    for root in {each["root"] for each in _data_sets(task.params) if each.get("root")}:
        if not (folder / root).is_dir():
            raise SystemExit(f"{folder / root}: no such folder; task {name} needs it")
    file = write(task, folder, outputs)
    environment = os.environ | {"DEEPFAKE_PARAMS": str(file), "DEEPFAKE_OUTPUTS": str(outputs)}
    commands = [["-m", module] for module in task.before]
    for only, of_task in task.seeds.items():
        numbers = [str(seed) for seed in of_task if chosen is None or seed in chosen]
        words = ["-m", "lib.seeds", *numbers, "--family", task.family, "--kept", str(KEPT / name)]
        commands += [[*words, *(["--only", *only] if only else [])]] if numbers else []
    if task.family == "pel" and (files := sorted((folder / OFFICIAL).glob("*.h5"))):
        commands.append(["-m", "lib.rivals.meso_official", "--score", *map(str, files)])
    for words in commands:
        if status := subprocess.run([sys.executable, *words], env=environment, cwd=paths.ROOT).returncode:
            raise SystemExit(f"task {name}: python {' '.join(words)} ended with {status}; start it again to go on")
    seeds.copy("official", 0, outputs, KEPT / name)


def _data_sets(params):
    for value in params.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from [part] if "root" in part else _data_sets(part)


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.real", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the samples lie, each in a folder of its name")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"{', '.join(TASKS)}; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", help="those of each task by default")
    given = parser.parse_args(arguments)
    if unknown := set(given.tasks) - set(TASKS):
        parser.error(f"{min(unknown)!r} is not one of {', '.join(TASKS)}")
    for name in given.tasks or TASKS:
        run(name, given.folder.resolve(), given.seeds)


if __name__ == "__main__":
    main()
