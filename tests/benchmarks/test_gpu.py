"""The parts of `make gpu`: what is measured stays, whatever happens to the others."""

import subprocess

import pandas as pd
import pytest

from lib.benchmarks import gpu

CPU = ["--device", "cpu", "--quick"]


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Runs the command with stand-ins for the processes of its parts: {part: what it does} -> (exit status, calls)."""
    monkeypatch.setattr(gpu, "FOLDER", tmp_path)

    def run(does, *more):
        calls = []

        def process(command, env, timeout, **given):
            name = command[-1]
            calls.append(name)
            what = does.get(name, "works")
            if what == "hangs":
                raise subprocess.TimeoutExpired(command, timeout)
            if what == "works":
                given = [*CPU, *more, "--part", name]
                monkeypatch.setenv("DEEPFAKE_RESULT", env["DEEPFAKE_RESULT"])
                gpu.main(given)
            code = 1 if what == "fails" else 0
            return subprocess.CompletedProcess(command, code, stderr="Traceback\nRuntimeError: out of memory\n")

        monkeypatch.setattr(gpu.subprocess, "run", process)
        with pytest.raises(SystemExit) as ended:
            gpu.main([*CPU, *more])
        return ended.value.code, calls

    stand_ins = {}
    for part, minutes in gpu.PARTS.items():

        def stand_in(options, name=part.__name__):
            return pd.DataFrame({"what": [name], "seconds": [1.5]})

        stand_in.__name__ = part.__name__
        stand_ins[stand_in] = minutes
    monkeypatch.setattr(gpu, "PARTS", stand_ins)
    return run


def test_a_part_that_fails_or_hangs_costs_no_other_and_the_next_call_makes_only_what_is_missing(parts, capsys):
    names = [part.__name__ for part in gpu.PARTS]
    status, calls = parts({"memory": "fails", "pel_epoch": "hangs"})
    assert (status, calls) == (1, names)
    said = capsys.readouterr().out
    assert (
        "memory: RuntimeError: out of memory" in said and "pel_epoch: out of time; run the same command again" in said
    )
    assert sorted(file.stem for file in gpu.FOLDER.iterdir()) == sorted(set(names) - {"memory", "pel_epoch"})
    assert parts({}) == (0, ["memory", "pel_epoch"])
    assert parts({}) == (0, [])


def test_a_table_of_another_sample_or_of_older_code_is_measured_again(parts, monkeypatch):
    parts({})
    assert len(parts({}, "--videos", "others")[1]) == len(gpu.PARTS)
    monkeypatch.setattr(gpu.staleness, "code", lambda *modules: "edited")
    assert len(parts({}, "--videos", "others")[1]) == len(gpu.PARTS)


def test_every_table_names_its_device(parts):
    parts({})
    for file in gpu.FOLDER.iterdir():
        assert gpu.score_files.read(file)["device"].tolist() == ["cpu"]


def test_without_a_gpu_the_command_says_how_to_try_it(monkeypatch, capsys):
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        gpu.main([])
    assert "`--device cpu --quick` tries the command without one" in capsys.readouterr().err


def test_an_operation_is_held_to_its_distance_from_the_floor(monkeypatch):
    rows = pd.DataFrame({"operation": ["noise_enhance", "noise_enhance", "median 3x3"], "ours / floor": [1.5, 1.7, 9]})
    monkeypatch.setattr(gpu.ops, "table", lambda *given, **sizes: rows)
    found = gpu.operations(type("Options", (), {"quick": True, "device": "cpu"}))
    assert found["met"].tolist()[:2] == [1, 0] and pd.isna(found["met"].iloc[2])


def test_two_processes_follow_the_curve_of_one():
    found = gpu.two_processes(None)
    assert len(found) == 3
    one, two = found["one process"], found["two processes"]
    assert abs(one[0] - two[0]) < 0.05 * one[0]  # later batch norm, over halves of a batch on a CPU, tells them apart
    assert one.is_monotonic_decreasing and two.is_monotonic_decreasing
