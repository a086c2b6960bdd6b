"""Faces cut by processes that are killed, and by the command on a dask cluster: the same files as undisturbed."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lib import params, paths
from lib.data import faces, jobs
from lib.params import DataSet

KILLED = """
import os, signal, sys, time
from pathlib import Path
from lib import paths
from lib.data import faces, jobs
from lib.params import DataSet, Faces

paths.FACES, paths.RESULTS = Path(sys.argv[2]), Path(sys.argv[2]) / "results"
whole, settle, main, count = paths.os.replace, jobs._settle, os.getpid(), 0
workers = sys.argv[3]

def killed(*arguments):  # in the middle of a write: the file is there under its other name
    global count
    count += 1
    if count == 9:
        os.kill(main, signal.SIGKILL)
        time.sleep(60)  # a worker ends with its parent
    whole(*arguments)

def settled(parent):
    settle(parent)
    Path(workers, str(os.getpid())).touch()
    paths.os.replace = killed

paths.os.replace, jobs._settle = killed, settled
settings = Faces(frames_per_video=3, size=64, margin=1.3, detector="mtcnn", workers=int(sys.argv[4]))
faces.prepare(DataSet(layout="FaceForensics++", root=sys.argv[1]), settings, 0)
"""


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_extraction_goes_on_to_the_same_files_as_an_undisturbed_one(
    world, monkeypatch, tmp_path, workers, files_below
):
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "workers").mkdir()
    program = [sys.executable, tmp_path / "killed.py", world.root, world.faces, tmp_path / "workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    assert subprocess.run(program, env=environment).returncode == -signal.SIGKILL
    pids, patience = [int(file.name) for file in (tmp_path / "workers").iterdir()], time.monotonic() + 5
    assert len(pids) == (workers if workers > 1 else 0)
    while any(map(lives, pids)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(map(lives, pids))
    left = files_below(world.faces)
    records = sum(name.endswith("record.json") for name in left)
    assert (records == 2 if workers == 1 else 2 <= records < 8) and not any("manifest" in name for name in left)
    faces.prepare(world.data_set, world.settings, 0)
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "undisturbed")
    faces.prepare(world.data_set, world.settings, 0)
    assert files_below(world.faces) == files_below(paths.FACES)


def test_a_dask_cluster_of_two_workers_cuts_the_same_files_as_one_process(
    world, monkeypatch, dask_cluster, files_below
):
    faces.prepare(world.data_set, world.settings, 0)
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "cluster")
    with dask_cluster(2) as client:
        faces.prepare(world.data_set, world.settings, 0, client=client)
        assert len(set(client.run(os.getpid).values()) - {os.getpid()}) == 2
    assert files_below(paths.FACES) == files_below(world.faces)


def killer(client, monkeypatch):
    """Let a worker of a cluster be killed as soon as one result has come."""
    run = jobs.run

    def killing(*given, **named):
        for number, result in enumerate(run(*given, **named)):
            if number == 0:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            yield result

    monkeypatch.setattr(jobs, "run", killing)


def test_the_command_cuts_all_sets_on_a_cluster_that_loses_a_worker_on_the_way(
    world, monkeypatch, capsys, dask_cluster, files_below
):
    elsewhere = shutil.copytree(world.root, world.root.parent / "elsewhere")
    whole, other = params.load("smoke"), DataSet(layout="FaceForensics++", root=str(elsewhere))
    data = whole.data.replace(forged=world.data_set, cross_forged=[other])
    monkeypatch.setattr(faces, "load", lambda: whole.replace(data=data, faces=world.settings))
    assert faces.main([]) == 0
    alone = capsys.readouterr().out
    assert f"{world.root} (FaceForensics++, c23): 18 faces of 6 videos" in alone and f"{elsewhere} (" in alone
    monkeypatch.setattr(paths, "FACES", world.faces.parent / "cluster")
    with dask_cluster(2) as client:
        killer(client, monkeypatch)
        assert faces.main(["--scheduler", client.cluster.scheduler_address]) == 0
        assert [line for line in capsys.readouterr().out.splitlines() if " faces of " in line] == [
            line for line in alone.splitlines() if " faces of " in line
        ]
    assert files_below(paths.FACES) == files_below(world.faces)


def test_a_data_set_that_cannot_be_cut_is_named_and_the_others_are_cut(world, monkeypatch, capsys):
    broken = world.root.parent / "broken"
    shutil.copytree(world.root, broken, ignore=shutil.ignore_patterns("splits"))
    whole, other = params.load("smoke"), DataSet(layout="FaceForensics++", root=str(world.root))
    data = whole.data.replace(forged=DataSet(layout="FaceForensics++", root=str(broken)), cross_forged=[other])
    monkeypatch.setattr(faces, "load", lambda: whole.replace(data=data, faces=world.settings))
    assert faces.main([]) == 1
    out, err = capsys.readouterr()
    assert "18 faces of 6 videos" in out
    assert [line for line in err.splitlines() if "not cut" in line] and "train.json: no such file" in err


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_a_scheduler_that_does_not_answer_is_one_line_that_names_the_address(monkeypatch, capsys, address):
    assert jobs.PATIENCE <= 10 and jobs.client_of(None) is None
    monkeypatch.setattr(jobs, "PATIENCE", 0.3)
    monkeypatch.setattr(faces, "load", lambda: None)
    assert faces.main(["--scheduler", address]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--scheduler {address}: no dask scheduler answers there") and "`dask scheduler`" in line
    gc.collect()  # or the client that failed is closed, in a thread that the next one waits for, at any time
