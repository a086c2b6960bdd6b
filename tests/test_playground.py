"""The playground: a picture is taken from bytes, changed and scored; a broken one is refused in one line."""

import numpy as np
import pytest
import torch

from lib import detect, playground
from lib.bts.detector import BeyondTheSpectrum
from lib.data import image
from lib.pel.network import PEL
from lib.playground import Change, Playground

RDN = {"num_features": 4, "growth_rate": 4, "num_blocks": 1, "num_layers": 1, "factor": 4}
STAGES = {"perceptual": "efficientnet_lite0", "stages": [0, 5], "stage_weights": [0.5, 0.5]}
RESNET = {"width": 4, "layers": [1] * 4}


@pytest.fixture
def game(monkeypatch):
    """A playground with small random detectors that take a picture whole."""
    torch.manual_seed(0)
    models = {
        "pel": PEL("tf_efficientnet_lite0", pretrained=False, literal_init=True).eval(),
        "bts": BeyondTheSpectrum(RDN, **STAGES, **RESNET, size=64, pretrained=False).eval(),
    }
    monkeypatch.setattr(detect, "load", lambda name: detect.Loaded(name, models[name], 64, {}, True))
    return Playground()


def content(tmp_path, rgb):
    image.write_png(tmp_path / "picture.png", rgb)
    return (tmp_path / "picture.png").read_bytes()


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_what_changes_nothing_changes_no_pixel_and_each_slider_changes_some(picture):
    assert np.array_equal(Change()(picture), picture)
    for change in ({"quality": 30}, {"blur": 5}, {"crop": 0.2}, {"noise": 5.0}, {"size": 0.5}):
        changed = Change(**change)(picture)
        assert changed.shape == picture.shape and not np.array_equal(changed, picture), change
        assert np.array_equal(changed, Change(**change)(picture)), "the same slider, the same picture"


def test_a_score_is_that_of_the_changed_picture_and_of_the_detector_itself(game, picture, tmp_path):
    game.opened("mine.png", content(tmp_path, picture))
    rgb = torch.tensor(Change(quality=20)(picture)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        own = game.detectors["pel"].model.fake_probability({"rgb": rgb}).item()
    assert game.scores(Change(quality=20))["pel"] == pytest.approx(own)
    assert game.scores(Change()) != game.scores(Change(quality=20))


def test_the_enhancements_can_be_taken_out_and_put_back(game, picture, tmp_path):
    game.opened("mine.png", content(tmp_path, picture))
    before = game.scores(Change())
    assert game.scores(Change(), enhanced=False)["pel"] != before["pel"]
    assert game.scores(Change(), enhanced=False)["bts"] == before["bts"]
    assert game.scores(Change()) == before


def test_a_look_shows_six_pictures_with_their_scores(game, picture, tmp_path):
    found, fig = game.opened("mine.png", content(tmp_path, picture)).look(Change(blur=3), frequency=(2, 3))
    titles = [ax.get_title() for ax in fig.axes]
    assert len(titles) == 6 and titles[0] == f"score {found['pel']:.3f}" and titles[2] == "brightness, DCT (2, 3)"


def test_a_broken_or_huge_file_is_one_line_with_its_own_name_and_the_picture_before_stays(
    game, picture, tmp_path, monkeypatch
):
    game.opened("mine.png", content(tmp_path, picture))
    before = game.scores(Change())
    for name, data, message in (
        ("bad.png", b"no picture", "bad.png"),
        ("a.txt", b"text", r"a\.txt: not a kind of image"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            game.opened(name, data)
        assert "\n" not in str(error.value) and "upload" not in str(error.value) and "tmp" not in str(error.value)
    monkeypatch.setattr(playground, "LIMIT", 10)
    with pytest.raises(ValueError, match=r"mine\.png: 0 MB; at most 0 MB"):
        game.opened("mine.png", content(tmp_path, picture))
    assert game.scores(Change()) == before


def test_without_a_picture_there_is_one_line(game):
    with pytest.raises(ValueError, match="no picture yet"):
        game.scores(Change())
