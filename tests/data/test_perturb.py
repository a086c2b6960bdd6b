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


@pytest.mark.parametrize("name", perturb.PEL_TABLE3)
def test_the_first_strength_of_each_column_of_pels_table_3_changes_nothing(image, name):
    change, strengths = perturb.PEL_TABLE3[name]
    assert np.array_equal(change(image, strengths[0], random()), image)
    assert not np.array_equal(change(image, strengths[1], random()), image)


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
