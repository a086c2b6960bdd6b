"""Build the bundled FaceForensics++-like set: train the two learned forgeries, forge every pair, film and encode."""

import json
from functools import cache, partial

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from lib import paths
from lib.data import jobs, layouts
from lib.data.video import write_video
from lib.fakes import orl, weights
from lib.fakes.forge import deepfakes, face2face, faceswap, neural_textures, scene

ROOT = paths.DATA / "FaceForensics++"
WEIGHTS = paths.DATA / "forge"  # of the two learned forgeries
COMPRESSIONS = {"c23": 23, "c40": 40}  # constant rate factors of libx264
FRAMES_PER_PHOTO, FPS = 4, 10
# Side of a frame. A multiple of 32: at 240 pixels the bytes of libx264 (macroblock tree, AVX-512) differ in each run.
SIDE = 256
CHANGED = 0.1  # from this share of the forgery on, the mask counts a pixel as changed


def film(scenes, seed):
    """Film scenes, float32 (n, H, W) in [0, 1], each for four frames, with a slowly moving camera.

    seed: chooses the path of the camera (shift, turn and zoom, all smooth). Returns uint8 (4 n, SIDE, SIDE).
    """
    count = FRAMES_PER_PHOTO * len(scenes)
    speed, phase = np.random.RandomState(seed).uniform([[1.0], [0.0]], [[3.0], [2 * np.pi]], (2, 4))
    swing = np.sin(np.linspace(0, 1, count)[:, None] * speed * 2 * np.pi + phase)  # (frames, 4)
    frames = []
    for index, (across, down, turn, zoom) in enumerate(swing * [2.5, 2.5, 1.5, 0.02] + [0, 0, 0, 1.04]):
        move = cv2.getRotationMatrix2D((scene.WIDTH / 2, scene.HEIGHT / 2), turn, zoom)
        move[:, 2] += across + (SIDE - scene.WIDTH) / 2, down + (SIDE - scene.HEIGHT) / 2
        frames.append(scene.warp(scenes[index // FRAMES_PER_PHOTO], move, (SIDE, SIDE)))
    return np.uint8(np.rint(np.clip(frames, 0, 1) * 255))


def _train(job):
    name, people = job
    model = {"deepfakes": deepfakes, "neural_textures": neural_textures}[name].train(people)
    weights.write(model, WEIGHTS / f"{name}.safetensors")


@cache
def network(name):
    """Return the trained "deepfakes" (encoder, 40 decoders) or "neural_textures" (mouth renderer) network.

    Raises FileNotFoundError if its weights are missing.
    """
    remedy = "run `dvc pull` (or train it: python -m lib.fakes.forge)"
    build = {"deepfakes": partial(deepfakes.DeepFakes, orl.PEOPLE), "neural_textures": neural_textures.MouthRenderer}
    return weights.load(WEIGHTS / f"{name}.safetensors", remedy, lambda _: build[name]())


def forge(method, targets, sources, source):
    """Forge the Faces of a target by one of layouts.METHODS. sources: Faces of the source, source: that person's id.

    Returns scenes and soft masks of the changed region, both float32 (n, H, W) in [0, 1].
    """
    if method == "Deepfakes":
        return deepfakes.forge(network("deepfakes"), targets, sources, int(source))
    if method == "NeuralTextures":
        return neural_textures.forge(network("neural_textures"), targets, sources)
    return {"Face2Face": face2face, "FaceSwap": faceswap}[method].forge(targets, sources)


def make_pair(root, pair, faces):
    """Write the originals, forgeries and masks of a pair of people under `root`; a video that is there is kept.

    pair: two person ids; faces: {person id: Faces}.
    """
    for target, source in (pair, pair[::-1]):
        camera = int(target)  # one path for the original and its fakes
        files = _files(root / "original_sequences" / "youtube", target)
        if not all(file.exists() for file in files):
            _encode(files, film(np.stack([face.scene for face in faces[target]]), camera))
        for method in layouts.METHODS:
            folder, name = root / "manipulated_sequences" / method, f"{target}_{source}"
            files, mask_file = _files(folder, name), folder / "masks" / "videos" / f"{name}.mp4"
            if not all(file.exists() for file in [*files, mask_file]):
                forged, masks = forge(method, faces[target], faces[source], source)
                _encode(files, film(forged, camera))
                changed = film(np.float32(masks > CHANGED), camera) > 127
                write_video(mask_file, np.uint8(changed) * 255, FPS, crf=30)


def _files(folder, name):
    return {folder / compression / "videos" / f"{name}.mp4": crf for compression, crf in COMPRESSIONS.items()}


def _encode(files, frames):
    for file, crf in files.items():
        write_video(file, frames, FPS, crf)


def make(workers=2):
    """Build the whole set. What exists already is kept, so a second call goes on where the first one stopped.

    workers: processes; the frames do not depend on their number.
    """
    torch.set_num_threads(1)  # one thread adds up in the same order on every machine
    for split, pairs in orl.SPLITS.items():
        text = f"{json.dumps(pairs)}\n"
        paths.replace(ROOT / "splits" / f"{split}.json", lambda file, text=text: file.write_text(text))
    people = {f"{person:03d}": scene.faces_of(f"{person:03d}") for person in tqdm(range(orl.PEOPLE), desc="landmarks")}
    missing = [name for name in ("deepfakes", "neural_textures") if not (WEIGHTS / f"{name}.safetensors").exists()]
    run = partial(jobs.run, workers=workers, setting="the workers of make")
    list(run(_train, [(name, people) for name in missing]))
    pairs = [pair for split in orl.SPLITS.values() for pair in split]
    todo = [(pair, {person: people[person] for person in pair}) for pair in pairs]
    list(tqdm(run(_make_pair, todo), total=len(todo), desc="pairs forged"))


def _make_pair(job):
    make_pair(ROOT, *job)
