"""What would stop a run, found within seconds and before any data is read: `python -m lib.params` prints it.

Folders that are missing or do not fit their layout, weights that cannot be loaded, too little disk or GPU memory.
"""

import importlib.util
import os
import shutil
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd

from lib import paths
from lib.data import check, layouts, roots, wild_deepfake
from lib.data import faces as data_faces

CROP_BYTES = 1.2  # a pixel of a face crop as PNG: the largest of nine real videos at 320 pixels; their mean is 0.95
MEMORY = paths.ROOT / "results" / "network_memory.csv"  # MiB that the largest network of each batch size takes
TORCHVISION = ("vgg19", "resnet18")  # networks with weights of torchvision; those of all others are timm's
PATIENCE = 3  # seconds for a hub to answer


def stop(params):
    """At the paper's scale, end the program with one line for each of `problems`, if there are any."""
    if params.scale == "paper" and (found := problems(params)):
        raise SystemExit("\n".join(f"params.yaml: {line}" for line in found))


def problems(params):
    """Return what would stop a run of these Params, one line each, with the key and the remedy."""
    there = {key: data_set for key, data_set in roots.data_sets(params).items() if check.is_there(data_set)}
    found = [f"{key}.root: {wrong}" for key, data_set in there.items() if (wrong := check.layout(data_set))]
    if not (found := [*roots.wrong(params), *found]):
        found = [*sources(params.data.generated, params.bts_detectors.sources),
                 *disk(roots.named(params.data), params.faces)]  # fmt: skip
    return [*found, *weights(params), *gpu(params)]


def sources(generated, wanted):
    """Return a line for each generator in `wanted` (bts_detectors.sources) of which the set has no image."""
    named = generated.layout in check.REAL_SOURCES
    absent = [name for name in wanted if named and not check.has_images(paths.resolve(generated.root) / name)]
    return [f"bts_detectors.sources: no image in {generated.root}/{name}" for name in absent if name != "all"]


def disk(data, faces):
    """Return a line if the crops of all videos, by a rough estimate, need more disk than is free.

    data, faces: sections of params.yaml. What has been cut already is not counted.
    """
    videos = needed = 0
    try:
        for data_set in layouts.forged(data):
            folder = data_faces.folder_of(data_set, faces)
            if (folder / "manifest.csv").is_file():
                continue
            if data_set.layout == "WildDeepfake":  # its images keep their bytes
                needed += sum(file.stat().st_size for file, *_ in wild_deepfake.archives(layouts.root_of(data_set)))
            elif data_set.layout in layouts.VIDEO_LAYOUTS:
                left = sum(not (folder / video).is_dir() for video in layouts.videos(data_set)["video"])
                videos, needed = videos + left, needed + left * faces.frames_per_video * faces.size**2 * CROP_BYTES
    except (ValueError, FileNotFoundError) as error:
        return [str(error)]
    place = next(folder for folder in (paths.FACES, *paths.FACES.parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    remedy = "let DEEPFAKE_OUTPUTS name a folder on a larger disk, or lower faces.frames_per_video"
    return [f"faces: the crops of {videos:,} videos take about {needed / 1e9:,.0f} GB, {free / 1e9:,.0f} GB are free "
            f"at {paths.show(place)}: {remedy}"] * (needed > free)  # fmt: skip


def weights(params):
    """Return a line for each network whose ImageNet weights are not installed, not cached and cannot be fetched."""
    lines, asked = [], []
    for key, name in networks(params).items():
        try:
            place, ask = _cached(name)
        except (ValueError, RuntimeError) as error:
            lines.append(f"{key}: {error}")
            continue
        if place:
            asked.append((key, name, place, said := []))
            # Nobody waits for the thread, because without a name server it would take longer than PATIENCE.
            threading.Thread(target=lambda ask=ask, said=said: said.append(ask()), daemon=True).start()
    deadline = time.monotonic() + PATIENCE
    for key, name, place, said in asked:
        while not said and time.monotonic() < deadline:
            time.sleep(0.05)
        if not any(said):
            remedy = "connect to the network once, or copy this from a machine that has it"
            lines.append(f"{key}: the ImageNet weights of {name} are not in {place} and no server answers: {remedy}")
    if params.faces.detector == "dsfd" and not importlib.util.find_spec("face_detection"):
        lines.append("faces.detector: dsfd needs the face-detection package; mtcnn is installed")
    return lines


def networks(params):
    """Return {key: name} of the networks that start from ImageNet weights."""
    pel, others, bts = params.pel, params.pel_detectors, params.bts_detectors
    return {
        key: name
        for key, name, needed in (
            ("pel.backbone", pel.backbone, pel.pretrained),
            ("pel_detectors.attention_backbone", others.attention_backbone, pel.pretrained),
            ("pel_detectors.pretrained", "legacy_xception.tf_in1k", others.pretrained),
            ("bts_detectors.gram_pretrained", "resnet18", bts.gram_pretrained),
            ("re_synthesizer.perceptual", "vgg19", params.re_synthesizer.perceptual == "vgg19"),
        )
        if needed
    }


def _cached(name):
    """Return ("", None) if the weights of a network are installed or cached, else (their place, how to ask a hub).

    It looks in the places in which the loaders of torchvision and timm look.
    """
    package = f"{name.removeprefix('tf_').removesuffix('.in1k')}_pytorch_model"  # see backbones.efficientnet
    if "." not in package and importlib.util.find_spec(package):
        return "", None
    import huggingface_hub as hub  # and all these here: importing them takes seconds
    import timm
    import torch
    from torchvision.models import get_model_weights

    if name in TORCHVISION:
        url = get_model_weights(name)["IMAGENET1K_V1"].url
    elif not timm.is_model(name):
        raise ValueError(f"{name!r} is no network of timm")
    else:
        settings = timm.get_pretrained_cfg(name)
        url, model, file = settings.url, settings.hf_hub_id, "model.safetensors"
        if model:
            folder = Path(
                hub.constants.HF_HUB_CACHE, hub.file_download.repo_folder_name(repo_id=model, repo_type="model")
            )
            kept = [hub.try_to_load_from_cache(model, each) for each in (file, "pytorch_model.bin")]
            ask = lambda: not hub.constants.HF_HUB_OFFLINE and answers(hub.hf_hub_url(model, file))
            return ("", None) if any(isinstance(each, str) for each in kept) else (folder, ask)
    place = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    return ("", None) if place.is_file() else (place, lambda: answers(url))


class _Asked(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # a redirection answers the question; following it would fetch the file


def answers(url):
    """Say whether a server has a file, without fetching it."""
    try:
        with urllib.request.build_opener(_Asked).open(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 400
    except Exception:  # each kind of proxy and name server fails with its own error, and all of them mean no
        return False


def trained(params):
    """Return {key of a batch size: (batch, side of its images in pixels, what its networks are made of)}."""
    rdn, residual, pel = params.re_synthesizer, params.residual_detectors, params.pel
    phi = f"RDN {rdn.num_features} {rdn.growth_rate} {rdn.num_blocks} {rdn.num_layers}, {rdn.perceptual}"
    detectors = f"{residual.layers} {residual.width}, {phi}"
    return {
        "re_synthesizer.batch_size": (rdn.batch_size, rdn.patch, phi),
        "residual_detectors.batch_size": (residual.batch_size, rdn.size, detectors),
        "pel.training.batch_size": (pel.training.batch_size, params.faces.size, pel.backbone),
        "ablations.training.batch_size": (params.ablations.training.batch_size, params.ablations.size, pel.backbone),
    }


def gpu(params):
    """Return a line for each batch that the GPU's memory cannot hold, by the counted memory of the largest network.

    The counts are those of `python -m lib.rehearsal.costs`; networks of other sizes than the counted ones are skipped.
    """
    if not MEMORY.is_file():
        return []
    import torch

    if not torch.cuda.is_available():
        return []
    memory = torch.cuda.get_device_properties(0).total_memory / 2**20
    counted, lines, gpus = pd.read_csv(MEMORY).set_index("trained"), [], int(os.environ.get("WORLD_SIZE", 1))
    for key, (batch, side, made_of) in trained(params).items():
        row = counted.loc[key]
        if row["made_of"] != made_of:
            continue
        # Counted under bfloat16; without it, what the backward pass needs is up to twice as large.
        image = row["image"] * (side / row["side"]) ** 2 * (1 if torch.cuda.is_bf16_supported() else 2)
        fits, needed = gpus * int((memory - row["fixed"]) // image), row["fixed"] + image * batch / gpus
        if batch > fits:
            lines.append(f"{key}: {batch} images of {side} px need {needed / 1024:.0f} GiB ({row['network']}), "
                         f"the GPU has {memory / 1024:.0f}: at most {max(fits, 0)} fit")  # fmt: skip
    return lines
