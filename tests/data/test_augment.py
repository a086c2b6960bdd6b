"""lib.data.augment: training images vary from epoch to epoch, the same way for the same seed, and stay images."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.data.augment import CHANGES, Augmented
from lib.data.image import write_png
from lib.data.items import Balanced, FaceImages


@pytest.fixture
def images(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for index in range(40):
        write_png(tmp_path / f"{index}.png", rng.integers(40, 200, (16, 16, 3), dtype=np.uint8))
        rows.append((str(tmp_path / f"{index}.png"), index % 2))
    table = pd.DataFrame(rows, columns=["path", "label"])
    return table, FaceImages(table, 16)


def test_a_share_of_the_images_is_changed_and_their_labels_stay(images):
    _, plain = images
    varied = Augmented(plain, 0.5)
    same = [torch.equal(a["rgb"], b["rgb"]) for a, b in zip(varied, plain, strict=True)]
    assert 10 < sum(same) < 30
    assert [item["label"] for item in varied] == [item["label"] for item in plain]
    assert all(item["rgb"].min() >= 0 and item["rgb"].max() <= 1 for item in varied)


def test_each_epoch_and_seed_varies_otherwise_and_the_same_ones_repeat(images):
    _, plain = images

    def of(seed, epoch):
        varied = Augmented(plain, 1.0, seed)
        varied.set_epoch(epoch)
        return torch.stack([item["rgb"] for item in varied])

    assert torch.equal(of(0, 1), of(0, 1))
    assert not torch.equal(of(0, 1), of(0, 2)) and not torch.equal(of(0, 1), of(1, 1))


def test_a_balanced_view_passes_the_epoch_on(images):
    table, plain = images
    balanced = Balanced(table, Augmented(plain, 1.0))
    first = balanced[0]["rgb"]
    balanced.set_epoch(3)
    assert not torch.equal(balanced[0]["rgb"], first)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_keeps_size_and_type_and_leaves_grey_pictures_grey(change):
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (16, 16, 1), dtype=np.uint8), 3, -1)
    changed = change(grey, np.random.default_rng(1))
    assert changed.shape == grey.shape and changed.dtype == np.uint8
    assert not np.array_equal(changed, grey) and (changed == changed[..., :1]).all()
