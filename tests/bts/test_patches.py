import pandas as pd
import pytest
import torch

from lib.bts.patches import Patches

TABLE = pd.DataFrame({"path": ["a.png"], "label": [0]})


@pytest.fixture
def images():
    return [{"rgb": torch.arange(3 * 12 * 16).view(3, 12, 16).float() / 576}]


def test_the_same_seed_and_epoch_give_the_same_patch(images):
    one, other = Patches(images, TABLE, 8, seed=1), Patches(images, TABLE, 8, seed=1)
    drawn = []
    for epoch in range(6):
        one.set_epoch(epoch)
        other.set_epoch(epoch)
        assert torch.equal(one[0]["rgb"], other[0]["rgb"])
        drawn.append(one[0]["rgb"])
    assert any(not torch.equal(drawn[0], patch) for patch in drawn[1:])


def test_patches_come_in_all_eight_orientations(images):
    patches, orientations = Patches(images, TABLE, 8), set()
    for epoch in range(60):
        patches.set_epoch(epoch)
        patch = patches[0]["rgb"][0]
        steps = torch.stack([patch[0, 1], patch[1, 0]]) - patch[0, 0]
        orientations.add(tuple((steps * 576).round().tolist()))
    assert len(orientations) == 8


def test_an_image_smaller_than_the_patch_is_refused(images):
    with pytest.raises(ValueError, match="16 pixels"):
        Patches(images, TABLE, 16)[0]
