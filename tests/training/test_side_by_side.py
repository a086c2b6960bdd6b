"""lib.training.side_by_side: several trainings at once, each with one thread, end as each alone would."""

import os
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from lib import paths
from lib.training.side_by_side import side_by_side

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU works at one training at a time")


@pytest.fixture
def who():
    """A piece of work that says who did it; a function inside, because the processes cannot import this module."""

    def work(job):
        time.sleep(0.1)
        return job, os.getpid(), torch.get_num_threads()

    return work


def test_pieces_come_back_in_order_from_processes_with_one_thread_each(who, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    jobs, processes, threads = zip(*side_by_side(who, "abcd"), strict=True)
    assert jobs == tuple("abcd")
    assert os.getpid() not in processes and len(set(processes)) == 2
    assert set(threads) == {1}


def test_a_training_at_the_paper_s_scale_keeps_this_process_and_all_threads(who):
    assert side_by_side(who, "ab", threads=0) == [(job, os.getpid(), torch.get_num_threads()) for job in "ab"]


def test_on_one_core_the_thread_is_one_too_and_given_back_afterwards(who, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert [threads for _, _, threads in side_by_side(who, "ab")] == [1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_error_of_one_piece_is_the_error_of_the_whole(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda job: 1 / job, [1, 0])


def test_a_process_that_the_machine_ends_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    with pytest.raises(RuntimeError, match="^trainings: a process was killed .out of memory"):
        side_by_side(lambda job: os._exit(job), [1, 1])


def test_no_process_goes_on_when_its_parent_is_killed(tmp_path):
    program = f"""
        import os, time
        from lib.training.side_by_side import side_by_side
        def work(job):
            open({str(tmp_path)!r} + f"/{{os.getpid()}}", "w").close()
            time.sleep(60)
        side_by_side(work, [1, 2])
    """
    file = tmp_path / "program.txt"
    file.write_text(textwrap.dedent(program))
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT), "LOKY_MAX_CPU_COUNT": "2"}
    parent = subprocess.Popen([sys.executable, "-c", file.read_text()], env=environment, stderr=subprocess.DEVNULL)
    children = lambda: [int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()]
    wait_for(lambda: len(children()) == 2, 60)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(_alive(child) for child in children()), 10)


def _alive(process):
    try:
        return open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline
        time.sleep(0.1)
