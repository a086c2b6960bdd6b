"""dvc.yaml: a stage runs again when something that it depends on has changed, and when nothing has, it does not."""

import json
import re

import pytest
import yaml

from lib import detectors, paths
from lib.training import staleness

PIPELINE = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
every_stage = pytest.mark.parametrize("name", STAGES)


def sources(stage):
    """Return the Python that a stage starts with: its module, or the code of its notebook."""
    if module := started(stage):
        return (paths.ROOT / f"{module.replace('.', '/')}.py").read_text()
    cells = json.loads((paths.ROOT / re.search(r"notebooks/\S+\.ipynb", stage["cmd"])[0]).read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def started(stage):
    """Return the module that a stage starts, or "" for a notebook; a package starts with its __main__."""
    found = re.search(r"python -m (\S+)", stage["cmd"])
    package = found and (paths.ROOT / found[1].replace(".", "/")).is_dir()
    return f"{found[1]}.__main__" if package else found[1] if found else ""


def closure(stage):
    """Return the files of lib that a stage imports, as paths from the root of the repository."""
    names = [started(stage)] if started(stage) else staleness.imported(sources(stage)) - set(staleness.NO_RESULT)
    files = staleness.sources(*names)
    if paths.ROOT / "lib/detectors.py" in files:  # which imports all detectors as soon as one is asked for
        files = staleness.sources(*names, *detectors.LISTED)
    return {file.relative_to(paths.ROOT).as_posix() for file in files}


def outs(stage):
    return [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]]


def covers(dependency, file):
    return file == dependency or file.startswith(f"{dependency}/")


@every_stage
def test_a_stage_depends_on_all_that_it_imports_and_on_nothing_else(name):
    dependencies = [dependency for dependency in STAGES[name]["deps"] if dependency.startswith("lib")]
    files = closure(STAGES[name])
    assert not {file for file in files if not any(covers(d, file) for d in dependencies)}, "imported, not in deps"
    assert not [d for d in dependencies if not any(covers(d, file) for file in files)], "in deps, not imported"


@every_stage
def test_a_stage_depends_on_the_sections_of_params_yaml_that_it_reads(name):
    read = set(re.findall(r"\bparams\.([a-z_]+)\b(?!\()", sources(STAGES[name]))) - {"load", "yaml", "replace"}
    stated = {param.split(".")[0] for param in STAGES[name]["params"]}
    assert read <= stated
    assert stated - read <= {"scale", "seed", "training_seed", "machine"}


def test_every_file_that_a_later_stage_reads_is_written_by_a_stage():
    written = [out for stage in STAGES.values() for out in outs(stage)]
    written += ["results/seeds", "results/tables/pel_ablation_seeds.csv"]  # made in hours, and committed
    for stage in STAGES.values():
        for dependency in stage["deps"]:
            made = dependency.startswith(("checkpoints", "results", "faces", "generated", "wiped"))
            assert not made or any(covers(out, dependency) or covers(dependency, out) for out in written), dependency


def test_finished_trainings_and_scores_survive_a_stage_that_runs_again():
    for stage in STAGES.values():
        for out in stage["outs"]:
            path, options = next(iter(out.items()))
            if path.startswith(("checkpoints", "results/history", "results/scores", "faces", "wiped")):
                assert options.get("persist"), path


def test_a_notebook_that_trains_nothing_makes_nothing_that_is_expensive():
    for name, stage in STAGES.items():
        if "papermill" in stage["cmd"] and name != "real_and_forged_faces":
            assert not [out for out in outs(stage) if out.startswith(("checkpoints", "results/scores", "faces"))]


def test_no_training_depends_on_a_figure_or_a_notebook():
    for stage in STAGES.values():
        if "python -m" in stage["cmd"]:
            assert "lib/figures.py" not in closure(stage)
            assert not [dependency for dependency in stage["deps"] if dependency.startswith("notebooks")]


def test_the_notebooks_are_tested_behind_every_training_that_they_read():
    lanes = re.findall(r"call smoke,(.*)\)", (paths.ROOT / "Makefile").read_text())
    modules = [f"lib.{module}" for lane in lanes for module in lane.split()]
    commands = [started(stage) for stage in STAGES.values() if started(stage)]
    assert sorted(modules) == sorted(module for module in commands if not module.startswith("lib.fakes"))
    in_lane = lambda lane: [module for module in commands if module.removeprefix("lib.") in lane.split()]
    assert modules == [module for lane in lanes for module in in_lane(lane)]  # in the order of the stages


def test_the_two_lanes_of_make_repro_share_no_stage_and_find_what_they_need():
    text = (paths.ROOT / "Makefile").read_text().replace("\\\n", " ")
    lanes = [found.split() for found in re.findall(r"^[A-Z]+_LANE :=(.*)", text, re.MULTILINE)]
    makers = {out: name for name, stage in STAGES.items() for out in outs(stage)}
    assert len(lanes) == 2 and not set(lanes[0]) & set(lanes[1])  # DVC refuses two at once
    for lane in lanes:
        before = {"real_and_forged_faces"}  # has run when the lanes start
        for name in lane:
            assert {makers[d] for d in STAGES[name]["deps"] if d in makers} <= before, name
            before.add(name)
    trainings = {name for name, stage in STAGES.items() if "python -m" in stage["cmd"]}
    assert trainings <= {name for lane in lanes for name in lane}
