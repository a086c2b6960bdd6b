"""Seconds that parts of the pipeline take on one core of a CPU: `python -m lib.rehearsal.costs --measure`."""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from sklearn.svm import SVC
from torch import nn

from lib import paths
from lib.data import cut, face_detectors, image, perturb, video
from lib.data.items import FaceImages
from lib.fakes import orl
from lib.ops import equalization, spectra
from lib.params import read
from lib.rivals import add_net, prnu
from lib.seeds import machine

FILE = paths.ROOT / "results" / "cpu_costs.csv"
LARGE, CROP, FRAME = 1024, 320, (720, 1280)  # sides in pixels of a picture, of a face crop and of a frame of a video
NOISE = 5  # grey levels: with it, decoding the clip is as slow as that of c23 videos, 2.7 to 3.7 ms a megapixel here
SPECTRA, TERMS = 2000, 722  # number and length of the spectra from which the support vector machine learns


def table():
    """Return results/cpu_costs.csv: seconds by item, as a Series. Raises FileNotFoundError that names the command."""
    if not FILE.is_file():
        raise FileNotFoundError(f"{paths.show(FILE)}: missing; run `python -m lib.rehearsal.costs --measure`")
    return pd.read_csv(FILE).set_index("item")["seconds"]


def measure(rounds=2):
    """Measure all items, and write and return results/cpu_costs.csv.

    The fastest round counts, in processor time, which other programs hardly change. The pictures are random but as
    smooth as photographs, so that no data set is needed; the face is one of ORL.
    """
    threads, found = torch.get_num_threads(), []
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for item, unit, work, share in _items(Path(folder)):
                times = []
                for _ in range(rounds):
                    began = time.process_time()
                    work()
                    times.append(time.process_time() - began)
                found.append(
                    {"item": item, "of": unit, "seconds": min(times) / share, "machine": f"{machine()}, one thread"}
                )
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(-1)
    measured = pd.DataFrame(found)
    paths.replace(FILE, lambda file: measured.to_csv(file, index=False, float_format="%.3g"))
    return measured


def _items(folder):
    """Yield (item, its unit, function to time, number of units that the function processes)."""
    rng = np.random.default_rng(0)
    picture, frame, face = _picture(LARGE, rng), _picture(FRAME[1], rng)[: FRAME[0]], orl.orl_photographs()[0][2]
    side = FRAME[0] // 2
    frame[side // 2 : side // 2 + side, side : 2 * side] = orl.photo_square(face, side)[..., None]
    crop = cv2.resize(frame[side // 2 : side // 2 + side, side : 2 * side], (CROP, CROP))
    clip = np.stack([np.roll(frame, (step, 2 * step), (0, 1)) for step in range(30)])
    clip = np.clip(clip + rng.normal(0, NOISE, clip.shape), 0, 255).astype(np.uint8)
    video.write_video(folder / "clip.mp4", clip)
    image.write_png(folder / "large.png", picture)
    items = FaceImages(pd.DataFrame({"path": [folder / "large.png"], "label": 0}), LARGE, in_memory=False)
    detector, box = face_detectors.detector("mtcnn"), (side, side // 2, 2 * side, side // 2 + side)
    points, spectrum = face_detectors.crop_landmarks(crop), spectra.mean_spectrum([_planes(_picture(LARGE, rng))])
    points = np.full((5, 2), 0.5) + np.linspace(-0.2, 0.2, 10).reshape(5, 2) if np.isnan(points).any() else points
    settings = [(levels, sigma) for levels in (1, 2, 3, 4) for sigma in (0.5, 0.8, 5.0)]
    curves = [(perturb.SINGLE[name], s) for name, strengths in read("paper").bts_detectors.curves for s in strengths]
    changes = [(change, s) for change, strengths in perturb.PEL_TABLE3.values() for s in strengths[1:]]
    vectors, labels = rng.normal(size=(SPECTRA, TERMS)), np.arange(SPECTRA) % 2
    vectors[labels == 1] += 0.1
    conv, maps = nn.Conv2d(64, 64, 3, padding=1), torch.rand(1, 64, 256, 256)
    megapixels = FRAME[0] * FRAME[1] / 1e6
    write = lambda: image.write_png(folder / "crop.png", cut.crop_square(frame, box, 1.3, CROP))
    yield "decode", "megapixel of video", lambda: video.read_frames(folder / "clip.mp4", [29]), 30 * megapixels
    yield "find faces", "frame", lambda: detector.detect(frame), 1
    yield "write crop", f"crop of {CROP} px", write, 1
    yield "landmarks", "crop", lambda: face_detectors.crop_landmarks(crop), 1
    yield "mask", f"crop of {CROP} px", lambda: add_net.attention_mask(points, CROP), 1
    yield "read", f"picture of {LARGE} px", lambda: items[0], 1
    yield "write", f"picture of {LARGE} px", lambda: image.write_png(folder / "again.png", picture), 1
    yield "+E", f"picture of {LARGE} px", lambda: equalization.equalize_image(picture, spectrum), 1
    yield "+P", f"picture of {LARGE} px", lambda: [perturb.chain(picture, rng) for _ in range(8)], 8
    yield "spectrum", f"picture of {LARGE} px", lambda: spectra.mean_spectrum([_planes(picture)]), 1
    yield "grey spectrum", f"picture of {LARGE} px", lambda: spectra.mean_spectrum([_planes(picture)[0]]), 1
    yield "1D spectrum", f"picture of {LARGE} px", lambda: spectra.azimuthal_profile(picture[..., 0]), 1
    yield "PRNU", f"picture of {LARGE} px", lambda: prnu.residual(picture), 1
    yield "PRNU grid", f"picture of {LARGE} px", lambda: prnu.residuals(picture, settings), 1
    yield "curve", f"picture of {LARGE} px", lambda: [f(picture, s, rng) for f, s in curves], len(curves)
    yield "change", f"crop of {CROP} px", lambda: [f(crop, s, rng) for f, s in changes], len(changes)
    yield "support vectors", f"{SPECTRA} spectra", lambda: SVC(kernel="linear").fit(vectors, labels), 1
    yield "teraflop", "10^12 FLOPs of convolution", lambda: conv(maps), 2 * 9 * 64 * maps.numel() / 1e12


def _picture(side, rng):
    """Return a square picture, uint8 (side, side, 3), that takes 1.1 bytes a pixel as PNG, as those of CelebA-HQ do."""
    axis = np.fft.fftfreq(side, 1 / side)
    radius = np.maximum(np.hypot(axis[:, None], axis), 1)
    shared = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) / radius**1.7).real
    smooth = 128 + 45 * shared[..., None] / shared.std() * np.array([1.0, 0.9, 0.8])
    return np.clip(smooth + 0.5 * rng.normal(size=(side, side, 3)), 0, 255).astype(np.uint8)


def _planes(picture):
    return np.moveaxis(picture, -1, 0) / 255
