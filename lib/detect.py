"""Score your own images, folders and videos: ``python -m lib.detect PATH...``."""

import argparse
import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lib import detectors, heatmaps, paths
from lib.data import cut, face_detectors, image, video
from lib.data.jobs import write_csv
from lib.training import checkpoints
from lib.training.device import device

DETECTORS = {"pel": "pel/PEL", "bts": "bts/SR_all"}  # name on the command line: weights
KNOWN = (*image.SUFFIXES, *video.SUFFIXES)
THRESHOLD = 0.5
# How faces are cut out of a video for a detector of Beyond the Spectrum: it was trained on whole pictures of faces.
READY_CUT = {"detector": "mtcnn", "margin": 1.3, "frames_per_video": 10}


@dataclass
class Loaded:
    """A trained detector and how its input is cut.

    size: side of its input in pixels; faces: how faces are cut, as in the section `faces`; whole: whether it reads a
    whole image and not the face in it.
    """

    name: str
    model: detectors.Detector
    size: int
    faces: dict
    whole: bool

    def probability(self, rgb):
        """Return the probability of being fake (N,) of rgb (N,3,size,size) in [0,1]."""
        return self.model.fake_probability({"rgb": rgb})


@dataclass
class Result:
    """The score of one image or video, in [0,1], 1 = fake, and what the detector saw."""

    path: str
    detector: str
    score: float
    frames: dict  # {frame index: score}; an image is frame 0
    crop: np.ndarray  # uint8 (size, size, 3): what the network saw; of a video, the frame with the highest score

    @property
    def verdict(self):
        return "fake" if self.score > THRESHOLD else "real"

    def row(self):
        """Return the result as a dict: a row of a table, or a line of JSON."""
        return {"path": self.path, "score": round(self.score, 6), "verdict": self.verdict,
                "frames": len(self.frames), "detector": self.detector}  # fmt: skip


def load(name="pel", checkpoint=None):
    """Return the trained detector "pel" or "bts", or that of the file `checkpoint` (any detector of this project).

    Raises FileNotFoundError that names the stage to run, ValueError for a file that holds no detector.
    """
    file = Path(checkpoint or checkpoints.file(DETECTORS[name])).resolve()
    return _load(file, file.stat().st_mtime_ns if file.exists() else None)


@functools.lru_cache(2)
def _load(checkpoint, _modified):
    state, config = checkpoints.load(checkpoint)
    try:
        model = detectors.restore(state, config)
        entry = detectors.entry(config["detector"])
        whole = entry.table == "bts"
        faces = READY_CUT if whole else config["faces"]
        size = (config if whole else faces)["size"]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{paths.show(checkpoint)}: {error}; choose another --checkpoint") from None
    return Loaded(entry.name, model.to(device()), size, faces, whole)


def score(path, detector="pel", frames=None, checkpoint=None):
    """Return the Result of one image or video file.

    detector: "pel" scores the largest face, cut out as in training. "bts" scores the central square of an image,
    because it was trained on whole pictures of faces; of a video it scores the face.
    frames: how many frames of a video are scored, at equal intervals (default: as many as PEL was trained with, or 10
    for "bts"). The score of a video is the mean of its frames. checkpoint: see `load`.
    Raises ValueError or FileNotFoundError, in one line that names the file, if it cannot be scored.
    """
    loaded = load(detector, checkpoint)
    indices, crops = zip(*_cut(path, loaded, frames), strict=True)
    rgb = torch.tensor(np.stack(crops), device=device()).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        scores = np.concatenate([loaded.probability(part).cpu().numpy() for part in rgb.split(16)])
    by_frame = dict(zip(indices, map(float, scores), strict=True))
    return Result(str(path), loaded.name, float(scores.mean()), by_frame, crops[scores.argmax()])


def _cut(path, loaded, frames):
    """Return what the detector reads of a file, [(frame index, uint8 (size, size, 3))]: the faces of one person.

    Of an image it is the central square if `loaded.whole`. Raises ValueError, in one line that names the file, for a
    file without a face, a broken file or an unknown kind of file; FileNotFoundError for a file that does not exist.
    """
    path, wanted = Path(path), [0]
    if path.suffix.lower() in image.SUFFIXES:
        pictures = [(0, image.read_image(path))]
        if loaded.whole:
            return [(0, image.resize(pictures[0][1], loaded.size))]
    elif path.suffix.lower() in video.SUFFIXES:
        wanted = video.equal_interval(video.frame_count(path), frames or loaded.faces["frames_per_video"])
        pictures = video.stream_frames(path, wanted)
    elif path.is_dir():
        raise ValueError(f"{path}: this folder holds no image and no video")
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    else:
        raise ValueError(f"{path}: not a kind of image or video that is read here ({' '.join(KNOWN)})")
    found = cut.follow_face(pictures, face_detectors.detector(loaded.faces["detector"]))
    crops = [(index, cut.crop_square(rgb, box, loaded.faces["margin"], loaded.size)) for index, rgb, box in found]
    if not crops:
        raise ValueError(f"{path}: no face found" + (f" in {len(wanted)} frames" if len(wanted) > 1 else ""))
    return crops


def expand(arguments):
    """Return the files that the arguments name; a folder stands for all images and videos in it, sorted.

    A folder without images and videos is returned itself, so that `score` reports it.
    """
    files = []
    for argument in map(Path, arguments):
        below = sorted(argument.rglob("*")) if argument.is_dir() else []
        files += [file for file in below if file.suffix.lower() in KNOWN and file.is_file()] or [argument]
    return list(dict.fromkeys(files))


def main(arguments=None):
    """Run the command line and return the exit status: 0, or 1 if a file could not be scored."""
    options = _parser().parse_args(arguments)
    try:
        loaded = load(options.detector, options.checkpoint)
    except (OSError, ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    rows, files = [], expand(options.paths)
    common = os.path.commonpath([file.absolute().parent for file in files])
    for file in tqdm(files, desc="scoring", unit="file", disable=None, leave=False):
        try:
            result = score(file, options.detector, options.frames, options.checkpoint)
            if options.heatmap:
                drawn = options.heatmap / f"{file.absolute().relative_to(common)}.png"
                heatmaps.save(heatmaps.heatmap(result, loaded.model), drawn)
        except (OSError, ValueError, RuntimeError) as error:
            tqdm.write(f"not scored: {error}", file=sys.stderr)
            rows.append({"path": str(file), "detector": options.detector, "error": str(error)})
        else:
            tqdm.write(_line(result, options.json))
            rows.append(result.row())
    if options.csv:
        table = pd.DataFrame(rows, columns=["path", "score", "verdict", "frames", "detector", "error"])
        write_csv(options.csv, table.astype({"frames": "Int64"}))
    return int(any("error" in row for row in rows))


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m lib.detect",
        description="Score images, folders and videos: 0 = real, 1 = fake, one line each. What cannot be scored gets "
        "one line on stderr and an exit status of 1; the others are scored nevertheless.",
    )
    kinds = (
        "pel: for manipulated faces, cuts the largest face out (default). bts: for generated pictures, takes an image "
        "whole, because it is trained on pictures that are aligned faces"
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="an image, a video, or a folder of them")
    add("--detector", choices=DETECTORS, default="pel", help=kinds)
    add("--frames", type=_positive, metavar="N", help="frames of a video (default: as in training)")
    add("--csv", type=Path, metavar="FILE", help="write all scores and errors to this table")
    add("--json", action="store_true", help="one JSON object a line, with the score of each frame")
    add("--heatmap", type=Path, metavar="DIR", help="draw into DIR where the network found evidence")
    add("--checkpoint", type=Path, metavar="FILE", help="weights of any detector of this project")
    return parser


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number above 0, has {text}")
    return int(text)


def _line(result, as_json):
    if as_json:
        return json.dumps(result.row() | {"frame_scores": {i: round(x, 6) for i, x in result.frames.items()}})
    count = len(result.frames)
    return f"{result.score:.3f}  {result.verdict}  {count:>3} frame{'s' if count > 1 else ' '}  {result.path}"


if __name__ == "__main__":
    paths.end_with_the_reader()
    sys.exit(main())
