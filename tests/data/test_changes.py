"""lib.data.changes: each change is as strong as it says, keeps size and type, and leaves grey pictures grey."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from lib.data import changes, perturb
from lib.data.image import resize


@pytest.fixture(scope="module")
def image():
    return resize(load_sample_image("flower.jpg"), 64)


def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("name", "nothing", "strengths"),
    [("jpeg", None, (90, 50, 10)), ("blur", 1, (3, 5, 9)), ("noise", 0, (2, 5, 10)), ("crop", 0, (0.05, 0.1, 0.2)),
     ("resize", 1, (0.9, 0.5, 0.25))],
)  # fmt: skip
def test_a_stronger_perturbation_moves_the_image_further_and_none_leaves_it_alone(image, name, nothing, strengths):
    change = perturb.SINGLE[name]
    if nothing is not None:
        assert np.array_equal(change(image, nothing, random()), image)
    changed = [change(image, strength, random()) for strength in strengths]
    assert all(x.shape == image.shape and x.dtype == np.uint8 for x in changed)
    distances = [np.abs(x.astype(int) - image).mean() for x in changed]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_noise_has_the_deviation_that_was_asked_for():
    grey = np.full((256, 256, 3), 128, np.uint8)
    grey[0, 0] = 100, 128, 129  # not grey, so that the channels get noise of their own
    noise = changes.noise(grey, 8, random()).astype(float) - grey
    assert noise.std() == pytest.approx(8, rel=0.02)
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.05


def test_salt_and_pepper_changes_the_asked_share_of_pixels_half_of_them_white():
    changed = changes.salt_and_pepper(np.full((200, 200, 3), 128, np.uint8), 0.05, random())
    hit = changed != 128
    assert hit.all(-1).mean() == pytest.approx(0.05, abs=0.004)
    assert hit.any(-1).mean() == hit.all(-1).mean()
    assert (changed == 255).sum() / hit.sum() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("change", [*perturb.SINGLE.items(), ("salt_and_pepper", changes.salt_and_pepper)])
def test_a_grey_image_stays_grey(image, change):
    name, change = change
    strength = {"jpeg": 30, "blur": 5, "noise": 9, "crop": 0.1, "resize": 0.5, "salt_and_pepper": 0.05}[name]
    grey = np.repeat(image[..., :1], 3, axis=-1)
    changed = change(grey, strength, random())
    assert (changed == changed[..., :1]).all()
    assert not np.array_equal(changed, grey)


def test_crops_are_taken_from_anywhere(image):
    random = np.random.default_rng(0)
    assert len({changes.crop(image, 0.2, random).tobytes() for _ in range(20)}) > 15


def test_an_image_of_floats_is_named(image):
    with pytest.raises(ValueError, match="image: needs uint8"):
        changes.jpeg(image / 255, 50)
    with pytest.raises(ValueError, match="needs shape"):
        changes.noise(image[None], 3, random())
