"""Auxiliary tasks: the paper's strengths, each image on its own, the same again for the same seed."""

import pytest
import torch

from lib.bts import degradations


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def changed_pixels(before, after):
    return (before != after).any(1).flatten(1)  # (N, h*w)


def test_a_tenth_to_a_quarter_of_the_pixels_turn_grey_in_about_half_of_1000_images():
    low_res = torch.rand(1000, 3, 24, 24)
    share = changed_pixels(low_res, degradations.colour(low_res, seeded())).float().mean(1)
    touched = share[share > 0]
    assert 0.45 < len(touched) / 1000 < 0.55
    assert touched.min() >= 0.10 - 1e-3
    assert touched.max() <= 0.25 + 1e-3
    assert touched.std() == pytest.approx(0.15 / 12**0.5, rel=0.1)  # uniform, and drawn for each image


def test_grey_is_the_plain_mean_of_the_channels_and_the_other_pixels_stay():
    low_res = torch.rand(8, 3, 24, 24)
    grey = degradations.colour(low_res, seeded())
    mask = (low_res != grey).any(1)
    assert mask.any()
    for channel in grey.unbind(1):
        assert torch.equal(channel[mask], low_res.mean(1)[mask])
    assert torch.equal(grey.movedim(1, -1)[~mask], low_res.movedim(1, -1)[~mask])


def test_grey_pixels_lie_scattered_and_not_where_they_lay_in_the_image_before():
    low_res = torch.rand(100, 3, 24, 24)
    mask = changed_pixels(low_res, degradations.colour(low_res, seeded()))
    mask = mask[mask.any(1)].float()
    assert mask.mean(0).max() < 0.5  # no place is grey in most images
    assert mask.unflatten(1, (4, -1)).mean(2).min() > 0.03  # every quarter of an image has its share


def test_noise_has_the_paper_s_deviation_in_about_half_of_the_images_and_is_not_clipped():
    low_res = torch.ones(1000, 3, 24, 24)
    added = degradations.noise(low_res, seeded()) - low_res
    touched = added[added.flatten(1).any(1)]
    assert 0.45 < len(touched) / 1000 < 0.55
    assert touched.std() == pytest.approx(4 / 255, rel=0.02)
    assert touched.mean().abs() < 1e-4
    assert touched.max() > 0.03  # above white


@pytest.mark.parametrize("task", degradations.TASKS)
def test_a_seed_gives_the_same_images_again_and_another_seed_others(task):
    low_res = torch.rand(16, 3, 8, 8)
    first, again, other = (degradations.TASKS[task](low_res, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (task == "")
    assert first.dtype == low_res.dtype and first.shape == low_res.shape


def test_the_input_stays_as_it_was():
    low_res = torch.rand(16, 3, 8, 8)
    before = low_res.clone()
    for omega in degradations.TASKS.values():
        omega(low_res, seeded())
    assert torch.equal(low_res, before)


def test_gradients_and_double_precision_pass_through():
    low_res = torch.rand(4, 3, 8, 8, dtype=torch.double, requires_grad=True)
    for omega in (degradations.colour, degradations.noise):
        (gradient,) = torch.autograd.grad(omega(low_res, seeded()).sum(), low_res)
        assert torch.allclose(gradient.sum(1), torch.full_like(gradient[:, 0], 3))  # a mean hands its gradient on whole


@pytest.mark.parametrize("omega", [degradations.colour, degradations.noise])
def test_a_single_image_without_its_batch_is_refused(omega):
    with pytest.raises(ValueError, match=r"low_res: needs shape \(N, 3, h, w\), has \(3, 8, 8\)"):
        omega(torch.rand(3, 8, 8), seeded())
