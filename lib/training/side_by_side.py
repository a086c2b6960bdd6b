"""Independent work, several pieces at a time, each in a process with one thread.

Small networks do not keep two cores busy, and two threads of one network wait for each other as soon as anything else
runs; two networks with a thread each do neither. Digits then do not depend on the number of cores.
"""

import os
import threading
import time

import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm.auto import tqdm

from lib import paths

# Freed memory is kept, not given back to the system and asked for anew at each step: a tenth faster in training.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_TOP_PAD_": str(2**26)}


def side_by_side(work, jobs, desc="trainings", unit="training", threads=1):
    """Return [work(job) of each job], in order; as many at once as there are cores, in processes of `threads` each.

    threads: 0 lets them run here, one after the other, with all threads: the way of a training at the paper's scale.
    On a GPU, and under torchrun, where all processes work at one job, that is always so. A bar tells how many have
    ended and, of those that run, the epoch. Raises RuntimeError in one line where a process was ended.
    """
    jobs = list(jobs)
    if not threads or torch.cuda.is_available() or "WORLD_SIZE" in os.environ:
        return [work(job) for job in jobs]
    at_once = max(1, min(len(jobs), cpu_count() // threads))
    before = {name: os.environ.get(name) for name in MEMORY}
    os.environ.update(MEMORY)  # read by a process when it starts
    try:
        with parallel_config("loky", inner_max_num_threads=threads), tqdm(total=len(jobs), desc=desc, unit=unit) as bar:
            watch = _Watch(bar)
            found = Parallel(at_once, return_as="generator")(
                delayed(_work)(os.getpid(), threads, work, job) for job in jobs
            )
            results = []
            for result in found:
                results.append(result)
                bar.update()
            watch.over = True
            return results
    except TerminatedWorkerError:
        raise RuntimeError(
            f"{desc}: a process was ended (out of memory?); what is finished is kept: run again, "
            "with LOKY_MAX_CPU_COUNT=1 for one at a time"
        ) from None
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _work(parent, threads, work, job):
    if parent != os.getpid():
        _end_with(parent)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return work(job)
    finally:
        torch.set_num_threads(before)


def _end_with(parent):
    """Let this process end when its parent does: one whose parent was killed would go on training."""
    if any(thread.name == "parent" for thread in threading.enumerate()):
        return

    def wait():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


class _Watch(threading.Thread):
    """Shows behind a bar what the trainings that run have told of their last epoch."""

    def __init__(self, bar):
        super().__init__(daemon=True)
        self.bar, self.over, self.began = bar, False, time.time()
        self.start()

    def run(self):
        while not self.over:
            told = [file for file in paths.UNFINISHED.rglob("*.txt") if file.stat().st_mtime >= self.began]
            self.bar.set_postfix_str(", ".join(file.read_text() for file in sorted(told)))
            time.sleep(1)
