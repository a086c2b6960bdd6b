"""Score your own images, folders and videos: ``python -m lib.detect PATH...``.

With `--scheduler ADDRESS` the faces are cut out on a dask cluster and scored here, where the weights and a GPU are.
"""

import argparse
import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lib import detectors, heatmaps, paths
from lib.data import jobs, user_files
from lib.training import checkpoints, staleness
from lib.training.device import device

DETECTORS = {"pel": "pel/PEL", "bts": "bts/SR_all"}  # name on the command line: weights
THRESHOLD = 0.5
AHEAD = 256  # files that a cluster may cut before they are scored: a video of 50 faces of 320 px takes 15 MB
# How faces are cut out of a video for a detector of Beyond the Spectrum, whose weights do not say it: it was trained on
# whole pictures.
READY_CUT = {"detector": "mtcnn", "margin": 1.3, "frames_per_video": 10}


@dataclass
class Loaded:
    """A trained detector and how its input is cut.

    size: side of its input in pixels; faces: how faces are cut, as in the section `faces`; whole: whether it reads the
    whole image instead of the face in it.
    """

    name: str
    model: detectors.Detector
    size: int
    faces: dict
    whole: bool

    def cutting(self, frames):
        """Return the keyword arguments of user_files.cut_file; frames: how many of a video, None: as in training."""
        return {"size": self.size, "faces": self.faces, "whole": self.whole, "frames": frames}

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
    faces: int | None = None  # the most faces found in one frame; None: not searched for

    @property
    def verdict(self):
        return "fake" if self.score > THRESHOLD else "real"

    def row(self):
        """Return the result as a dict: a row of a table, or a line of JSON."""
        return {"path": self.path, "score": round(self.score, 6), "verdict": self.verdict,
                "frames": len(self.frames), "detector": self.detector, "faces": self.faces}  # fmt: skip


def load(name="pel", checkpoint=None):
    """Return the trained detector "pel" or "bts", or that of the file `checkpoint` (any detector of this project).

    In a fresh clone, the weights of "pel" and "bts" are those that come with it (`checkpoints.fetched`).
    Raises FileNotFoundError that names the stage to run, ValueError for a file that holds no detector.
    """
    file = _weights(name, checkpoint)
    return _load(file, file.stat().st_mtime_ns if file.exists() else None)


def _weights(name, checkpoint):
    file = Path(checkpoint or checkpoints.file(DETECTORS[name])).resolve()
    return file if checkpoint else checkpoints.fetched(file)


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

    detector: "pel" scores a face, cut out as in training; of several, the one in the most frames. "bts" scores the
    central square of an image, because it was trained on whole pictures of faces, but the face of a video.
    frames: how many frames of a video are scored, at equal intervals (default: as many as PEL was trained with, or 10
    for "bts"). The score of a video is the mean of those of its frames. checkpoint: see `load`.
    Raises ValueError or FileNotFoundError, in one line that names the file, if it cannot be scored.
    """
    loaded = load(detector, checkpoint)
    return _score(path, loaded, *user_files.cut_file(path, **loaded.cutting(frames)))


def _score(path, loaded, cut, faces):
    indices, crops = zip(*cut, strict=True)
    rgb = torch.tensor(np.stack(crops), device=device()).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        scores = np.concatenate([loaded.probability(part).cpu().numpy() for part in rgb.split(16)])
    by_frame = dict(zip(indices, map(float, scores), strict=True))
    return Result(str(path), loaded.name, float(scores.mean()), by_frame, crops[scores.argmax()], faces)


def main(arguments=None):
    """Run the command line; returns the exit status: 0, 1 if something could not be scored, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        loaded, table = load(options.detector, options.checkpoint), user_files.ScoreTable(options.csv)
        client = jobs.client_of(options.scheduler)
    except (OSError, ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    files = user_files.expand(options.paths)
    common, keys = os.path.commonpath([file.absolute().parent for file in files]), {}
    maps = {file: options.heatmap / f"{file.absolute().relative_to(common)}.png" for file in files if options.heatmap}
    if options.csv:
        code = (user_files.__name__, detectors.__name__, type(loaded.model).__module__)
        weights = staleness.fingerprint(_weights(options.detector, options.checkpoint))
        scorer = staleness.key(weights=weights, frames=options.frames, code=code)
        keys = {file: user_files.key_of(file, scorer) for file in files}
    done = {file for file in files if table.holds(file, keys.get(file)) and (not maps or maps[file].is_file())}
    if done:
        print(f"{len(done)} of {len(files)} are in {options.csv} already", file=sys.stderr)
    todo, failed = [file for file in files if file not in done], False
    given = [file.absolute() for file in todo] if client else todo
    work = functools.partial(user_files.try_to_cut, **loaded.cutting(options.frames))
    cuts = jobs.run(work, given, client=client, name="scoring", setting="the threads of each worker", ahead=AHEAD)
    try:
        bar = tqdm(todo, desc="scoring", unit="file", disable=None, leave=False)
        for file, cut in zip(bar, cuts, strict=True):
            row = _row(file, cut, loaded, options.json, maps.get(file))
            failed |= "error" in row
            table.add(row, "" if "error" in row else keys.get(file))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        kept = f": {options.csv} keeps what is scored, the same command goes on" if options.csv else ""
        print(f"stopped{kept}", file=sys.stderr)
        return 130
    finally:
        cuts.close()
        table.write()
    return int(failed)


def _row(file, cut, loaded, as_json, drawn):
    """Return the row of a file and print its line; cut: what try_to_cut returned; drawn: path for its heat map."""
    try:
        if isinstance(cut, Exception):
            raise cut
        result = _score(file, loaded, *cut)
        if drawn:
            heatmaps.save(heatmaps.heatmap(result, loaded.model), drawn)
    except (OSError, ValueError, RuntimeError) as error:
        tqdm.write(f"not scored: {error}", file=sys.stderr)
        return {"path": str(file), "detector": loaded.name, "error": str(error)}
    tqdm.write(_line(result, as_json))
    return result.row()


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m lib.detect",
        description="Score images, folders and videos: 0 = real, 1 = fake, one line each. What cannot be scored gets "
        "one line on stderr and an exit status of 1; the others are scored nevertheless.",
    )
    kinds = (
        "pel: for manipulated faces, cuts one face out, of several the one in the most frames (default). bts: for "
        "generated pictures, takes an image whole, because it is trained on pictures that are aligned faces"
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="an image, a video, or a folder of them")
    add("--detector", choices=DETECTORS, default="pel", help=kinds)
    add("--frames", type=_positive, metavar="N", help="frames of a video (default: as in training)")
    add("--csv", type=Path, metavar="FILE", help="write all scores and errors to this table, and skip what it holds")
    add("--json", action="store_true", help="one JSON object a line, with the score of each frame")
    add("--heatmap", type=Path, metavar="DIR", help="draw into DIR where the network found evidence")
    add("--checkpoint", type=Path, metavar="FILE", help="weights of any detector of this project")
    add("--scheduler", metavar="ADDRESS", help=f"cut the faces out on the workers {jobs.SCHEDULER}")
    return parser


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number above 0, has {text}")
    return int(text)


def _line(result, as_json):
    if as_json:
        return json.dumps(result.row() | {"frame_scores": {i: round(x, 6) for i, x in result.frames.items()}})
    count, several = len(result.frames), f"1 of {result.faces} faces  " if (result.faces or 1) > 1 else ""
    seen = f"{count:>3} frame{'s' if count > 1 else ' '}  {several}"
    return f"{result.score:.3f}  {result.verdict}  {seen}{result.path}"


if __name__ == "__main__":
    paths.end_with_the_reader()
    sys.exit(main())
