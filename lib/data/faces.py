"""The face crops of a whole data set of videos, on disk with their manifest; resumable and parallel.

`python -m lib.data.faces` cuts those of all data sets of params.yaml, on a dask cluster with `--scheduler ADDRESS`.
"""

import argparse
import functools
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from lib import paths
from lib.data import cut, jobs, layouts, unpack, video_sets, wild_deepfake
from lib.data.face_detectors import detector
from lib.params import ParamsError, load
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
    manifest.csv (paths relative to it), frames.csv (each sampled frame: video, frame, box, faces: how many it has,
    status) and report.csv (what was skipped, and why; which videos show several faces, and how one was chosen).
    If a video shows several faces, the one is cut that its mask covers. A video without a mask, such as an original,
    takes that of another video of the same scene (video_sets.scene), whose frames show the same. Without any mask, the
    face in the most frames is cut.
    A finished video is cut again only if its file or the code that cuts it has changed, so an interrupted run
    continues. c40 and raw reuse the boxes of c23, so that all qualities have the same crops.
    """
    how = {"workers": settings.workers, "client": client}
    if data_set.layout == "WildDeepfake":
        return _unpack_all(data_set, settings, seed, how)
    if data_set.layout not in layouts.VIDEO_LAYOUTS:
        return layouts.images(data_set, seed)
    table = layouts.videos(data_set)
    folder = folder_of(data_set, settings)
    code, masks, todo = staleness.code("lib.data.cut"), _masks(table), []
    for row in table.itertuples():
        partner = "" if row.mask else masks.get(_scene(row.video), "")
        source = [staleness.fingerprint(file) for file in (row.path, row.mask or partner) if file]
        twin = jobs.read_record(folder.parent / "c23" / row.video) if data_set.compression != "c23" else None
        known = twin if twin and twin["frames"] and twin.get("code") == code else None
        todo.append((folder / row.video, source, row.path, row.mask, partner, known))
    records = jobs.finish(
        functools.partial(cut.cut_to_files, settings=settings), todo, code, _name(folder),
        # The detector is made here first: a missing package is one clear line, weights are fetched once.
        before=functools.partial(detector, settings.detector), **how,
    )  # fmt: skip
    jobs.write_csv(folder / "frames.csv", _frames(table, records))
    counts, choice = [len(record["frames"]) for record in records], [record["choice"] for record in records]
    most = [max(record["faces"], default=0) for record in records]
    _report(folder, table["video"], records, counts, "video", faces=most, choice=choice)
    if several := Counter(filter(None, choice)):
        chosen = ", ".join(f"{several[how]} chosen by {how}" for how in sorted(several))
        print(f"{several.total()} of {len(records)} videos show several faces: {chosen}")
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


def _masks(table):
    """Return {scene: mask video} of a table of videos."""
    return {_scene(row.video): row.mask for row in table[::-1].itertuples() if row.mask}  # the first one of a scene


def _scene(video):
    return video_sets.scene(video.rpartition("/")[2])


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
    """Write a table with paths relative to `folder` to its manifest.csv, and return the table with full paths."""
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
    """Return what became of each sampled frame: video, frame, box, faces (how many it has), status.

    A video that could not be read has one row without a frame.
    """
    rows = []
    for name, record in zip(table["video"], records, strict=True):
        boxes = dict(zip(record["frames"], record["boxes"], strict=True))
        for frame, faces in zip(record["wanted"], record["faces"], strict=True):
            found, lost = ("face", "another face" if faces else "no face")
            if record["reused"]:
                found, lost = "box of c23", "no box in c23"
            rows.append((name, frame, *boxes.get(frame, [None] * 4), faces, found if frame in boxes else lost))
        if not record["wanted"]:
            rows.append((name, None, *[None] * 4, None, record["reason"]))
    table = pd.DataFrame(rows, columns=["video", "frame", *BOX, "faces", "status"])
    return table.astype({"frame": "Int64", "faces": "Int64"})


def _report(folder, names, records, counts, unit, **more):
    """Write report.csv, one line a video or archive that lost something or shows several faces; print the empty ones.

    more: further columns, such as `choice`, "" where nothing had to be chosen.
    """
    reasons = [record["reason"] for record in records]
    report = pd.DataFrame({unit: list(names), "frames": counts, **more, "reason": reasons})
    report = report[(report.filter(["choice", "reason"]) != "").any(axis=1)]
    jobs.write_csv(folder / "report.csv", report)
    skipped = [f"{name} ({reason})" for name, n, reason in zip(names, counts, reasons, strict=True) if reason and not n]
    if skipped:
        print(f"{len(skipped)} of {len(records)} {unit}s skipped: {', '.join(skipped)}")


def main(arguments=None):
    """Run the command; returns 0, or 1 if a data set could not be cut."""
    about = "Cut the faces out of all videos of params.yaml (data.forged in each quality that is there, "
    about += "data.cross_forged). What is cut already stays: the same command goes on where one stopped."
    parser = argparse.ArgumentParser(prog="python -m lib.data.faces", description=about)
    parser.add_argument("--scheduler", metavar="ADDRESS", help=f"{jobs.SCHEDULER}; faces.workers processes otherwise")
    options, failed = parser.parse_args(arguments), 0
    try:
        params, client = load(), jobs.client_of(options.scheduler)
    except (ParamsError, RuntimeError) as error:
        print(f"params.yaml: {error}" if isinstance(error, ParamsError) else error, file=sys.stderr)
        return 1
    for data_set in layouts.forged(params.data):
        try:
            faces = prepare(data_set, params.faces, params.seed, client)
        except (OSError, ValueError, RuntimeError) as error:
            print(f"not cut: {error}", file=sys.stderr)
            failed = 1
        else:
            videos, name = faces["video"].nunique(), f"{data_set.root} ({data_set.layout}, {data_set.compression})"
            print(f"{name}: {len(faces)} faces of {videos} videos")
    return failed


if __name__ == "__main__":
    sys.exit(main())
