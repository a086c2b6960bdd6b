"""Independent trainings, several at a time, each in its own process with few threads.

A small network cannot use two cores fully, and its two threads wait for each other as soon as another program runs.
With one network for each core neither happens, and the results do not depend on the number of cores.
"""

import contextlib
import functools
import os
import threading
import time

import torch
from joblib import cpu_count
from tqdm.auto import tqdm

from lib import paths
from lib.data.jobs import run


def side_by_side(work, jobs, desc="trainings", threads=1):
    """Return [work(job) for each job], in order; the jobs run side by side, in processes of `threads` threads each.

    The number of cores limits how many jobs run at a time. threads 0: the jobs run in this process, one after the
    other, with all threads, as a training at the paper's scale needs. With a GPU, or under torchrun, where all
    processes work on one job, they always run like that. A bar shows how many jobs are finished, and the epochs of
    those that run. Raises RuntimeError in one line if a process was killed.
    """
    jobs = list(jobs)
    if not threads or torch.cuda.is_available() or "WORLD_SIZE" in os.environ:
        return [work(job) for job in jobs]
    results = run(
        functools.partial(_with_threads, threads, work), jobs, cpu_count() // threads, threads=threads, name=desc,
        setting="LOKY_MAX_CPU_COUNT (1: one at a time)",
    )  # fmt: skip
    over = threading.Event()
    with tqdm(results, desc, len(jobs), unit=desc[:-1]) as bar:
        threading.Thread(target=_show_epochs, args=(bar, over), daemon=True).start()
        try:
            return list(bar)
        finally:
            over.set()


def _with_threads(threads, work, job):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return work(job)
    finally:
        torch.set_num_threads(before)


def _show_epochs(bar, over):
    """Show to the right of the bar, once a second, the last epoch that each running training has finished."""
    began = time.time()
    while not over.wait(1):
        with contextlib.suppress(FileNotFoundError):  # of a training that has just ended
            written = [file for file in paths.UNFINISHED.rglob("*.txt") if file.stat().st_mtime >= began]
            bar.set_postfix_str(", ".join(file.read_text() for file in sorted(written)))
