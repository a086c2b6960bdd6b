"""A user's own images and videos: which files are meant, what a detector sees of one, and the table of their scores."""

import time
from pathlib import Path

import pandas as pd

from lib.data import cut, face_detectors, image, video
from lib.data.jobs import write_csv
from lib.training import staleness

KNOWN = (*image.SUFFIXES, *video.SUFFIXES)
COLUMNS = ["path", "score", "verdict", "frames", "detector", "error", "faces", "key"]
EVERY = 10  # seconds between two writes of the table


def expand(arguments):
    """Return the files that the arguments name; a folder stands for all images and videos in it, sorted.

    A folder without images and videos is returned itself, so that `score` reports it.
    """
    files = []
    for argument in map(Path, arguments):
        below = sorted(argument.rglob("*")) if argument.is_dir() else []
        files += [file for file in below if file.suffix.lower() in KNOWN and file.is_file()] or [argument]
    return list(dict.fromkeys(files))


def cut_file(path, size, faces, whole=False, frames=None):
    """Return what a detector sees of a file, [(frame index, uint8 (size, size, 3))], and the number of faces in it.

    faces: how its training cut them (detector, margin, frames_per_video); frames: another number of frames. Of several
    faces the one in the most frames is cut, of equally frequent ones the largest. The number of faces is the largest of
    any frame. whole: take the central square of an image, whatever it shows; the number is None then.
    Raises ValueError in one line that names a file without a face, a broken one, or one of an unknown kind, and
    FileNotFoundError.
    """
    path, wanted = Path(path), [0]
    if path.suffix.lower() in image.SUFFIXES:
        pictures = [(0, image.read_image(path))]
        if whole:
            return [(0, image.resize(pictures[0][1], size))], None
    elif path.suffix.lower() in video.SUFFIXES:
        wanted = video.equal_interval(video.frame_count(path), frames or faces["frames_per_video"])
        pictures = video.stream_frames(path, wanted)
    elif path.is_dir():
        raise ValueError(f"{path}: this folder holds no image and no video")
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    else:
        raise ValueError(f"{path}: not a kind of image or video that is read here ({' '.join(KNOWN)})")
    found = cut.follow_faces(pictures, face_detectors.detector(faces["detector"]), faces["margin"], size)
    if not found:
        raise ValueError(f"{path}: no face found" + (f" in {len(wanted)} frames" if len(wanted) > 1 else ""))
    return [(index, crop) for index, _, crop in found[0]], max(cut.faces_in(found).values())


def try_to_cut(path, **how):
    """Return what `cut_file` returns, or the error that it raises: one bad file must not end the work of a cluster."""
    try:
        return cut_file(path, **how)
    except (OSError, ValueError, RuntimeError) as error:
        return error


class ScoreTable:
    """The table of `python -m lib.detect --csv`, one row a file, which the next run reads and goes on with.

    file: its path, None for no table. Rows of files that a run does not score stay as they are.
    Raises ValueError in one line for a file that holds something else.
    """

    def __init__(self, file):
        self.file, self.rows, self.written = file, {}, time.monotonic()
        if file and file.is_file() and file.stat().st_size:
            try:
                table = pd.read_csv(file, dtype=str, keep_default_na=False)
            except ValueError:
                table = pd.DataFrame()
            if not {"path", "score", "error"} <= set(table.columns):
                raise ValueError(f"{file}: holds no scores of `python -m lib.detect`; name another file for --csv")
            self.rows = {row["path"]: row for row in table.to_dict("records")}

    def holds(self, path, key):
        """Say whether a file has been scored with this key, which `key_of` makes."""
        return bool(key) and self.rows.get(str(path), {}).get("key") == key

    def add(self, row, key):
        """Add the row of a file, in place of an earlier one; the table is written every EVERY seconds."""
        self.rows[row["path"]] = {name: str(value) for name, value in row.items() if value is not None} | {"key": key}
        if time.monotonic() - self.written > EVERY:
            self.write()

    def write(self):
        """Write the table, whole or not at all."""
        if self.file:
            write_csv(self.file, pd.DataFrame(list(self.rows.values()), columns=COLUMNS))
        self.written = time.monotonic()


def key_of(path, scorer):
    """Return a short hash of a file and of what scores it; "" where there is no such file."""
    return staleness.key(file=staleness.fingerprint(path), scorer=scorer)[:16] if Path(path).is_file() else ""
