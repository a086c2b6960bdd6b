"""Stand-ins for all that `scale: paper` needs: tiny data sets in the official layouts, weights in the hubs' caches.

The pictures are the bundled faces, enlarged and coloured. A data set has two different ones, a photograph and a fake,
under as many names as its splits need, so that what was computed of one is reused for the others. Only the scenes have
more: at 256 pixels the maps of stage 5 are a single place, and batch norm over two of these lets gradients grow without
bound. The weights are random.
"""

import functools
import io
import json
import shutil
import tarfile
from itertools import count
from pathlib import Path

import cv2
import huggingface_hub as hub
import numpy as np
import safetensors.torch
import timm
import torch
import torchvision

from lib import paths, preflight
from lib.data import image, layouts, video
from lib.training import staleness
from lib.training.device import seed_everything

SKIN = (1.0, 0.82, 0.7)  # share of a grey level in red, green and blue
SIDE = 512  # pixels of a face in a video
BUNDLED = paths.DATA / "FaceForensics++"
GENERATED = paths.DATA / "CelebA-HQ"
LSUN = (256, 320)  # pixels: LSUN's photographs have a shorter side of 256


def make(folder, params):
    """Write all sets, and the weights that these Params name, below a folder, unless they are there already."""
    key, made = staleness.key(networks=preflight.networks(params), code=(__name__,)), folder / "made_of"
    if made.is_file() and made.read_text() == key:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for name, write in SETS.items():
        write(folder / name)
    for name in sorted(set(preflight.networks(params).values())):
        write_weights(folder, name)
    made.write_text(key)


def roots(folder):
    """Return {section of params.yaml: its keys under `paper:`}, with the root of each set."""
    root = lambda name: str(folder / name)
    others = [{"layout": name, "root": root(name)} for name in ("Celeb-DF-v2", "DeepfakeDetection", "DFDC")]
    others = [{"layout": "WildDeepfake", "root": root("WildDeepfake"), "size": 224}, *others]
    return {
        "data": {"forged": {"root": root("FaceForensics++")}, "generated": {"root": root("CelebA-HQ")},
                 "cross_forged": others},
        "test_sets": {name: {"root": root(name)} for name in ("R", "A", "FFHQ", "StarGAN2")},
        "scenes": {name: {"root": root(name)} for name in ("bedroom", "church")},
    }  # fmt: skip


def hubs(folder):
    """Return the environment in which the loaders of torchvision and timm find the weights, and no network."""
    return {"TORCH_HOME": str(folder / "torch"), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1",
            "HF_HUB_CACHE": str(folder / "hf" / "hub")}  # fmt: skip


def write_weights(folder, name):
    """Write random weights of a network to where its loader, torchvision's or timm's, looks with `hubs`."""
    seed_everything(0)
    cache, torchvision_s = hubs(folder), name in preflight.TORCHVISION
    state = (torchvision.models.get_model(name) if torchvision_s else timm.create_model(name)).state_dict()
    if name == "vgg19":  # nobody reads its classifier, four fifths of the bytes
        state = {key: value for key, value in state.items() if key.startswith("features.")}
    known = torchvision.models.get_model_weights if torchvision_s else timm.get_pretrained_cfg
    offered = known(name)["IMAGENET1K_V1"] if torchvision_s else known(name)
    if not (model := getattr(offered, "hf_hub_id", None)):
        file = Path(cache["TORCH_HOME"], "hub/checkpoints", Path(offered.url).name)
        return paths.replace(file, functools.partial(torch.save, state))
    place = Path(cache["HF_HUB_CACHE"], hub.file_download.repo_folder_name(repo_id=model, repo_type="model"))
    revision, save = "0" * 40, functools.partial(safetensors.torch.save_file, state)
    paths.replace(place / "snapshots" / revision / "model.safetensors", save)
    return paths.replace(place / "refs" / "main", lambda file: file.write_text(revision))


def coloured(picture, width, height=None):
    """Return a picture enlarged, in colour and with the noise of a camera: uint8 (height, width, 3)."""
    height = height or width
    large = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC) * np.array(SKIN)
    noise = np.random.default_rng(0).normal(0, 3, large.shape)
    return np.clip(large + noise, 0, 255).round().astype(np.uint8)


@functools.cache
def faces():
    """Return a frame of an original, one of its fake, uint8 (SIDE, SIDE, 3), and the fake's mask (SIDE, SIDE)."""
    fake = sorted((BUNDLED / "manipulated_sequences/NeuralTextures/c23/videos").glob("*.mp4"))[0]
    real = BUNDLED / f"original_sequences/youtube/c23/videos/{fake.stem[:3]}.mp4"
    mask = BUNDLED / f"manipulated_sequences/NeuralTextures/masks/videos/{fake.name}"
    real, fake, mask = (video.read_frames(file, [0])[0] for file in (real, fake, mask))
    return coloured(real, SIDE), coloured(fake, SIDE), cv2.resize(mask[..., 0], (SIDE, SIDE))


def write_video(root, name, fake=False, two=False, mask="", frames=1):
    """Write a video of equal frames, without loss, so that they stay equal.

    two: with a second, real face beside the first; mask: name of the fake's mask video, if that is to be written.
    """
    real, forged, where = faces()
    picture, beside = (forged if fake else real), real[:, ::-1]
    picture = np.hstack([beside, picture]) if two else picture
    where = np.hstack([0 * where, where]) if two else where
    video.write_video(root / name, np.repeat(picture[None], frames, 0), crf=0)
    if mask:
        video.write_video(root / mask, np.repeat(where[None], frames, 0))


def face_forensics(root):
    """Three pairs in c23 and c40; the test fakes have masks, one shows two people, and ten faces are for t-SNE."""
    splits = {"train": ["000", "001"], "val": ["002", "003"], "test": ["004", "005"]}
    for split, (target, source) in splits.items():
        paths.replace(root / f"splits/{split}.json", lambda file, pair=(target, source): _json(file, [pair]))
        test = split == "test"
        frames = 2 if test else 1
        for compression in ("c23", "c40"):
            for name in (target, source) if test else (target,):
                write_video(root, f"original_sequences/youtube/{compression}/videos/{name}.mp4", frames=frames)
            for method in layouts.METHODS if test else layouts.METHODS[:1]:
                folder, name = f"manipulated_sequences/{method}", f"{target}_{source}.mp4"
                write_video(root, f"{folder}/{compression}/videos/{name}", True, test and method == "FaceSwap",
                            test and f"{folder}/masks/videos/{name}", frames)  # fmt: skip


def celeb_df(root):
    """Three videos and their list, in which 1 is real."""
    names = {"Celeb-real/id0_0000.mp4": 1, "YouTube-real/00170.mp4": 1, "Celeb-synthesis/id0_id1_0000.mp4": 0}
    for name, real in names.items():
        write_video(root, name, not real, two="id0" in name)
    listed = "".join(f"{real} {name}\n" for name, real in names.items())
    (root / "List_of_testing_videos.txt").write_text(listed)


def deepfake_detection(root):
    """An actor, and a fake with a mask among two people."""
    write_video(root, "original_sequences/actors/c23/videos/01__exit_phone_room.mp4", two=True)
    folder, name = "manipulated_sequences/DeepFakeDetection", "01_02__exit_phone_room__YVGY8LOK.mp4"
    write_video(root, f"{folder}/c23/videos/{name}", True, True, f"{folder}/masks/videos/{name}")


def dfdc(root):
    """One part with its metadata.json; two people in both videos."""
    part = root / "dfdc_train_part_0"
    write_video(part, "real.mp4", two=True)
    write_video(part, "fake.mp4", True, True)
    entries = {"real.mp4": {"label": "REAL", "split": "train"},
               "fake.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"}}  # fmt: skip
    _json(part / "metadata.json", entries)


def wild_deepfake(root):
    """One archive of faces of 224 px for training, one for validation and one for testing, of each kind."""
    for kind, picture in zip(("real", "fake"), faces(), strict=False):
        held_out = {}  # the number of an archive that the seeded hash puts into val, and of one that it does not
        for number in count(1):
            share = layouts.share_of(f"{kind}_train/{number}", seed=0)
            held_out.setdefault(share < layouts.VAL_SHARE, number)
            if len(held_out) == 2:
                break
        png = _png(cv2.resize(picture, (224, 224)))
        for part, number in (("test", 1), *(("train", number) for number in held_out.values())):
            file = root / f"{kind}_{part}" / f"{number}.tar.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(file, "w:gz") as archive:
                member = tarfile.TarInfo(f"{number}/{kind}/0/0.png")
                member.size = len(png)
                archive.addfile(member, io.BytesIO(png))


def images(root, sources, width, height=None, number=1, different=False):
    """Write `number` images of each source, equal or `different`: 00000.png, ...; sources: {folder: bundled source}."""
    for folder, bundled in sources.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(number):
            (root / folder / f"{index:05d}.png").write_bytes(_png_of(bundled, different * index, width, height))


@functools.cache
def _png_of(bundled, index, width, height):
    return _png(coloured(image.read_image(sorted((GENERATED / bundled).glob("*.png"))[index]), width, height))


def _png(picture):
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


REAL, FAKE = {"CelebA-HQ": "CelebA-HQ"}, {"ProGAN": "ProGAN", "StyleGAN": "ProGAN"}
STYLEGANS = dict.fromkeys(("StyleGAN", "StyleGAN2-0.5", "StyleGAN2-1.0"), "ProGAN")


def scene(root):
    """LSUN: photographs that are no squares, and fakes that are."""
    images(root, {"real": "CelebA-HQ"}, *LSUN[::-1], number=6, different=True)
    images(root, {"fake": "ProGAN"}, 256, number=6, different=True)


SETS = {
    "FaceForensics++": face_forensics, "Celeb-DF-v2": celeb_df, "DeepfakeDetection": deepfake_detection, "DFDC": dfdc,
    "WildDeepfake": wild_deepfake, "bedroom": scene, "church": scene,
    "CelebA-HQ": functools.partial(images, sources=REAL | FAKE, width=1024, number=3),
    "R": functools.partial(images, sources=REAL | FAKE, width=1024),
    "A": functools.partial(images, sources=REAL | FAKE, width=1024),
    "FFHQ": functools.partial(images, sources={"FFHQ": "CelebA-HQ", **STYLEGANS}, width=1024),
    "StarGAN2": functools.partial(images, sources={**REAL, "StarGAN2": "StyleGAN"}, width=256),
}  # fmt: skip
"""What writes each set, by the name of its folder."""


def _json(file, content):
    file.write_text(json.dumps(content))
