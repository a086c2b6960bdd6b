"""Long work in small jobs that each keep a record: resumable, on processes of this machine or on a dask cluster."""

import functools
import hashlib
import json
import os
import time
from concurrent.futures.process import BrokenProcessPool

import cv2
from tqdm.auto import tqdm

from lib import paths
from lib.training import processes

VERSION = 2  # of the records; a job with a record of another version is done again
REMEDY = "lower faces.workers in params.yaml and run again; what is finished is kept"


def finish(work, jobs, name, workers=1, client=None, progress=True, unit="video", before=None):
    """Return one record a job, in order, doing those that have none yet.

    jobs: tuples that start with (folder, fingerprints); work: job -> record, a dict that it has written with
    `write_record`. workers, client: see `run`; before: called once if there is anything to do.
    The rate, in units a minute of processor time, is printed and kept under `name` in results/throughput.json.
    """
    records = [read_record(folder) for folder, *_ in jobs]
    for index, (_, source, *_) in enumerate(jobs):
        found = records[index]
        if found and (found["source"] != source or found.get("version") != VERSION):
            records[index] = None
    todo = [job for job, record in zip(jobs, records, strict=True) if record is None]
    if not todo:
        return records
    if before:
        before()
    start, busy, fresh = time.perf_counter(), 0.0, []
    results = run(functools.partial(_timed, work), todo, workers, client)
    done = len(jobs) - len(todo)
    for record, seconds in tqdm(results, f"{unit}s", len(jobs), initial=done, unit=unit, disable=not progress):
        fresh.append(record)
        busy += seconds
    rate = {f"{unit}s": len(todo), "seconds": round(time.perf_counter() - start, 1), "core_seconds": round(busy, 1),
            "per_minute_and_core": round(60 * len(todo) / max(busy, 1e-9), 2)}  # fmt: skip
    if progress:
        print(f"{len(todo)} {unit}s in {rate['seconds']:.0f} s, {rate['per_minute_and_core']} a minute and core")
    _keep_rate(name, rate)
    fresh = iter(fresh)
    return [record or next(fresh) for record in records]


def run(work, jobs, workers=1, client=None):
    """Yield work(job) of each job, in order.

    workers: processes of this machine; client: a dask.distributed.Client to use in their place, whose workers see the
    same disk. Raises RuntimeError in one line where a process was ended.
    """
    if client is not None:
        yield from _run_on_cluster(work, jobs, client)
    elif min(workers, len(jobs)) <= 1:
        yield from map(work, jobs)
    else:
        try:
            with processes.pool(min(workers, len(jobs))) as pool:
                yield from pool.map(work, jobs)
        except BrokenProcessPool:
            raise RuntimeError(f"a process that cuts faces was ended (out of memory?): {REMEDY}") from None


def _run_on_cluster(work, jobs, client):
    from distributed import KilledWorker

    futures = client.map(functools.partial(_on_one_core, work), jobs, pure=False)
    try:
        for position, future in enumerate(futures):
            yield future.result()
            futures[position] = None  # lets the cluster forget the result
    except KilledWorker:
        raise RuntimeError(f"a worker of the cluster was ended (out of memory?): {REMEDY}") from None
    finally:
        client.cancel([future for future in futures if future is not None])


def _on_one_core(work, job):
    cv2.setNumThreads(1)
    return work(job)


def _timed(work, job):
    """Return (work(job), seconds of processor time, those of FFmpeg's and OpenCV's threads among them)."""
    start = time.process_time()
    return work(job), time.process_time() - start


def _keep_rate(name, rate):
    file = paths.RESULTS / "throughput.json"
    rates = json.loads(file.read_text()) if file.is_file() else {}
    text = json.dumps({**rates, name: rate}, indent=2) + "\n"
    paths.replace(file, lambda unfinished: unfinished.write_text(text))


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


def write_record(folder, record):
    """Write the record of a job, which says that it is finished, and return it."""
    record = {"version": VERSION, **record}
    paths.replace(folder / "record.json", lambda unfinished: unfinished.write_text(json.dumps(record)))
    return record


def write_csv(path, table):
    """Write a DataFrame, whole or not at all."""
    text = table.to_csv(index=False, lineterminator="\n")
    paths.replace(path, lambda unfinished: unfinished.write_text(text))
