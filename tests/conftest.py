"""Tests run on one thread each: small tensors gain nothing from more, and the numbers stay the same everywhere."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lib import params, paths
from lib.data import image, layouts
from lib.rivals import add_net

torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Skip what needs an NVIDIA GPU where there is none."""
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.fixture(scope="session")
def outside():
    """A function that gives the path of what others published, below the folder DEEPFAKE_OUTSIDE, or skips the test."""

    def find(name):
        top = os.environ.get("DEEPFAKE_OUTSIDE")
        if not top:
            pytest.skip("DEEPFAKE_OUTSIDE names no folder with what others published (docs/data.md)")
        if not (path := Path(top) / name).exists():
            pytest.skip(f"{path} is not there (docs/data.md)")
        return path

    return find


SMALL = {"size": 32, "patch": 32, "num_features": 4, "growth_rate": 4, "num_blocks": 1, "num_layers": 1,
         "batch_size": 4, "epochs": 1, "pixel_epochs": 1, "limit": 0}  # fmt: skip


@pytest.fixture
def gan_settings(tmp_path, monkeypatch):
    """The smoke scale on a tiny data set in the layout of CelebA-HQ; what is written goes to a folder of its own."""
    random, data = np.random.default_rng(0), tmp_path / "data"
    listed = {"train": range(6), "val": range(6, 9), "test": range(9, 12)}
    for source in ("CelebA-HQ", "ProGAN", "StyleGAN"):
        (data / source).mkdir(parents=True)
        for photo in range(12):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(data / source / f"{photo:03d}_1.png")
    (data / "splits").mkdir()
    for split, photos in listed.items():
        names = [f"{source}/{photo:03d}_1.png" for source in ("CelebA-HQ", "ProGAN", "StyleGAN") for photo in photos]
        (data / "splits" / f"{split}.json").write_text(json.dumps(names))
    for name in ("CHECKPOINTS", "HISTORY", "UNFINISHED", "RESULTS", "WIPED"):
        monkeypatch.setattr(paths, name, tmp_path / name)
    raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())  # without the bundled data: it needs no `dvc pull`
    raw["data"]["forged"] |= {"root": str(data)}
    raw["data"]["generated"] = {"layout": "CelebA-HQ", "root": str(data), "resize": True}
    raw["data"]["cross_forged"] = raw["data"]["cross_generated"] = []
    for name in ("R", "A", "FFHQ", "StarGAN2"):
        raw["test_sets"][name]["root"] = str(tmp_path / "none")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    smoke = params.load("smoke", file=tmp_path / "params.yaml")
    return smoke.replace(
        re_synthesizer=smoke.re_synthesizer.replace(**SMALL),
        residual_detectors=smoke.residual_detectors.replace(width=2, batch_size=4, epochs=1),
    )


@pytest.fixture
def gan_table(gan_settings):
    """The table of that data set: six images a source to train on, three to validate and three to test."""
    return layouts.images(gan_settings.data.generated, gan_settings.seed)


@pytest.fixture
def interrupted(monkeypatch):
    """Let the n-th call of a function end as Ctrl-C ends it; gives a list that grows by one at each call."""

    def prepare(owner, name, at):
        function, calls = getattr(owner, name), []

        def counted(*arguments, **named):
            calls.append(0)
            if len(calls) == at:
                raise KeyboardInterrupt
            return function(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)
        return calls

    return prepare


FEW_STEPS = {"epochs": 1, "warmup_epochs": 0, "decay_at": [], "batch_size": 4}


def folder_of_faces(root, people, noise):
    rng = np.random.default_rng(len(people) + noise)
    for kind, strength in (("real", 0), ("fake", noise)):
        for person in people:
            pixels = np.full((64, 64, 3), 40 * (int(person) % 5), np.uint8) + rng.integers(0, 9, (64, 64, 3))
            pixels = pixels + strength * rng.integers(0, 2, (64, 64, 1))
            image.write_png(root / kind / person / "0000.png", pixels.astype(np.uint8))


@pytest.fixture
def face_settings(tmp_path, monkeypatch):
    """params.yaml at smoke scale, for 64 px faces of tiny stand-ins of two data sets."""
    for name in ("CHECKPOINTS", "HISTORY", "UNFINISHED", "FACES", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(add_net, "find", lambda faces: np.full((len(faces), 5, 2), np.nan, "f4"))
    folder_of_faces(tmp_path / "own", [f"{n:03}" for n in range(30)], 60)
    folder_of_faces(tmp_path / "elsewhere", ["900", "901", "902"], 30)
    whole = params.load("smoke")
    settings = whole.pel_detectors
    return whole.replace(
        data=whole.data.replace(
            forged=params.DataSet(layout="folders", root=str(tmp_path / "own")),
            cross_forged=[params.DataSet(layout="folders", root=str(tmp_path / "elsewhere"))],
        ),
        faces=whole.faces.replace(size=64),
        pel=whole.pel.replace(pretrained=False, training=whole.pel.training.replace(**FEW_STEPS)),
        pel_detectors=settings.replace(width=0.05, curve_images=4),
    )


@pytest.fixture
def files_below():
    """A function that gives {relative path: bytes} of every file below a folder."""

    def read(folder):
        files = (file for file in sorted(folder.rglob("*")) if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    return read


@pytest.fixture
def dask_cluster():
    """A context of a dask cluster of so many workers on this machine: gives its client."""
    import distributed

    @contextlib.contextmanager
    def start(workers, threads_per_worker=1, processes=True, **client):
        how = {"threads_per_worker": threads_per_worker, "processes": processes, "dashboard_address": None}
        with (
            distributed.LocalCluster(n_workers=workers, **how) as cluster,
            distributed.Client(cluster, **client) as connected,
        ):
            yield connected

    return start
