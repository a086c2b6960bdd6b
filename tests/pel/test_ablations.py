"""lib.pel.ablations: the rows of Tables 4 and 5 must differ in what they say, and in nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.pel import ablations, network, train


@pytest.fixture
def small(face_settings, tmp_path, monkeypatch):
    """The parameters of the detectors' tests, and nothing written outside of a folder of the test."""
    monkeypatch.setattr(ablations, "SCORES", tmp_path / "results/scores/pel_ablations")
    training = face_settings.pel.training
    return face_settings.replace(ablations=face_settings.ablations.replace(size=32, training=training))


def shared(params):
    return ablations.common(params.data, params.faces, params.pel, params.ablations, params.seed)


def recipe(params, **changes):
    return ablations.recipe(params.data, params.pel, params.ablations.replace(**changes))


def make(row, params, seed=0):
    return ablations.entry(row).make(seed, params.ablations.size, pel=params.pel)[0]


@pytest.mark.parametrize("row", ["rgb", "freq_enhanced", "both_self", "both_mutual", "median3_5"])
def test_a_row_has_the_modules_that_its_ticks_say(small, row):
    model = make(row, small)
    streams, alone, mutual = ablations.COMPONENTS.get(row, (network.STREAMS, True, True))
    kinds = {type(module) for module in model.modules()}
    assert model.streams == tuple(streams)
    assert (network.NoiseEnhancement in kinds) == alone == (network.ChannelAttention in kinds)
    assert (network.MutualEnhancement in kinds) == mutual


@pytest.mark.parametrize("row", ablations.DENOISERS)
def test_the_noise_blocks_of_a_row_of_table_5_have_its_denoiser(small, row):
    blocks = [part for part in make(row, small).modules() if isinstance(part, network.NoiseEnhancement)]
    assert blocks and {(part.denoiser, part.kernel_size) for part in blocks} == {ablations.DENOISERS[row][1:]}


def test_every_denoiser_starts_from_the_same_network(small):
    rgb = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        logits = [make(row, small).eval()(rgb) for row in ("pel", "nlm3", "median3_5_7")]
    assert all(torch.equal(logits[0], other) for other in logits[1:])


def test_the_row_with_a_random_start_is_pel_but_for_its_first_frequency_layer(small):
    random, whole = make("pel_random", small), make("pel", small)
    assert random.frequency_start == "random" and whole.frequency_start == small.pel.frequency_start == "pretrained"
    shapes = [[p.shape for p in model.parameters()] for model in (random, whole)]
    assert shapes[0] == shapes[1] and "pel_random" not in (*ablations.COMPONENTS, *ablations.DENOISERS)


def test_an_unknown_row_is_named():
    with pytest.raises(ValueError, match="^row: 'medain3' is not one of rgb, "):
        ablations.entry("medain3")


def test_frames_are_taken_at_equal_intervals_of_each_video(small, monkeypatch):
    rows = [(video, frame) for video, count in (("a/1", 20), ("b/1", 7), ("c/1", 1)) for frame in range(count)]
    table = pd.DataFrame(rows, columns=["video", "frame"])
    monkeypatch.setattr(ablations.data_faces, "prepare", lambda *given: table)
    few = small.ablations.replace(frames_per_video=5)
    kept = ablations.face_table(small.data, small.faces, few, 0).groupby("video")["frame"].agg(list)
    assert kept["a/1"] == [0, 4, 8, 12, 16]
    assert kept.str.len().tolist() == [5, 5, 1]
    assert np.diff(kept["b/1"]).min() >= 1


def test_a_row_is_scored_on_people_that_it_did_not_learn_and_leaves_no_weights_behind(small):
    common = shared(small)
    ablations.run_all(["rgb"], 0, common, threads=0)
    table = common["table"]
    scored = ablations.read(["rgb"])["rgb"]
    assert set(scored["identity"]) == set(table[table["split"] == "test"]["identity"])
    assert not [*ablations.paths.CHECKPOINTS.rglob("*.safetensors"), *ablations.paths.HISTORY.rglob("*.csv")]


def test_missing_rows_are_one_line_and_nothing_is_trained(small, monkeypatch):
    monkeypatch.setattr(train, "fit", lambda *given, **named: pytest.fail("trained"))
    with pytest.raises(FileNotFoundError, match="rgb.csv: no such scores; `dvc repro"):
        ablations.read(["rgb"])


def test_the_default_run_goes_on_where_it_was_killed_and_does_nothing_twice(small, interrupted, monkeypatch):
    common, rows = shared(small), ["rgb", "freq"]
    interrupted(ablations.testing, "predict", at=2)  # one a row: this is the test of the second one
    with pytest.raises(KeyboardInterrupt):
        ablations.run_all(rows, 0, common, threads=0)
    monkeypatch.setattr(train.Balanced, "__getitem__", lambda *given: pytest.fail("trained again"))
    ablations.run_all(rows, 0, common, threads=0)
    assert set(ablations.read(rows)) == {"rgb", "freq"}
    monkeypatch.setattr(ablations, "run", lambda *given, **named: pytest.fail("run again"))
    ablations.run_all(rows, 0, common, threads=0)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [([], ("rgb", "pel")), (["freq"], ("freq",)), (["--every"], ablations.ROWS), (["--every", "freq"], ("freq",))],
)
def test_the_command_trains_the_rows_of_params_yaml_or_those_that_are_asked_for(small, monkeypatch, given, wanted):
    few, trained = small.replace(ablations=small.ablations.replace(rows=["rgb", "pel"])), []
    monkeypatch.setattr(ablations, "load", lambda: few)
    monkeypatch.setattr(ablations, "run_all", lambda rows, *_: trained.extend(rows))
    ablations.main(given)
    assert tuple(trained) == wanted
