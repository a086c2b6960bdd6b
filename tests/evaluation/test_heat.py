"""Heat maps: scaled within each face, and how much of one lies inside a mask."""

import pytest
import torch

from lib.evaluation import heat


def test_heat_is_scaled_within_each_face_and_an_even_map_is_dark():
    maps = torch.stack([torch.zeros(4, 4), torch.arange(16.0).reshape(4, 4) - 8])
    hot = heat.to_heat(maps, 32)
    assert hot.shape == (2, 32, 32)
    assert hot[0].max() == 0
    assert (hot[1].min(), hot[1].max()) == (0, 1)
    assert (hot[1, 0, 0], hot[1, -1, -1]) == (0, 1)


def test_the_share_inside_the_mask_is_that_of_the_area_for_a_map_that_knows_nothing():
    mask = torch.zeros(3, 8, 8)
    mask[:, :4, :4] = 1
    maps = torch.stack([torch.ones(8, 8), mask[0], 1 - mask[0]])
    assert heat.share_inside(mask, maps).tolist() == [0.25, 1, 0]
    assert heat.share_inside(mask.bool(), maps).tolist() == [0.25, 1, 0]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"mask is \(1, 4, 4\), heat \(1, 8, 8\)"):
        heat.share_inside(torch.ones(1, 4, 4), torch.ones(1, 8, 8))
