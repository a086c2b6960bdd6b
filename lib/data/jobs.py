"""Long work in small jobs that each keep a record: resumable, on processes of this machine or on a dask cluster."""

import functools
import hashlib
import json
import os
import shutil
import threading
import time
from concurrent.futures.process import BrokenProcessPool

import cv2
import joblib
from tqdm.auto import tqdm

from lib import paths

WORKERS = "faces.workers in params.yaml"  # what to lower where memory runs out


def finish(work, jobs, code, name, workers=1, client=None, progress=True, unit="video", before=None):
    """Return one record a job, in order, doing those that have none yet, or one of other sources or other code.

    jobs: tuples (folder, source, *rest), source: what `fingerprint` says of the files; work(folder, *rest) fills the
    empty folder and returns a dict, which the folder keeps as record.json, with `source` and `code`, once all is done.
    code: a digest of the code of `work`. workers, client: see `run`; before: called once if there is anything to do.
    The rate, in units a minute of processor time, is printed and kept under `name` in results/throughput.json.
    """
    records = [read_record(folder) for folder, *_ in jobs]
    fresh = [bool(r) and (r["source"], r.get("code")) == (job[1], code) for r, job in zip(records, jobs, strict=True)]
    todo = [index for index, done in enumerate(fresh) if not done]
    if not todo:
        return records
    if before:
        before()
    start, busy = time.perf_counter(), 0.0
    results = run(functools.partial(_keep_record, work, code), [jobs[index] for index in todo], workers, client)
    bar = tqdm(results, f"{unit}s", len(jobs), initial=len(jobs) - len(todo), unit=unit, disable=not progress)
    for index, (record, seconds) in zip(todo, bar, strict=True):
        records[index] = record
        busy += seconds
    rate = {f"{unit}s": len(todo), "seconds": round(time.perf_counter() - start, 1), "core_seconds": round(busy, 1),
            "per_minute_and_core": round(60 * len(todo) / max(busy, 1e-9), 2)}  # fmt: skip
    if progress:
        print(f"{len(todo)} {unit}s in {rate['seconds']:.0f} s, {rate['per_minute_and_core']} a minute and core")
    file = paths.RESULTS / "throughput.json"
    _write_json(file, {**(json.loads(file.read_text()) if file.is_file() else {}), name: rate}, indent=2)
    return records


def run(work, jobs, workers=1, client=None, setting=WORKERS):
    """Yield work(job) of each job, in order.

    workers: processes of this machine, of one thread each; client: a dask.distributed.Client to use in their place,
    whose workers see the same disk. Raises RuntimeError in one line, with the `setting` to lower, where a process was
    ended.
    """
    workers = min(workers, len(jobs))
    try:
        if client is not None:
            yield from _run_on_cluster(work, jobs, client)
        elif workers <= 1:
            yield from map(work, jobs)
        else:
            options = {"inner_max_num_threads": 1, "initializer": _settle, "initargs": (os.getpid(),)}
            with joblib.parallel_config("loky", **options):
                processes = joblib.Parallel(workers, return_as="generator")
            yield from processes(joblib.delayed(work)(job) for job in jobs)
    except BrokenProcessPool:
        remedy = f"lower {setting} and run again; what is finished is kept"
        raise RuntimeError(f"a process was ended (out of memory?): {remedy}") from None


def _settle(parent):
    """Set up a process: one thread for OpenCV, too, and an end when the parent is killed, or it would wait for ever."""
    cv2.setNumThreads(1)

    def watch():
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_on_cluster(work, jobs, client):
    # joblib's own backend for dask waits for ever for a job whose worker was killed.
    from distributed import KilledWorker

    futures = client.map(functools.partial(_on_one_core, work), jobs, pure=False)
    try:
        for position, future in enumerate(futures):
            yield future.result()
            futures[position] = None  # lets the cluster forget the result
    except KilledWorker:
        raise BrokenProcessPool from None
    finally:
        client.cancel([future for future in futures if future is not None])


def _on_one_core(work, job):
    cv2.setNumThreads(1)
    return work(job)


def _keep_record(work, code, job):
    """Return the record of a job and the seconds of processor time (with FFmpeg's and OpenCV's threads) it took."""
    (folder, source, *rest), start = job, time.process_time()
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run or an older file left there
    record = {"source": source, "code": code, **work(folder, *rest)}
    _write_json(folder / "record.json", record)
    return record, time.process_time() - start


def fingerprint(path):
    """Return size and checksum of both ends of a file: one made anew is noticed without reading it whole.

    No CRC: a PNG carries its own, which gives all PNGs of one length the same.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(2**16)
        file.seek(max(size - 2**16, 0))
        return [size, hashlib.blake2b(head + file.read(), digest_size=8).hexdigest()]


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
