"""Where eyes, nose and mouth are in face crops: searched once and kept, because it takes longer than a training."""

import functools
import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from lib import paths
from lib.data import face_detectors, jobs
from lib.data.image import read_image
from lib.training import staleness


def find(crops):
    """Return the landmarks of face crops, by their paths, as shares of their side, float32 (n, 5, 2).

    x, y of left eye, right eye (as seen), nose, left and right corner of the mouth, of the largest face that MTCNN
    finds; NaN where it finds none. As many processes search as PyTorch has threads.
    What they find is kept in paths.LANDMARKS with the fingerprints of the crop and of the code: a killed run continues,
    and a crop that has changed is searched again. The processes of torchrun share the search.
    Raises the errors of lib.data.image.read_image.
    """
    crops, code = [str(crop) for crop in crops], staleness.code("lib.data.face_detectors")
    parts, found, todo = defaultdict(list), {}, []
    for crop in dict.fromkeys(crops):
        parts[_file(crop)].append(crop)
    for file, part in parts.items():
        fresh = _fresh(file, part, code)
        found |= fresh
        todo += [(file, part)] if len(fresh) < len(part) else []
    begin = len(todo) * int(os.environ.get("RANK", 0)) // int(os.environ.get("WORLD_SIZE", 1))
    todo = todo[begin:] + todo[:begin]  # each process begins elsewhere, and skips what others have found meanwhile
    results = jobs.run(functools.partial(_search, code), todo, torch.get_num_threads(), name="landmarks",
                       setting="OMP_NUM_THREADS")  # fmt: skip
    for new in tqdm(results, "landmarks", len(todo), unit="file", leave=False, delay=2):
        found |= new
    return np.array([found[crop] for crop in crops], np.float32).reshape(-1, 5, 2)


def _search(code, part):
    """Return {crop: its landmarks as lists} of crops that share a file; those that it lacks are searched and added."""
    file, crops = part
    fresh = _fresh(file, crops, code)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the threads of networks this small only wait for each other
    try:
        new = {c: face_detectors.crop_landmarks(read_image(c)).tolist() for c in crops if c not in fresh}
    finally:
        cv2.setNumThreads(threads)
    text = json.dumps({**_read(file), **{crop: [_state(crop, code), points] for crop, points in new.items()}})
    paths.replace(file, lambda unfinished: unfinished.write_text(text))
    return fresh | new


def _file(crop):
    """Return the file for the landmarks of a crop; crops whose names differ in the last two letters alone share it."""
    name = str(Path(crop).resolve().with_suffix(""))[:-2]
    return paths.LANDMARKS / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"


def _fresh(file, crops, code):
    """Return {crop: its landmarks as lists} of the crops that a file has, as they are now and by this code."""
    known = _read(file)
    return {crop: known[crop][1] for crop in crops if known.get(crop, [None])[0] == _state(crop, code)}


def _state(crop, code):
    return [code, *staleness.fingerprint(crop)]


def _read(file):
    return json.loads(file.read_text()) if file.is_file() else {}
