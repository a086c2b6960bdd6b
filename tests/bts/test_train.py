import numpy as np
import pandas as pd
import pytest
import torch

from lib import detectors, params, paths
from lib.bts import re_synthesis, residuals, sets, train
from lib.data.items import FaceImages
from lib.evaluation.predict import opinions
from lib.training import checkpoints, fit, staleness


@pytest.fixture
def learned(gan_settings, gan_table):
    """Trains a detector at a tiny scale, after its re-synthesizer: (model, history)."""

    def train_it(name, source="ProGAN", table=gan_table, **changes):
        settings = gan_settings.replace(residual_detectors=gan_settings.residual_detectors.replace(**changes))
        if name.startswith("SR"):
            phi = "SR" if name == "SR-stages" else name
            re_synthesis.train(settings.re_synthesizer, gan_table, phi, 0)
        return train.train(name, table, source, 32, settings.residual_detectors, 0,
                           re_synthesizer=settings.re_synthesizer, bts_detectors=settings.bts_detectors)  # fmt: skip

    return train_it


@pytest.mark.parametrize("name", detectors.names("bts"))
def test_every_detector_of_table_1_is_trained_on_one_generator_scores_every_image_and_is_read_back(
    learned, gan_table, name
):
    model, history = learned(name)
    test = sets.rows(gan_table, "test")
    scored = opinions(model, FaceImages(test, 32))
    assert len(scored) == len(test)
    assert scored.to_numpy().min() >= 0
    assert scored.to_numpy().max() <= 1
    read, again = train.load(name, "ProGAN")
    assert (history is None and again is None) or history.equals(again)
    np.testing.assert_allclose(opinions(read, FaceImages(test, 32)), scored, rtol=1e-6)
    assert checkpoints.config(paths.CHECKPOINTS / "bts" / f"{name}_ProGAN.safetensors")["size"] == 32


@pytest.mark.parametrize("name", ["1D-Spectrum", "Image", "SR"])
def test_what_is_trained_is_loaded_until_something_that_it_depends_on_changes(learned, gan_table, monkeypatch, name):
    learned(name)
    started = []
    monkeypatch.setattr(fit, "_optimizer", lambda *_: started.append(0) or pytest.fail("trained again"))
    network = detectors.entry(name).network
    monkeypatch.setattr(network, "learn", lambda *_: started.append(0) or pytest.fail("trained again"), raising=False)
    mine = gan_table.query("method != 'StyleGAN' and split != 'test'")
    learned(name, table=mine, workers=1)  # other fakes, test images and workers have no say
    assert not started
    with pytest.raises(pytest.fail.Exception):
        learned(name, table=gan_table[gan_table.index != gan_table.index[gan_table["split"] == "train"][0]])


def test_a_detector_that_is_not_there_is_one_line_that_says_what_trains_it(gan_settings):
    with pytest.raises(FileNotFoundError, match="GramNet_ProGAN.safetensors: no such weights; `.*` trains them"):
        train.load("GramNet", "ProGAN")


def test_sr_does_not_start_without_its_re_synthesizer(gan_settings, gan_table):
    with pytest.raises(FileNotFoundError, match="SR.C.safetensors: no such weights"):
        train.train("SR+C", gan_table, "ProGAN", 32, gan_settings.residual_detectors, 0,
                    re_synthesizer=gan_settings.re_synthesizer)  # fmt: skip


def test_a_training_depends_on_its_own_network_and_on_no_other(learned, monkeypatch):
    stated = {}
    key = staleness.key
    monkeypatch.setattr(staleness, "key", lambda **what: stated.update(what) or key(**what))

    def files(name):
        learned(name)
        return {file.relative_to(paths.ROOT / "lib").as_posix() for file in staleness.sources(*stated["code"])}

    shared = {"bts/sets.py", "bts/train.py", "data/image.py", "data/items.py", "detectors.py",
              "evaluation/predict.py", "training/device.py", "training/fit.py", "training/processes.py"}  # fmt: skip
    assert files("GramNet") == shared | {"backbones/imagenet.py", "backbones/resnet.py", "rivals/gram_net.py"}
    assert files("PRNU") == {"data/image.py", "data/items.py", "detectors.py", "rivals/prnu.py", "training/device.py"}
    assert files("DCT-2d") == shared | {"backbones/resnet.py", "rivals/spectrum_2d.py", "ops/spectra.py", "ops/dct.py",
                                        "ops/precision.py"}  # fmt: skip
    assert files("SR") == files("SR+C")
    assert files("SR") - shared == {"backbones/resnet.py", "backbones/efficientnet.py", "backbones/imagenet.py",
                                    "bts/detector.py", "bts/perceptual.py", "bts/re_synthesizer.py",
                                    "bts/residuals.py", "ops/precision.py"}  # fmt: skip


def test_no_stage_left_for_sr_stages_is_one_clear_line(learned):
    with pytest.raises(params.ParamsError, match="leaves none to SR-stages"):
        learned("SR-stages", stages=[1, 2, 3, 4, 5], stage_weights=[0.2] * 5)


def test_residuals_kept_in_memory_give_the_training_and_the_scores_of_residuals_made_anew(learned, gan_table):
    images = FaceImages(sets.rows(gan_table, "test"), 32)
    _, anew = learned("SR")
    paths.HISTORY.joinpath("bts", "SR_ProGAN.csv").unlink()
    with residuals.keep():
        model, kept = learned("SR")
        first, again = opinions(model, images), opinions(model, images)
    np.testing.assert_allclose(kept["loss"], anew["loss"], rtol=1e-5)
    np.testing.assert_allclose(first, opinions(model, images), atol=1e-6)
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_the_statistics_of_dct_2d_are_those_of_the_training_images_and_travel_with_the_weights(learned, gan_table):
    model, _ = learned("DCT-2d")
    learn = sets.rows(gan_table.iloc[sets.of_source(gan_table, "ProGAN")], "train")
    rgb = torch.stack([item["rgb"] for item in FaceImages(learn, 32)])
    standardised = model.spectrum(rgb)
    assert standardised.mean(0).abs().max() < 1e-3
    assert not detectors.entry("DCT-2d").flip, "a frequency's statistics are not those of its mirror image"
    other, _ = train.load("DCT-2d", "ProGAN")
    torch.testing.assert_close(other(rgb), model(rgb))


def test_prnu_and_the_spectra_have_a_fingerprint_a_generator_and_one_for_all(learned):
    model, _ = learned("PRNU", sets.ALL)
    assert model.sources[0] == "CelebA-HQ"
    assert pd.Index(model.sources).is_unique and len(model.fingerprints) == 3
