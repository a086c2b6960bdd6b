"""Tests run on one thread each: small tensors gain nothing from more, and the numbers stay the same everywhere."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lib import bts, params, paths

torch.set_num_threads(1)

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
    for name in ("CHECKPOINTS", "HISTORY", "UNFINISHED", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name)
    raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())  # without the bundled data: it needs no `dvc pull`
    raw["data"]["forged"] |= {"root": str(data)}
    raw["data"]["generated"] = {"layout": "CelebA-HQ", "root": str(data)}
    raw["data"]["cross_forged"] = raw["data"]["cross_generated"] = []
    for name in raw["test_sets"]:
        raw["test_sets"][name]["root"] = str(tmp_path / "none")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    smoke = params.load("smoke", file=tmp_path / "params.yaml")
    return dataclasses.replace(
        smoke,
        re_synthesizer=dataclasses.replace(smoke.re_synthesizer, **SMALL),
        residual_detectors=dataclasses.replace(smoke.residual_detectors, width=2, batch_size=4, epochs=1),
    )


@pytest.fixture
def gan_table(gan_settings):
    """The table of that data set: six images a source to train on, three to validate and three to test."""
    return bts.image_table(gan_settings)


@pytest.fixture
def interrupted(monkeypatch):
    """Let the n-th call of a function end as Ctrl-C ends it; gives a list that grows by one at each call."""

    def prepare(owner, name, at):
        function, calls = getattr(owner, name), []

        def counted(*arguments):
            calls.append(0)
            if len(calls) == at:
                raise KeyboardInterrupt
            return function(*arguments)

        monkeypatch.setattr(owner, name, counted)
        return calls

    return prepare
