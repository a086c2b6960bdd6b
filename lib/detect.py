"""Score your own images, folders and videos: ``python -m lib.detect PATH...``."""

import argparse
import csv
import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from tqdm import tqdm

from lib import figures, paths
from lib.bts import explain
from lib.bts.detector import BeyondTheSpectrum
from lib.bts.explain import residual_maps
from lib.data import cut as data_cut
from lib.data import face_detectors, image, video
from lib.evaluation import heat as evaluation_heat
from lib.pel.network import PEL
from lib.training import checkpoints
from lib.training.device import device

DETECTORS = ("pel", "bts")
THRESHOLD = 0.5
# How a face is cut out of a video for Beyond the Spectrum, which is trained on pictures that are faces already.
READY_CUT = {"detector": "mtcnn", "margin": 1.3, "frames_per_video": 10}
LARGEST, STEP = 1024, 32  # pixels a side of the pictures whose failure is drawn; STEP: stride of the deepest stage
SIDE = 2.6  # inches of a picture in a figure


@dataclass
class Detector:
    """A trained network and how its input is cut: size in pixels, and the face settings of its training."""

    name: str
    model: torch.nn.Module
    size: int
    faces: dict

    def probability(self, rgb):
        """Return the probability of being fake (N,) of rgb (N,3,size,size) in [0,1]."""
        return self.model.fake_probability(rgb) if self.name == "bts" else self.model(rgb).sigmoid()


def activation_maps(model, rgb):
    """Return the maps of each stream of a detector: {stream: float (N, h, w)}.

    model: PEL (streams "rgb" and "freq") or BeyondTheSpectrum ("pixel", "stage 5", ...); rgb: (N,3,H,W) in [0,1].
    Source: PEL Fig. 2, BTS Figs. 7 and 8.
    """
    return model.activation_maps(rgb) if isinstance(model, PEL) else residual_maps(model, rgb)


@dataclass
class Result:
    """The score of one image or video, in [0,1], 1 = fake, with what was looked at."""

    path: str
    detector: str
    score: float
    frames: dict  # {frame index: score}; an image is frame 0
    crop: np.ndarray  # uint8 (size, size, 3): what the network saw, of a video the most fake frame

    @property
    def verdict(self):
        return "fake" if self.score > THRESHOLD else "real"

    def row(self):
        """Return what a table or a line of JSON holds."""
        return {"path": self.path, "score": round(self.score, 6), "verdict": self.verdict,
                "frames": len(self.frames), "detector": self.detector}  # fmt: skip


def load(name="pel", checkpoint=None):
    """Return the trained Detector "pel" or "bts"; checkpoint: another file than checkpoints/NAME.safetensors.

    Raises FileNotFoundError that says what makes the weights, ValueError for a file that holds another network.
    """
    file = Path(checkpoint or paths.CHECKPOINTS / f"{name}.safetensors").resolve()
    return _load(name, file, file.stat().st_mtime_ns if file.exists() else None)


@functools.lru_cache(2)
def _load(name, checkpoint, _modified):
    state, config = checkpoints.load(checkpoint)
    try:
        if name == "bts":
            model, size, settings = BeyondTheSpectrum.restore(state, config), config["size"], READY_CUT
        else:
            model = PEL(**{**config["model"], "pretrained": False})
            model.load_state_dict(state)
            size, settings = config["faces"]["size"], config["faces"]
    except (KeyError, TypeError, RuntimeError):
        remedy = "choose another --checkpoint or --detector"
        raise ValueError(f"{paths.show(checkpoint)}: not the weights of detector {name}; {remedy}") from None
    return Detector(name, model.to(device()).eval(), size, settings)


_face_detector = functools.cache(face_detectors.detector)


def score(path, detector="pel", frames=None, checkpoint=None):
    """Return the Result of one image or video file.

    detector: "pel" (the largest face is cut out as in training) or "bts" (trained on pictures that are aligned faces
    already: an image is taken whole, its central square; of a video the face is cut out, too). frames: how many of a
    video, at equal intervals (as in training by default); the score of a video is their mean.
    Raises ValueError or FileNotFoundError in one line that names a file that cannot be scored.
    """
    network = load(detector, checkpoint)
    crops = cut(path, network, frames)
    rgb = torch.tensor(np.stack(list(crops.values())), device=device()).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        scores = np.concatenate([network.probability(part).cpu().numpy() for part in rgb.split(16)])
    most_fake = list(crops.values())[scores.argmax()]
    by_frame = dict(zip(crops, map(float, scores), strict=True))
    return Result(str(path), detector, float(scores.mean()), by_frame, most_fake)


def cut(path, network, frames=None):
    """Return what a Detector is to see of a file: {frame index: uint8 (size, size, 3)}, the faces of one person.

    Raises ValueError in one line that names a file without a face, a broken one, or one of an unknown kind.
    """
    path, crops, box = Path(path), {}, None
    if path.suffix.lower() in image.SUFFIXES:
        pictures = [(0, image.read_image(path))]
        if network.name == "bts":
            return {0: image.resize(pictures[0][1], network.size)}
    elif path.suffix.lower() in video.SUFFIXES:
        wanted = frames or network.faces["frames_per_video"]
        pictures = video.stream_frames(path, video.equal_interval(video.frame_count(path), wanted))
    elif path.is_dir():
        raise ValueError(f"{path}: this folder holds no image and no video")
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    else:
        known = " ".join((*image.SUFFIXES, *video.SUFFIXES))
        raise ValueError(f"{path}: not a kind of image or video that is read here ({known})")
    seen = 0
    for index, rgb in pictures:
        boxes, _, _ = _face_detector(network.faces["detector"]).detect(rgb)
        seen += 1
        if len(boxes):
            box = boxes[data_cut.follow(boxes, box)]
            crops[index] = data_cut.crop_square(rgb, box, network.faces["margin"], network.size)
    if not crops:
        raise ValueError(f"{path}: no face found" + (f" in {seen} frames" if seen > 1 else ""))
    return crops


def heatmap(result, checkpoint=None):
    """Return a figure of the face and, over it, where each stream of its detector found evidence for fake.

    result: of `score`; of a video its most fake frame is drawn. "bts" adds a row: what its re-synthesis makes of the
    picture, and how much of each pixel it misses, at the picture's own resolution (up to LARGEST pixels a side).
    Source: PEL Fig. 2, BTS Figs. 3 and 7.
    """
    network = load(result.detector, checkpoint)
    maps = activation_maps(network.model, _tensor(result.crop))
    heats = [evaluation_heat.to_heat(stream, network.size)[0] for stream in maps.values()]
    pictures = [result.crop, *(figures.overlay(result.crop, heat) for heat in heats)]
    titles, tops = [f"{result.verdict}, score {result.score:.3f}", *maps], {}
    if result.detector == "bts":
        whole = _whole(result)
        missed, tops = _missed(network.model, whole)
        pictures += missed
        titles += [f"re-synthesized, {len(whole)} px", *(f"{name}: what that misses" for name in tops)]
    fig = figures.show_grid(pictures, titles, columns=1 + len(maps), side=SIDE)
    fig.set_figwidth(fig.get_figwidth() + 1)  # for the colour bar
    fig.set_figheight(fig.get_figheight() + 0.8 * bool(tops))
    evidence, failures = fig.axes[: len(maps) + 1], fig.axes[len(maps) + 2 :]
    bar = figures.heat_bar(evidence, "evidence for fake in this face", ticks=[0, 1])
    bar.ax.set_yticklabels(["least", "most"])
    for ax, (name, top) in zip(failures, tops.items(), strict=True):
        grey_levels = name == "pixel"
        unit = "grey levels of 255" if grey_levels else "units of the features"
        figures.heat_bar(ax, unit, top * 255**grey_levels, location="bottom")
    for ax in fig.axes[len(maps) + 1 : len(pictures)]:
        ax.set_anchor("S")  # in line, though one has no bar
    return fig


def _tensor(rgb):
    return torch.tensor(rgb, device=device()).permute(2, 0, 1)[None] / 255


def _whole(result):
    """Return the central square of the picture that was scored, undiminished up to LARGEST; of a video the crop."""
    if Path(result.path).suffix.lower() not in image.SUFFIXES:
        return result.crop
    rgb = image.read_image(result.path)
    side = min(*rgb.shape[:2], LARGEST)
    return image.resize(rgb, max(side // STEP, 1) * STEP)


@torch.inference_mode()
def _missed(model, rgb):
    """Return the re-synthesized picture with an overlay a stage of what it misses, and {stage: where colours end}."""
    failures = {name: failure[0].cpu() for name, failure in explain.failure_maps(model, _tensor(rgb)).items()}
    # Not the largest: one glint would darken all the rest.
    tops = {name: max(failure.quantile(0.999).item(), 1e-6) for name, failure in failures.items()}
    output = model.re_synthesizer.re_synthesize(_tensor(rgb))[0].cpu()
    heats = [failure.clamp(max=tops[name]) / tops[name] for name, failure in failures.items()]
    return [output, *(figures.overlay(rgb, heat, 0.75) for heat in heats)], tops


def expand(arguments):
    """Return the files that the arguments name: themselves, or the images and videos below a folder, sorted.

    A folder without any stands for itself.
    """
    known, files = (*image.SUFFIXES, *video.SUFFIXES), []
    for argument in map(Path, arguments):
        below = sorted(argument.rglob("*")) if argument.is_dir() else []
        files += [file for file in below if file.suffix.lower() in known and file.is_file()] or [argument]
    return list(dict.fromkeys(files))


def main(arguments=None):
    """Run the command line; returns the exit status: 0, or 1 if anything could not be scored."""
    options = _parser().parse_args(arguments)
    try:
        load(options.detector, options.checkpoint)
    except (OSError, ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    rows, failed = [], 0
    files = expand(options.paths)
    common = os.path.commonpath([file.absolute().parent for file in files])
    for file in tqdm(files, desc="scoring", unit="file", disable=None, leave=False):
        try:
            result = score(file, options.detector, options.frames, options.checkpoint)
            if options.heatmap:
                _save_heatmap(result, options, file.absolute().relative_to(common))
        except (OSError, ValueError, RuntimeError) as error:
            tqdm.write(f"not scored: {error}", file=sys.stderr)
            rows.append({"path": str(file), "detector": options.detector, "error": str(error)})
            failed += 1
        else:
            tqdm.write(_line(result, options.json))
            rows.append(result.row())
    if options.csv:
        paths.replace(options.csv, lambda unfinished: _write_csv(unfinished, rows))
    return 1 if failed else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m lib.detect",
        description="Score images, folders and videos: 0 = real, 1 = fake, one line each. Exit status 1 if anything "
        "could not be scored; each such thing gets one line on stderr, the others are scored nevertheless.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="an image, a video, or a folder of them")
    parser.add_argument(
        "--detector",
        choices=DETECTORS,
        default="pel",
        help="pel: for manipulated faces, cuts the largest face out (default). bts: for generated "
        "pictures, takes an image whole, because it is trained on pictures that are aligned faces",
    )
    parser.add_argument("--frames", type=_positive, metavar="N", help="frames of a video (default: as in training)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all scores and errors to this table")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with the score of each frame")
    parser.add_argument("--heatmap", type=Path, metavar="DIR", help="draw into DIR where the network found evidence")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="weights (default: checkpoints/DETECTOR.safetensors)"
    )
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


def _save_heatmap(result, options, name):
    fig = heatmap(result, options.checkpoint)
    largest = max(ax.images[0].get_array().shape[0] for ax in fig.axes if ax.images)
    dpi = max(fig.dpi, 1.25 * largest / SIDE)  # no pixel of a large picture is lost, though titles take some room
    paths.replace(options.heatmap / f"{name}.png", lambda unfinished: fig.savefig(unfinished, format="png", dpi=dpi))
    plt.close(fig)


def _write_csv(file, rows):
    with open(file, "w", newline="") as lines:
        writer = csv.DictWriter(lines, ["path", "score", "verdict", "frames", "detector", "error"])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    paths.end_with_the_reader()
    sys.exit(main())
