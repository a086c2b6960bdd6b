"""From videos to square face crops on disk: detect, follow one face, crop, cache; resumable and parallel."""

import functools
import hashlib
import json
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lib import paths
from lib.data import jobs, layouts, video, wild_deepfake
from lib.data.face_detectors import detector
from lib.data.image import resize, write_png

VIDEO_LAYOUTS = layouts.VIDEO_LAYOUTS
BOX = ["x1", "y1", "x2", "y2"]


@functools.cache
def _detector(name, thread):
    """Return the one detector of a thread: OpenCV's networks are not to be shared."""
    return detector(name)


def follow(boxes, previous):
    """Return the row of `boxes` (k, 4) that continues `previous` (4,): the highest overlap, else the largest area."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    if previous is None:
        return int(area.argmax())
    corner, other = np.maximum(boxes[:, :2], previous[:2]), np.minimum(boxes[:, 2:], previous[2:])
    shared = np.clip(other - corner, 0, None).prod(axis=1)
    overlap = shared / (area + (previous[2:] - previous[:2]).prod() - shared)
    return int(overlap.argmax() if overlap.max() > 0 else area.argmax())


def crop_square(image, box, margin, size):
    """Return the square around `box` (x1, y1, x2, y2), `margin` times its longer side, as (size, size) uint8.

    image: uint8 (H, W, 3) or (H, W). A square that leaves the image is moved inside; one larger than the image
    shrinks to its shorter side, so that no pixel is ever invented. Source: systems.md B8 (margin 1.3 as in the
    FaceForensics++ code).
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    side = max(min(round(margin * max(x2 - x1, y2 - y1)), height, width), 1)
    left = min(max(round((x1 + x2 - side) / 2), 0), width - side)
    top = min(max(round((y1 + y2 - side) / 2), 0), height - side)
    return resize(image[top : top + side, left : left + side], size)


def cut_video(path, indices, settings, known=None):
    """Return [(frame index, box, crop)] of the frames of a video in which the followed face is found.

    settings: params.faces (detector, margin, size). known: {frame index: box} to crop at, in place of a detection.
    The largest face of the first frame that has one is followed by overlap; a frame without a face is left out.
    Raises as video.stream_frames.
    """
    crops, previous = [], None
    for frame, rgb in video.stream_frames(path, indices):
        box = known.get(frame) if known else None
        if not known:
            boxes, _, _ = _detector(settings.detector, threading.get_ident()).detect(rgb)
            if len(boxes):
                previous = boxes[follow(boxes, previous)]
                box = [round(float(corner), 2) for corner in previous]
        if box:
            crops.append((frame, box, crop_square(rgb, box, settings.margin, settings.size)))
    return crops


def prepare(params, data_set=None, progress=True, client=None):
    """Return the table of face crops of a data set, cutting those that are not on disk yet.

    data_set: a params.DataSet, by default params.data.forged. client: a dask.distributed.Client whose workers (of one
    thread each) see the same disk; without one, params.faces.workers processes of this machine do the work.
    Image layouts need no cutting: their table is returned. WildDeepfake is cut already: up to faces.frames_per_video
    images of each sequence are unpacked.
    Columns: those of layouts.videos, frame (index in the video), x1, y1, x2, y2 (the detected box, pixels of the
    video). Crops lie in paths.FACES/<data set and settings>/<compression>/<method>/<video>/<frame>.png, with
    manifest.csv (paths relative to it), frames.csv (each sampled frame: video, frame, box, status) and report.csv (what
    was skipped, and why). Other settings use another folder, so nothing old is overwritten. A finished video is not cut
    again, so an interrupted run continues.
    c40 and raw reuse the boxes that c23 of the same data set has, so that the qualities share their crops.
    """
    data_set = data_set or params.data.forged
    settings = params.faces
    how = {"workers": settings.workers, "client": client, "progress": progress}
    if data_set.layout == "WildDeepfake":
        return _unpack_all(data_set, settings.frames_per_video, params.seed, how)
    if data_set.layout not in VIDEO_LAYOUTS:
        return layouts.images(data_set, params.seed)
    table = layouts.videos(data_set)
    folder = paths.FACES / _cache_name(data_set, settings) / data_set.compression
    todo = []
    for row in table.itertuples():
        source = [jobs.fingerprint(file) for file in (row.path, row.mask) if file]
        todo.append((folder / row.video, source, row.path, row.mask, folder.parent / "c23" / row.video))
    # The detector is made here first: a missing package is one clear line, weights are fetched once.
    before = functools.partial(detector, settings.detector)
    records = jobs.finish(functools.partial(_cut, settings=settings), todo, _name(folder), before=before, **how)
    faces = _manifest(table, folder, records)
    jobs.write_csv(folder / "frames.csv", _frames(table, records))
    _report(folder, table["video"], records, [len(record["frames"]) for record in records], "video")
    if faces.empty:
        raise ValueError(f"{data_set.root}: no face in any of {len(table)} videos; see {paths.show(folder)}/report.csv")
    return faces


def _unpack_all(data_set, count, seed, how):
    """Return the table of the images of WildDeepfake, unpacking those that are not on disk yet."""
    listed = wild_deepfake.archives(layouts.root_of(data_set), seed)
    if not listed:
        raise FileNotFoundError(f"{data_set.root}: its folders hold no archive N.tar.gz")
    key = hashlib.sha256(json.dumps([data_set.root, count]).encode()).hexdigest()[:8]
    folder = paths.FACES / f"{Path(data_set.root).name}-{count}frames-{key}"
    todo = [(folder / name, [jobs.fingerprint(file)], file) for file, _, _, name in listed]
    records = jobs.finish(
        functools.partial(wild_deepfake.unpack_record, count=count), todo, _name(folder), unit="archive", **how
    )
    table = pd.DataFrame(wild_deepfake.rows(listed, records), columns=[*layouts.COLUMNS, "frame"])
    jobs.write_csv(folder / "manifest.csv", table)
    counts = [sum(map(len, record["sequences"].values())) for record in records]
    _report(folder, [name for *_, name in listed], records, counts, "archive")
    if table.empty:
        raise ValueError(f"{data_set.root}: no image in any of {len(listed)} archives; see {paths.show(folder)}")
    layouts.check_disjoint(table)
    return table.assign(path=[str(folder / path) for path in table["path"]])


def _cache_name(data_set, settings):
    key = [data_set.root, settings.frames_per_video, settings.size, settings.margin, settings.detector]
    return f"{Path(data_set.root).name}-{settings.size}px-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]}"


def _name(folder):
    return folder.relative_to(paths.FACES).as_posix()


def _cut(job, settings):
    """Cut the faces of one video; its record, written last, says that it is finished."""
    folder, source, path, mask, twin = job
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run or an older video left there
    record = {"source": source, "wanted": [], "frames": [], "boxes": [], "reused": False, "mask": False, "reason": ""}
    try:
        wanted = video.equal_interval(video.frame_count(path), settings.frames_per_video)
        known = jobs.read_record(twin) if twin != folder else None
        known = dict(zip(known["frames"], known["boxes"], strict=True)) if known else None
        crops = cut_video(path, wanted, settings, known)
        record |= {"wanted": wanted.tolist(), "reused": bool(known)}
        for frame, box, crop in crops:
            write_png(folder / f"{frame:04d}.png", crop)
            record["frames"].append(frame)
            record["boxes"].append(box)
    except (ValueError, cv2.error) as error:
        record |= {"wanted": [], "frames": [], "boxes": [], "reason": _one_line(error, path)}
    else:
        lost = len(wanted) - len(crops)
        record["reason"] = "" if not lost else f"no face in {lost} of {len(wanted)} frames"
    if mask and record["frames"]:
        try:
            for index, (frame, grey) in enumerate(video.stream_frames(mask, record["frames"])):
                crop = crop_square(grey[..., 0], record["boxes"][index], settings.margin, settings.size)
                write_png(folder / f"{frame:04d}.mask.png", crop)
            record["mask"] = True
        except ValueError as error:
            record["reason"] = f"mask not used: {_one_line(error, mask)}"
    return jobs.write_record(folder, record)


def _manifest(table, folder, records):
    rows = []
    for row, record in zip(table.drop(columns=["path", "mask"]).to_dict("records"), records, strict=True):
        for frame, box in zip(record["frames"], record["boxes"], strict=True):
            stem = f"{row['video']}/{frame:04d}"
            mask = f"{stem}.mask.png" if record["mask"] else ""
            rows.append(
                {"path": f"{stem}.png", **row, "frame": frame, "mask": mask, **dict(zip(BOX, box, strict=True))}
            )
    faces = pd.DataFrame(rows, columns=["path", *table.columns.drop(["path", "mask"]), "frame", "mask", *BOX])
    jobs.write_csv(folder / "manifest.csv", faces)
    return faces.assign(
        path=[str(folder / path) for path in faces["path"]],
        mask=[str(folder / mask) if mask else "" for mask in faces["mask"]],
    )


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
    rows = [
        {unit: name, "frames": count, "reason": record["reason"]}
        for name, record, count in zip(names, records, counts, strict=True)
        if record["reason"]
    ]
    jobs.write_csv(folder / "report.csv", pd.DataFrame(rows, columns=[unit, "frames", "reason"]))
    skipped = [f"{row[unit]} ({row['reason']})" for row in rows if not row["frames"]]
    if skipped:
        print(f"{len(skipped)} of {len(records)} {unit}s skipped: {', '.join(skipped)}")


def _one_line(error, path):
    return str(error).splitlines()[0].removeprefix(f"{path}: ")
