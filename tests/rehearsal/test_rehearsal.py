"""lib.rehearsal: every stage has a row, a failed one does not stop the others, one that ended well is kept."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import torch
import yaml

from lib import paths
from lib.bts import residuals
from lib.bts.re_synthesizer import RDN
from lib.rehearsal import __main__ as rehearsal
from lib.rehearsal import memory, stand_ins


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that rehearses stages, {name: (Python, deps, outs)}, without stand-ins; says how often each began."""
    monkeypatch.setattr(stand_ins, "make", lambda folder, params: None)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "params.yaml").write_text(paths.PARAMS.read_text())
    folder = tmp_path / "out"
    folder.mkdir()

    def rehearse(stages, names=()):
        described = {}
        for name, (code, deps, outs) in stages.items():
            (tmp_path / f"{name}.py").write_text(
                f"open({str(folder / 'began')!r}, 'a').write({name!r} + ' ')\n{code}\n"
            )
            cmd = f"{sys.executable} {tmp_path}/{name}.py"
            described[name] = {"cmd": cmd, "deps": deps, "params": ["scale", "pel"], "outs": outs}
        table = rehearsal.rehearse(folder, described, names)
        began = (folder / "began").read_text().split() if (folder / "began").is_file() else []
        (folder / "began").unlink(missing_ok=True)
        return table.set_index("stage"), began

    return rehearse


WRITES = "import os, pathlib; pathlib.Path(os.environ['DEEPFAKE_OUTPUTS'], {!r}).mkdir(exist_ok=True)"
FAILS = "import sys; print('seen'); sys.exit('ValueError: \\x1b[31mno face\\x1b[0m in any video')"


def test_a_failing_stage_is_told_with_its_last_line_and_the_others_run_as_far_as_they_can(run):
    stages = {"one": (FAILS, [], ["faces"]), "two": (WRITES.format("wiped"), [], ["wiped"]),
              "three": ("", ["faces"], []), "four": ("", ["wiped"], [])}  # fmt: skip
    table, began = run(stages)
    assert began == ["one", "two", "four"]
    assert table["outcome"].to_dict() == {
        "one": "failed: ValueError: no face in any video", "two": "ok",
        "three": "not run: faces of stage one is missing", "four": "ok",
    }  # fmt: skip


def test_a_stage_that_ended_well_is_kept_and_one_that_failed_is_tried_again(run):
    stages = {"one": (FAILS, [], []), "two": (WRITES.format("wiped"), [], ["wiped"]), "three": ("", ["wiped"], [])}
    first, _ = run(stages)
    again, began = run(stages)
    assert began == ["one"]
    assert again.loc["two"].equals(first.loc["two"])


def test_a_change_of_code_or_settings_runs_a_stage_again_and_those_after_it(run, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/mine.py").write_text("a = 1")
    stages = {"one": (WRITES.format("faces"), ["lib/mine.py"], [{"faces": {"persist": True}}]),
              "two": ("", ["faces"], []), "three": ("", [], [])}  # fmt: skip
    assert run(stages)[1] == ["one", "two", "three"]
    assert run(stages)[1] == []
    (tmp_path / "lib/mine.py").write_text("a = 2")
    assert run(stages)[1] == ["one", "two"]
    changed = yaml.safe_load((tmp_path / "params.yaml").read_text())
    changed["pel"]["paper"]["stride"] = 4
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed))
    assert run(stages)[1] == ["one", "two", "three"]


def test_the_peak_is_that_of_all_processes_of_a_stage_together(run):
    grow = "import time; kept = bytearray(300 * 2**20); time.sleep(1.5)"
    both = f"import subprocess, sys; other = subprocess.Popen([sys.executable, '-c', {grow!r}]); {grow}; other.wait()"
    table, _ = run({"one": (both, [], [])})
    assert 0.55 < table.loc["one", "peak_GiB"] < 0.9
    assert table.loc["one", "seconds"] > 1.5 > table.loc["one", "core_seconds"]


def test_a_stage_runs_at_the_paper_s_scale_offline_and_in_the_rehearsal_s_folder(run, tmp_path):
    wanted = ("DEEPFAKE_SCALE", "DEEPFAKE_OUTPUTS", "DEEPFAKE_PARAMS", "TORCH_HOME", "HF_HUB_OFFLINE")
    code = f"import json, os; json.dump({{k: os.environ[k] for k in {wanted}}}, open({str(tmp_path / 'seen')!r}, 'w'))"
    run({"one": (code, [], [])})
    seen = json.loads((tmp_path / "seen").read_text())
    assert (seen["DEEPFAKE_SCALE"], seen["HF_HUB_OFFLINE"]) == ("paper", "1")
    assert all(seen[name].startswith(f"{tmp_path}/out") for name in wanted[1:4])


def test_the_command_ends_with_1_where_a_stage_failed_and_keeps_the_table_of_the_whole_pipeline(tmp_path, monkeypatch):
    rows = [{"stage": "one", "seconds": 1.0, "core_seconds": 1.0, "peak_GiB": 1.0, "made": "", "outcome": "ok"}]
    monkeypatch.setattr(rehearsal, "TABLE", tmp_path / "rehearsal.csv")
    monkeypatch.setattr(rehearsal, "rehearse", lambda folder, stages, names: pd.DataFrame(rows))
    folder = ["--folder", str(tmp_path)]
    assert rehearsal.main([*folder, "--quick"]) == 0 and not (tmp_path / "rehearsal.csv").exists(), "a part is no table"
    rows.append({**rows[0], "stage": "two", "outcome": "failed: x"})
    assert rehearsal.main(folder) == 1
    assert pd.read_csv(tmp_path / "rehearsal.csv")["stage"].tolist() == ["one", "two"]
    with pytest.raises(SystemExit):
        rehearsal.main([*folder, "no_stage"])


def test_the_quick_part_consists_of_stages_whose_inputs_it_makes():
    stages = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"]
    for place, name in enumerate(rehearsal.QUICK):
        assert set(rehearsal.makers(stages, name).values()) <= set(rehearsal.QUICK[:place])


@pytest.fixture
def passes(monkeypatch):
    """A tiny RDN, and a list that grows by the pictures of each pass; notebooks' memory is on."""
    computed, counted = RDN.forward, []
    monkeypatch.setattr(RDN, "forward", lambda network, x: counted.append(len(x)) or computed(network, x))
    monkeypatch.setattr(residuals, "_kept", None)
    memory.keep()
    return residuals.TrainedRDN(4, 4, 1, 1).eval().requires_grad_(False), counted


def test_a_notebook_re_synthesizes_each_picture_once(passes):
    network, counted = passes
    pictures = torch.rand(2, 3, 16, 16)
    with torch.inference_mode():
        first = network.re_synthesize(pictures)
        again = network.re_synthesize(pictures[1:])
    assert counted == [2] and torch.equal(first[1:], again)
    with torch.inference_mode():
        other = RDN(4, 4, 1, 1).re_synthesize(pictures)
    assert counted == [2, 2] and not torch.equal(first, other), "other weights, another picture"


def test_a_step_of_the_re_synthesizer_is_never_remembered(passes):
    network, counted = passes
    network.requires_grad_(True)
    for _ in range(2):
        network.re_synthesize(torch.zeros(1, 3, 16, 16)).sum().backward()
    assert counted == [1, 1] and network.output.weight.grad is not None


def test_ipython_starts_with_the_memory(tmp_path):
    environment = {**os.environ, **memory.environment(tmp_path), "PYTHONPATH": str(paths.ROOT)}
    code = "from lib.bts import residuals; print('kept', residuals._kept is not None)"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "-c", code], env=environment, capture_output=True, text=True
    )
    assert "kept True" in done.stdout, done.stderr


def test_later_stages_find_equal_weights_of_all_three_re_synthesizers(tmp_path):
    for name in ("SR", "SR+C", "SR+D"):
        (tmp_path / f"{name}.safetensors").write_text(name)
    rehearsal.share(tmp_path)
    assert {(tmp_path / f"{name}.safetensors").read_text() for name in ("SR", "SR+C", "SR+D")} == {"SR"}
