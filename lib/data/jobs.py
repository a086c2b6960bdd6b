"""Long work in small jobs that each keep a record: resumable, on processes of this machine or on a dask cluster."""

import functools
import itertools
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import CancelledError

import cv2
import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm.auto import tqdm

from lib import paths

# Processes keep freed memory instead of returning it and asking for it again at each step, which makes training a tenth
# faster. Their progress bars are off, because they would overwrite each other; the parent shows one.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**32),
               "MALLOC_TOP_PAD_": str(2**26), "TQDM_DISABLE": "1"}  # fmt: skip
PATIENCE = 10  # seconds that a scheduler has to answer
SCHEDULER = "of a running dask cluster, such as tcp://HOST:8786, whose workers see the same files"  # what ADDRESS is


def finish(
    work, jobs, code, name, workers=1, client=None, unit="video", before=None, setting="faces.workers in params.yaml"
):
    """Return one record a job, in order; a job is done only if it has no record of the same sources and code.

    jobs: tuples (folder, source, *rest), source: the fingerprints of its files. work(folder, *rest) fills the empty
    folder and returns a dict; with `source` and `code` added it becomes record.json there.
    code: a digest of the code of `work`. workers, client, setting: see `run`; before: called once if there is work.
    The rate, in units a minute of processor time, is printed and kept under `name` in results/throughput.json.
    """
    records = [fresh_record(job, code) for job in jobs]
    todo = [index for index, record in enumerate(records) if record is None]
    if not todo:
        return records
    if before:
        before()
    start, busy, units = time.perf_counter(), 0.0, f"{unit}s"
    keep = functools.partial(_keep_record, work, code)
    results = run(keep, [jobs[index] for index in todo], workers, client, name=units, setting=setting)
    bar = tqdm(results, units, len(jobs), initial=len(jobs) - len(todo), unit=unit)
    for index, (record, seconds) in zip(todo, bar, strict=True):
        records[index] = record
        busy += seconds
    rate = {units: len(todo), "seconds": round(time.perf_counter() - start, 1), "core_seconds": round(busy, 1),
            "per_minute_and_core": round(60 * len(todo) / max(busy, 1e-9), 2)}  # fmt: skip
    print(f"{len(todo)} {units} in {rate['seconds']:.0f} s, {rate['per_minute_and_core']} a minute and core")
    file = paths.RESULTS / "throughput.json"
    _write_json(file, {**(json.loads(file.read_text()) if file.is_file() else {}), name: rate}, indent=2)
    return records


def client_of(address):
    """Return a dask.distributed.Client of the scheduler at an address, or None (processes of this machine) for None.

    Raises RuntimeError in one line if no scheduler answers within PATIENCE seconds.
    """
    if address is None:
        return None
    from distributed import Client

    # A lost connection must neither end the program nor fill its log: `run` reports it in one line.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        reason, remedy = str(error).splitlines()[0], "start one (`dask scheduler`) and give the address that it prints"
        raise RuntimeError(f"--scheduler {address}: no dask scheduler answers there: {remedy} ({reason})") from None
    if not client.nthreads():
        print(f"{address}: no worker has joined yet (`dask worker {address}`); waiting for one", file=sys.stderr)
    return client


def run(work, jobs, workers=1, client=None, threads=1, name="jobs", setting="faces.workers in params.yaml", ahead=None):
    """Yield work(job) of each job, in order; with one worker here, one after the other.

    workers: processes of this machine, with `threads` threads each; client: a dask.distributed.Client to use in their
    place, whose workers see the same disk; ahead: how many jobs the cluster begins before the first result is taken,
    all by default. name: of the work; setting: what to lower if memory runs out; both are for messages.
    Raises RuntimeError in one line if a process was killed or the scheduler of the cluster has stopped.
    """
    workers = min(workers, len(jobs))
    try:
        if client is not None:
            yield from _run_on_cluster(work, jobs, client, ahead)
        elif workers <= 1:
            yield from map(work, jobs)
        else:
            os.environ.update(ENVIRONMENT)  # which a process reads when it starts
            options = {"inner_max_num_threads": threads, "initializer": _settle, "initargs": (os.getpid(),)}
            with joblib.parallel_config("loky", **options):
                processes = joblib.Parallel(workers, return_as="generator")
            yield from processes(joblib.delayed(work)(job) for job in jobs)
    except TerminatedWorkerError:
        remedy = f"lower {setting} and run again; what is finished is kept"
        raise RuntimeError(f"{name}: a process was killed (out of memory?): {remedy}") from None
    except CancelledError:
        remedy = "start it and run again; what is finished is kept"
        raise RuntimeError(f"{name}: the scheduler of the cluster is gone: {remedy}") from None


def _settle(parent):
    """Set up a process: it gives OpenCV one thread, and ends when its parent is killed instead of running on."""
    cv2.setNumThreads(1)

    def watch():
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_on_cluster(work, jobs, client, ahead):
    # joblib's own backend for dask waits for ever for a job whose worker was killed.
    from distributed import KilledWorker

    waiting, futures, work = iter(jobs), deque(), functools.partial(_on_one_core, work)
    begin = lambda count: futures.extend(client.map(work, list(itertools.islice(waiting, count)), pure=False))
    try:
        begin(ahead)
        while futures:
            result = futures[0].result()
            futures.popleft()  # lets the cluster forget it
            begin(1)
            yield result
    except KilledWorker:
        raise TerminatedWorkerError("a worker of the cluster") from None
    finally:
        futures.clear()  # dask drops work that nobody waits for; unlike `cancel`, this needs no scheduler


def _on_one_core(work, job):
    cv2.setNumThreads(1)
    return work(job)


def _keep_record(work, code, job):
    """Do a job; return its record and its seconds of processor time, with those of FFmpeg's and OpenCV's threads."""
    (folder, source, *rest), start = job, time.process_time()
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run left, or one of an older file
    record = {"source": source, "code": code, **work(folder, *rest)}
    _write_json(folder / "record.json", record)
    return record, time.process_time() - start


def fresh_record(job, code):
    """Return the record of a job that is finished, of the same sources and by the same code; None otherwise."""
    folder, source, *_ = job
    record = read_record(folder)
    return record if record and (record["source"], record.get("code")) == (source, code) else None


def read_record(folder):
    """Return the record of a finished job, or None."""
    try:
        return json.loads((folder / "record.json").read_text())
    except FileNotFoundError:
        return None


def _write_json(file, content, **options):
    paths.replace(file, lambda unfinished: unfinished.write_text(json.dumps(content, **options) + "\n"))


def write_csv(path, table):
    """Write a DataFrame, whole or not at all."""
    paths.replace(path, lambda unfinished: table.to_csv(unfinished, index=False, lineterminator="\n"))
