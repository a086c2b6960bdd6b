"""Other training seeds: outputs of their own, the same faces and tests, and what is kept says how it was made."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import params, paths, seeds
from lib.evaluation import score_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of outputs with cut faces, and commands that write the scores of a detector of luck."""
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path)
    for name in ("CHECKPOINTS", "HISTORY", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(seeds, "KEPT", tmp_path / "kept")
    (tmp_path / "faces").mkdir()
    started = []

    class Ended:
        returncode = 0

    def command(words, env, cwd):
        started.append((words[2], env["DEEPFAKE_OUTPUTS"], env["DEEPFAKE_SEED"]))
        scores = [0.123456, float(env["DEEPFAKE_SEED"])]
        table = pd.DataFrame({"test": ["raw", "P"], "video": ["007", "008"], "score": scores})
        outputs = Path(env["DEEPFAKE_OUTPUTS"])
        score_files.write(outputs / "results" / "scores" / "pel" / "PEL.csv", table, "key")
        return Ended

    monkeypatch.setattr(seeds.subprocess, "run", command)
    folder = tmp_path
    return folder, started


def test_each_seed_has_outputs_of_its_own_and_shares_the_faces(folder):
    folder, started = folder
    seeds.main(["0", "3", "--family", "pel"])
    own = {seed: str(folder / ".seeds" / seed) for seed in "03"}
    assert started == [("lib.pel.score", own[seed], seed) for seed in "03"]
    assert (folder / ".seeds" / "3" / "faces").resolve() == folder / "faces"


def test_what_is_kept_of_a_seed_is_its_scores_and_how_they_were_made(folder):
    seeds.main(["0", "3", "--family", "pel"])
    kept = seeds.read("pel/PEL")
    assert list(kept) == [0, 3]
    assert kept[3]["video"].tolist() == ["007", "008"] and kept[3]["score"].tolist() == [0.1235, 3]
    runs = seeds.runs()
    assert runs[["family", "seed"]].values.tolist() == [["pel", 0], ["pel", 3]]
    assert runs["machine"].str.contains("cores").all() and runs["recipe"].nunique() == 1


def test_the_same_scores_are_the_same_bytes_so_that_git_sees_no_change(folder):
    seeds.main(["3", "--family", "pel"])
    file = seeds.KEPT / "pel" / "PEL" / "3.csv.gz"
    before = file.read_bytes()
    seeds.main(["3", "--family", "pel"])
    assert file.read_bytes() == before


def test_seeds_that_were_made_otherwise_are_named_and_none_are_too(folder, monkeypatch):
    settings = params.read("bundled")
    assert "no seeds of pel are kept; `python -m lib.seeds" in seeds.doubt("pel", settings)
    seeds.main(["0", "3", "--family", "pel"])
    assert seeds.doubt("pel", settings) == ""
    longer = settings.replace(pel=settings.pel.replace(stride=1))
    assert "pel has changed since seeds [0, 3] were run" in seeds.doubt("pel", longer)
    assert "are of scale bundled, this run is smoke" in seeds.doubt("pel", params.read("smoke"))
    workers = settings.replace(faces=settings.faces.replace(workers=9))
    assert seeds.doubt("pel", workers) == "", "not decisive"


def test_tables_stand_on_what_is_kept_and_on_this_run_alone_where_nothing_is_or_the_scale_differs(folder):
    settings, now = params.read("bundled"), pd.DataFrame({"score": [0.5]})
    found, told = seeds.together("pel", ["PEL", "RGB"], settings, {"RGB": now})
    assert list(found) == ["RGB"] and found["RGB"][0] is now and "no seeds" in told
    seeds.main(["0", "3", "--family", "pel"])
    found, told = seeds.together("pel", ["PEL", "RGB"], settings, {"PEL": now, "RGB": now})
    assert list(found["PEL"]) == [0, 3] and list(found["RGB"]) == [0] and not told
    found, told = seeds.together("pel", ["PEL"], params.read("smoke"), {"PEL": now})
    assert list(found["PEL"]) == [0] and "this run is smoke" in told


def test_only_the_detectors_that_are_named_are_trained(folder, monkeypatch):
    words, run = [], seeds.subprocess.run
    monkeypatch.setattr(seeds.subprocess, "run", lambda w, env, cwd: words.append(w[2:]) or run(w, env, cwd))
    seeds.main(["3", "--family", "pel", "--only", "PEL", "RGB"])
    assert words == [["lib.pel.score", "--every", "PEL", "RGB"]]


def test_a_command_that_fails_is_one_line_and_nothing_of_it_is_kept(folder, monkeypatch):
    class Failed:
        returncode = 1

    monkeypatch.setattr(seeds.subprocess, "run", lambda *given, **named: Failed)
    with pytest.raises(SystemExit, match="^seed 3: python -m lib.pel.score --every ended with 1; start it again"):
        seeds.main(["3", "--family", "pel"])
    assert seeds.runs().empty


def test_the_seed_of_the_environment_is_that_of_the_trainings_and_not_that_of_the_data(monkeypatch):
    monkeypatch.setenv("DEEPFAKE_SEED", "4")
    read = params.read("smoke")
    assert (read.training_seed, read.seed) == (4, 0)
    monkeypatch.setenv("DEEPFAKE_SEED", "four")
    with pytest.raises(params.ParamsError, match="training_seed"):
        params.read("smoke")


def test_what_the_default_run_has_trained_is_not_trained_again(folder):
    folder, _ = folder
    (paths.CHECKPOINTS / "pel").mkdir(parents=True)
    (paths.CHECKPOINTS / "pel" / "PEL.safetensors").write_text("weights")
    seeds.main(["0", "3", "--family", "pel"])
    copied = [folder / ".seeds" / seed / "checkpoints" / "pel" / "PEL.safetensors" for seed in "03"]
    assert [file.is_file() for file in copied] == [True, False]


@pytest.mark.parametrize(("shift", "outside"), [(0.0, 0), (-0.4, 2)])
def test_a_run_that_leaves_the_range_of_other_seeds_is_named(folder, monkeypatch, capsys, shift, outside):
    label = np.repeat([0, 1], 50)

    def scores(seed, shift=0.0):
        noise = np.random.default_rng(seed).normal(0, 0.2, 100)
        return pd.DataFrame({"test": "raw", "label": label, "score": (0.4 + (0.2 + shift) * label + noise).clip(0, 1)})

    for seed in range(1, 6):
        outputs = folder[0] / ".seeds" / str(seed)
        score_files.write(outputs / "results" / "scores" / "pel" / "PEL.csv", scores(seed), "key")
        seeds.keep("pel", seed, outputs, scale="bundled", seconds=1, machine="m", date="d", recipe="r")
    score_files.write(paths.RESULTS / "scores" / "pel" / "PEL.csv", scores(9, shift), "key")
    assert seeds.main(["--check"]) == (outside > 0)
    printed = capsys.readouterr().out
    assert f"{outside} of 2 numbers" in printed and ("pel/PEL" in printed) == (outside > 0)
