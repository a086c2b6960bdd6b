"""The face crops of a whole data set of videos, on disk with their manifest; resumable and parallel."""

import functools
import hashlib
import json
from pathlib import Path

import pandas as pd

from lib import paths
from lib.data import cut, jobs, layouts, unpack, wild_deepfake
from lib.data.face_detectors import detector
from lib.training import staleness

BOX = ["x1", "y1", "x2", "y2"]


def prepare(data_set, settings, seed, client=None):
    """Return the table of face crops of a data set, cutting those that are not on disk yet.

    data_set: a params.DataSet; settings: params.faces; seed: of the splits of a data set that has no official ones.
    client: a dask.distributed.Client whose workers (of one thread each) see the same disk; without one,
    settings.workers processes of this machine do the work.
    Image layouts need no cutting: their table is returned. WildDeepfake is cut already: up to settings.frames_per_video
    images of each sequence are unpacked.
    Columns: those of layouts.videos, frame (index in the video), x1, y1, x2, y2 (the detected box, pixels of the
    video). Crops lie in paths.FACES/<data set and settings>/<compression>/<method>/<video>/<frame>.png, with
    manifest.csv (paths relative to it), frames.csv (each sampled frame: video, frame, box, status) and report.csv (what
    was skipped, and why). A finished video is cut again only if its file or the code that cuts it has changed, so an
    interrupted run continues. c40 and raw reuse the boxes of c23, so that the qualities share their crops.
    """
    how = {"workers": settings.workers, "client": client}
    if data_set.layout == "WildDeepfake":
        return _unpack_all(data_set, settings, seed, how)
    if data_set.layout not in layouts.VIDEO_LAYOUTS:
        return layouts.images(data_set, seed)
    table = layouts.videos(data_set)
    folder = folder_of(data_set, settings)
    todo = []
    for row in table.itertuples():
        source = [staleness.fingerprint(file) for file in (row.path, row.mask) if file]
        twin = jobs.read_record(folder.parent / "c23" / row.video) if data_set.compression != "c23" else None
        known = twin and dict(zip(twin["frames"], twin["boxes"], strict=True))
        todo.append((folder / row.video, source, row.path, row.mask, known))
    records = jobs.finish(
        functools.partial(cut.cut_to_files, settings=settings), todo, staleness.code("lib.data.cut"), _name(folder),
        # The detector is made here first: a missing package is one clear line, weights are fetched once.
        before=functools.partial(detector, settings.detector), **how,
    )  # fmt: skip
    jobs.write_csv(folder / "frames.csv", _frames(table, records))
    _report(folder, table["video"], records, [len(record["frames"]) for record in records], "video")
    faces = _manifest(folder, _crops(table, records))
    if faces.empty:
        raise ValueError(f"{data_set.root}: no face in any of {len(table)} videos; see {paths.show(folder)}/report.csv")
    return faces


def folder_of(data_set, settings):
    """Return the folder of the crops of a data set that are cut with these settings, or of its unpacked images."""
    count = settings.frames_per_video
    if data_set.layout == "WildDeepfake":
        return _folder(data_set, f"{count}frames", count)
    key = (count, settings.size, settings.margin, settings.detector)
    return _folder(data_set, f"{settings.size}px", *key) / data_set.compression


def _unpack_all(data_set, settings, seed, how):
    """Return the table of the images of WildDeepfake, unpacking those that are not on disk yet."""
    listed = wild_deepfake.archives(layouts.root_of(data_set), seed)
    if not listed:
        raise FileNotFoundError(f"{data_set.root}: its folders hold no archive N.tar.gz")
    folder, count = folder_of(data_set, settings), settings.frames_per_video
    todo = [(folder / name, [staleness.fingerprint(file)], file) for file, _, _, name in listed]
    work, code = functools.partial(unpack.unpack, count=count), staleness.code("lib.data.unpack")
    records = jobs.finish(work, todo, code, _name(folder), unit="archive", **how)
    counts = [sum(map(len, record["sequences"].values())) for record in records]
    _report(folder, [name for *_, name in listed], records, counts, "archive")
    rows = wild_deepfake.rows(listed, records)
    table = _manifest(folder, pd.DataFrame(rows, columns=[*layouts.COLUMNS, "frame"]))
    if table.empty:
        raise ValueError(f"{data_set.root}: no image in any of {len(listed)} archives; see {paths.show(folder)}")
    layouts.check_disjoint(table)
    return table


def _folder(data_set, name, *key):
    """Return the folder of the crops of a data set; key: the settings that decide what they are."""
    digest = hashlib.sha256(json.dumps([data_set.root, *key]).encode()).hexdigest()[:8]
    return paths.FACES / f"{Path(data_set.root).name}-{name}-{digest}"


def _name(folder):
    return folder.relative_to(paths.FACES).as_posix()


def _manifest(folder, table):
    """Write a table whose paths are relative to `folder` there as manifest.csv, and return it with whole paths."""
    jobs.write_csv(folder / "manifest.csv", table)
    whole = {name: [str(folder / path) if path else "" for path in table[name]] for name in ("path", "mask")}
    return table.assign(**whole)


def _crops(table, records):
    """Return one row a crop, paths relative to the folder."""
    rows = []
    for row, record in zip(table.drop(columns=["path", "mask"]).to_dict("records"), records, strict=True):
        for frame, box in zip(record["frames"], record["boxes"], strict=True):
            stem = f"{row['video']}/{frame:04d}"
            mask = f"{stem}.mask.png" if record["mask"] else ""
            rows.append((f"{stem}.png", *row.values(), frame, mask, *box))
    return pd.DataFrame(rows, columns=["path", *table.columns.drop(["path", "mask"]), "frame", "mask", *BOX])


def _frames(table, records):
    """Return what became of each sampled frame: video, frame, box, status; of a broken video, one row without frame."""
    rows = []
    for name, record in zip(table["video"], records, strict=True):
        boxes = dict(zip(record["frames"], record["boxes"], strict=True))
        found, lost = ("box of c23", "no box in c23") if record["reused"] else ("face", "no face")
        for frame in record["wanted"]:
            rows.append((name, frame, *boxes.get(frame, [None] * 4), found if frame in boxes else lost))
        if not record["wanted"]:
            rows.append((name, None, *[None] * 4, record["reason"]))
    return pd.DataFrame(rows, columns=["video", "frame", *BOX, "status"]).astype({"frame": "Int64"})


def _report(folder, names, records, counts, unit):
    """Write report.csv, one line a video or archive that lost something, and print which gave nothing at all."""
    report = pd.DataFrame({unit: list(names), "frames": counts, "reason": [record["reason"] for record in records]})
    report = report[report["reason"] != ""]
    jobs.write_csv(folder / "report.csv", report)
    skipped = [f"{name} ({reason})" for name, frames, reason in report.itertuples(index=False) if not frames]
    if skipped:
        print(f"{len(skipped)} of {len(records)} {unit}s skipped: {', '.join(skipped)}")
