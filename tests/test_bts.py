import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from lib import bts, params, paths

SMALL = dict(
    size=32,
    patch=32,
    num_features=4,
    growth_rate=4,
    num_blocks=1,
    num_layers=1,
    batch_size=4,
    epochs=1,
    pixel_epochs=1,
    limit=0,
)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A tiny data set in the layout of CelebA-HQ, and the smoke scale on it."""
    random = np.random.default_rng(0)
    for source in ("CelebA-HQ", "ProGAN", "StyleGAN"):
        (tmp_path / "data" / source).mkdir(parents=True)
        for photo in range(12):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / source / f"{photo:03d}_1.png")
    for name in ("CHECKPOINTS", "HISTORY", "UNFINISHED"):
        monkeypatch.setattr(paths, name, tmp_path / name)
    smoke = params.load("smoke", file=_without_data(tmp_path))
    return dataclasses.replace(
        smoke,
        re_synthesizer=dataclasses.replace(smoke.re_synthesizer, **SMALL),
        residual_detectors=dataclasses.replace(smoke.residual_detectors, width=2, batch_size=4, epochs=1),
    )


def _without_data(folder):
    """A params.yaml whose data sets lie in `folder`, so that the test needs no `dvc pull`."""
    raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
    raw["data"]["forged"] |= {"root": str(folder)}
    raw["data"]["generated"] = {"layout": "CelebA-HQ", "root": str(folder / "data")}
    raw["data"]["cross_forged"] = raw["data"]["cross_generated"] = []
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    return folder / "params.yaml"


@pytest.fixture
def table(settings):
    """All three splits with every source, by hand: a hash would leave one of so few pictures out."""
    table = bts.image_table(settings)
    split = np.array(["train"] * 6 + ["val"] * 3 + ["test"] * 3)
    return table.assign(split=np.tile(split, 3))


def test_one_detector_a_generator_and_one_for_all_are_left_behind(settings, table):
    re_synthesizer, history = bts.train_re_synthesizer(settings, table)
    assert history["equation"].tolist() == ["Eq. 1", "Eq. 3"]
    assert np.isfinite(history[["loss", "val_loss"]]).all(axis=None)
    trained = bts.train_detectors(settings, table, re_synthesizer)
    assert list(trained) == ["ProGAN", "StyleGAN", bts.ALL]
    files = {file.name for file in paths.CHECKPOINTS.iterdir()}
    assert files == {
        f"{name}.safetensors"
        for name in ("re_synthesizer_pixel", "re_synthesizer", "bts_ProGAN", "bts_StyleGAN", "bts")
    }

    items, test = bts.test_items(settings, table, re_synthesizer), bts.rows(table, "test")
    scored = {generator: bts.score(model, items) for generator, (model, _) in trained.items()}
    kept = scored["ProGAN"]
    anew = trained["ProGAN"][0].fake_probability(torch.stack([item["rgb"] for item in items]))
    np.testing.assert_allclose(kept["Avg"], anew.detach(), atol=2e-3)  # residuals are kept as float16
    np.testing.assert_allclose(kept["Avg"], (kept["Pix"] + kept["Stage5"]) / 2, atol=1e-6)

    measured = bts.measure(test, scored)
    cross = measured.query("method == 'Pix' and trained_on == 'ProGAN' and tested_on == 'StyleGAN'").iloc[0]
    chosen = (test["label"] == 0) | (test["method"] == "StyleGAN")
    by_hand = ((scored["ProGAN"]["Pix"] > 0.5) == test["label"])[chosen].mean()
    assert cross["frame_accuracy"] == pytest.approx(by_hand)
    row = bts.table1(measured).set_index("method").loc["Ours (Pix)"]
    assert row["PtoS_raw"] == pytest.approx(100 * by_hand)


def test_a_generator_s_detector_never_sees_the_other_generator(table):
    for generator, methods in {"ProGAN": {"CelebA-HQ", "ProGAN"}, bts.ALL: {"CelebA-HQ", "ProGAN", "StyleGAN"}}.items():
        assert set(table.iloc[bts.of_source(table, generator)]["method"]) == methods


def test_a_single_kind_of_fake_is_trained_once():
    folders = pd.DataFrame({"label": [0, 1], "method": ["real", "fake"]})
    assert bts.sources(folders) == [bts.ALL]


def test_released_weights_are_taken_instead_of_training(settings, table, tmp_path):
    trained, _ = bts.train_re_synthesizer(settings, table, name="first")
    torch.save(trained.state_dict(), tmp_path / "released.pth")
    section = dataclasses.replace(settings.re_synthesizer, weights=str(tmp_path / "released.pth"))
    loaded, history = bts.train_re_synthesizer(dataclasses.replace(settings, re_synthesizer=section), table)
    assert history["epoch"].tolist() == [0]
    assert (paths.CHECKPOINTS / "re_synthesizer.safetensors").is_file()
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), loaded.parameters(), strict=True))
