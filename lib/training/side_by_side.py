"""Independent trainings, several at a time."""

import functools
import os
from concurrent.futures.process import BrokenProcessPool

import torch

from lib.training import processes


def side_by_side(work, jobs, at_once):
    """Yield work(job) of each job, in order; without a GPU `at_once` of them run in processes that share the threads.

    work: a function of a module. Small networks do not keep several cores busy; several of them do. Under torchrun all
    processes work at one job. Raises RuntimeError in one line where a process was ended.
    """
    at_once = min(at_once, len(jobs), torch.get_num_threads())
    if at_once <= 1 or torch.cuda.is_available() or "WORLD_SIZE" in os.environ:
        yield from map(work, jobs)
        return
    try:
        with processes.pool(at_once) as pool:
            yield from pool.map(functools.partial(_on_threads, torch.get_num_threads() // at_once, work), jobs)
    except BrokenProcessPool:
        raise RuntimeError("a training was ended (out of memory?): OMP_NUM_THREADS=1 lets one run at a time") from None


def _on_threads(count, work, job):
    torch.set_num_threads(count)
    return work(job)
