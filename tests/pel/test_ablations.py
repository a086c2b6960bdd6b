"""lib.pel.ablations: the rows of Tables 4 and 5 must differ in what they say, and in nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib import ops
from lib.pel import ablations, denoisers, network
from lib.pel.sets import TrainingFaces


@pytest.fixture
def small(face_settings, tmp_path, monkeypatch):
    """The parameters of the detectors' tests, and nothing written outside of a folder of the test."""
    monkeypatch.setattr(ablations, "SCORES", tmp_path / "ablations")
    monkeypatch.setattr(ablations, "SEEDS", tmp_path / "seeds.csv")
    training = face_settings.pel_detectors.training
    return face_settings.replace(ablations=face_settings.ablations.replace(size=32, training=training))


@pytest.mark.parametrize("row", ["rgb", "freq_enhanced", "both_self", "both_mutual", "median3_5"])
def test_a_row_has_the_modules_that_its_ticks_say(small, row):
    model, _, _ = ablations.make(row, small, 0)
    streams, alone, mutual = ablations.COMPONENTS.get(row, (network.STREAMS, True, True))
    kinds = {type(module) for module in model.modules()}
    assert model.streams == tuple(streams)
    assert bool({network.NoiseEnhancement, denoisers.Denoised} & kinds) == alone == (network.ChannelAttention in kinds)
    assert (network.MutualEnhancement in kinds) == mutual
    assert (denoisers.Denoised in kinds) == (row not in ablations.COMPONENTS)


def test_every_denoiser_starts_from_the_same_network(small):
    rgb = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        logits = [ablations.make(row, small, 0)[0].eval()(rgb) for row in ("pel", "nlm3", "median3_5_7")]
    assert all(torch.equal(logits[0], other) for other in logits[1:])


@pytest.mark.parametrize("name", denoisers.DENOISERS)
def test_a_noise_block_filters_with_its_own_denoiser(name):
    block = denoisers.Denoised(3, name)
    torch.nn.init.ones_(block.weight)
    x = torch.rand(1, 3, 9, 9)
    kind, sizes = denoisers.DENOISERS[name]
    expected = ops.noise_enhance_ref(x, block.weight, block.bias, sizes, kind)
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_an_unknown_row_or_denoiser_is_named(small):
    with pytest.raises(ValueError, match="^row: 'medain3' is not one of rgb, "):
        ablations.make("medain3", small, 0)
    with pytest.raises(ValueError, match="^denoiser: 'mode3' is not one of median3, "):
        denoisers.Denoised(3, "mode3")
    with pytest.raises(ValueError, match="^model: has no noise block"):
        denoisers.with_denoiser(ablations.make("both", small, 0)[0], "mean3")


def test_frames_are_taken_at_equal_intervals_of_each_video(small, monkeypatch):
    rows = [(video, frame) for video, count in (("a/1", 20), ("b/1", 7), ("c/1", 1)) for frame in range(count)]
    table = pd.DataFrame(rows, columns=["video", "frame"])
    monkeypatch.setattr(ablations.faces, "prepare", lambda *given: table)
    few = small.replace(ablations=small.ablations.replace(frames_per_video=5))
    kept = ablations.face_table(few).groupby("video")["frame"].agg(list)
    assert kept["a/1"] == [0, 4, 8, 12, 16]
    assert kept.str.len().tolist() == [5, 5, 1]
    assert np.diff(kept["b/1"]).min() >= 1


def test_a_row_is_scored_on_people_that_it_did_not_learn_and_leaves_no_weights_behind(small):
    table = ablations.face_table(small)
    scored = ablations.read(small, ["rgb"])["rgb"]
    assert set(scored["identity"]) == set(table[table["split"] == "test"]["identity"])
    assert not list(ablations.paths.CHECKPOINTS.glob("ablation*"))
    assert not list(ablations.paths.HISTORY.glob("ablation*"))


def test_seeds_go_on_where_they_were_stopped(small, monkeypatch):
    first = ablations.run_seeds(small, 1, ["rgb"])
    monkeypatch.setattr(ablations, "run", lambda *given: pytest.fail("trained again"))
    again = ablations.run_seeds(small, 1, ["rgb"])
    assert len(first) == len(again) == 1
    other = small.replace(ablations=small.ablations.replace(frames_per_video=3))
    assert len(ablations.read_seeds(small)) == 1
    assert ablations.read_seeds(other).empty


def test_the_default_run_goes_on_where_it_was_killed(small, interrupted, monkeypatch):
    interrupted(ablations, "predict", at=2)  # one a row: this is the test of the second one
    with pytest.raises(KeyboardInterrupt):
        ablations.read(small, ["rgb", "freq"])
    monkeypatch.setattr(TrainingFaces, "validate", lambda *given: pytest.fail("again"))
    assert set(ablations.read(small, ["rgb", "freq"])) == {"rgb", "freq"}


def test_several_seeds_are_trained_for_longer_than_the_default_run(small):
    longer = small.replace(ablations=small.ablations.replace(seeds_epochs=7))
    assert "7 epochs" in ablations.recipe(ablations.with_seeds_epochs(longer))
    assert "1 epochs" in ablations.recipe(longer)
