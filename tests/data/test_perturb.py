import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_sample_image

from lib.data import perturb
from lib.data.image import resize


@pytest.fixture(scope="module")
def image():
    return resize(load_sample_image("flower.jpg"), 64)


def random():
    return np.random.default_rng(0)


def test_about_one_image_in_sixteen_escapes_the_chain(image):
    names = range(2000)
    same = [np.array_equal(perturb.chain(image, perturb.random_of(name, 0)), image) for name in names]
    assert 0.055 < np.mean(same) < 0.095  # 1/16, and those that were only blurred with a kernel of 1: 1/80


def test_the_chain_depends_on_image_and_seed_and_not_on_the_order(image):
    one = {name: perturb.chain(image, perturb.random_of(name, 3)) for name in ("a", "b", "c", "d")}
    for name in ("d", "b", "a", "c"):
        assert np.array_equal(perturb.chain(image, perturb.random_of(name, 3)), one[name])
    other = [perturb.chain(image, perturb.random_of(name, 4)) for name in one]
    assert any(not np.array_equal(a, b) for a, b in zip(one.values(), other, strict=True))


def test_the_chain_applies_jpeg_blur_crop_noise_in_this_order_each_half_of_the_time(image, monkeypatch):
    calls = []
    for name in ("jpeg", "blur", "crop", "noise"):
        recorded = lambda image, strength, rng, name=name: calls[-1].append((name, strength)) or image
        monkeypatch.setattr(perturb, name, recorded)
    for name in range(600):
        calls.append([])
        perturb.chain(image, perturb.random_of(name, 0))
    order = ["jpeg", "blur", "crop", "noise"]
    assert all([name for name, _ in call] == [n for n in order if n in dict(call)] for call in calls)
    drawn = {name: np.array([dict(call)[name] for call in calls if name in dict(call)]) for name in order}
    assert all(0.42 < len(strengths) / 600 < 0.58 for strengths in drawn.values())
    assert drawn["jpeg"].min() == 10 and drawn["jpeg"].max() == 75
    assert set(drawn["blur"]) == {1, 3, 5, 7, 9}
    assert 0.05 <= drawn["crop"].min() < 0.06 and 0.19 < drawn["crop"].max() <= 0.2
    assert 5 <= (drawn["noise"] ** 2).min() < 6 and 19 < (drawn["noise"] ** 2).max() <= 20


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
    noise = perturb.noise(grey, 8, random()).astype(float) - grey
    assert noise.std() == pytest.approx(8, rel=0.02)
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.05


def test_salt_and_pepper_changes_the_asked_share_of_pixels_half_of_them_white():
    changed = perturb.salt_and_pepper(np.full((200, 200, 3), 128, np.uint8), 0.05, random())
    hit = changed != 128
    assert hit.all(-1).mean() == pytest.approx(0.05, abs=0.004)
    assert hit.any(-1).mean() == hit.all(-1).mean()
    assert (changed == 255).sum() / hit.sum() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", perturb.PEL_TABLE3)
def test_the_first_strength_of_each_column_of_pels_table_3_changes_nothing(image, name):
    change, strengths = perturb.PEL_TABLE3[name]
    assert np.array_equal(change(image, strengths[0], random()), image)
    assert not np.array_equal(change(image, strengths[1], random()), image)


@pytest.mark.parametrize("change", [*perturb.SINGLE.items(), ("salt_and_pepper", perturb.salt_and_pepper)])
def test_a_grey_image_stays_grey(image, change):
    name, change = change
    strength = {"jpeg": 30, "blur": 5, "noise": 9, "crop": 0.1, "resize": 0.5, "salt_and_pepper": 0.05}[name]
    grey = np.repeat(image[..., :1], 3, axis=-1)
    changed = change(grey, strength, random())
    assert (changed == changed[..., :1]).all()
    assert not np.array_equal(changed, grey)


def test_crops_are_taken_from_anywhere(image):
    random = np.random.default_rng(0)
    assert len({perturb.crop(image, 0.2, random).tobytes() for _ in range(20)}) > 15


def test_an_image_of_floats_is_named(image):
    with pytest.raises(ValueError, match="image: needs uint8"):
        perturb.jpeg(image / 255, 50)
    with pytest.raises(ValueError, match="needs shape"):
        perturb.noise(image[None], 3, random())


def items(image, count=6):
    rgb = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    labels = torch.tensor([i % 2 for i in range(count)]).float()
    table = pd.DataFrame({"method": "ProGAN", "path": [f"faces/{i}.png" for i in range(count)], "label": labels})
    return [{"rgb": rgb, "label": labels[i], "index": i} for i in range(count)], table


def test_real_images_are_left_alone_and_fakes_get_the_same_change_wherever_they_stand(image):
    images, table = items(image)
    noise = lambda image, rng: perturb.noise(image, 4, rng)
    changed = perturb.Changed(images, table, noise, seed=1)
    for index in range(6):
        moved = (changed[index]["rgb"] - images[index]["rgb"]).abs().mean().item()
        assert (moved > 0) == bool(images[index]["label"])
    order = [5, 3, 1]
    again = perturb.Changed([images[i] for i in order], table.iloc[order], noise, seed=1)
    for place, index in enumerate(order):
        assert torch.equal(again[place]["rgb"], changed[index]["rgb"])
    assert not torch.equal(changed[1]["rgb"], changed[3]["rgb"])
    everything = perturb.Changed(images, table, noise, seed=1, fakes_only=False)
    assert not torch.equal(everything[0]["rgb"], images[0]["rgb"])
