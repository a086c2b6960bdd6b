"""The score of every item: in the order of the items, and with what the detector takes."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch

from lib.data.image import write_png
from lib.data.items import FaceImages
from lib.detectors import Detector
from lib.evaluation.predict import predict


class Brightness(Detector):
    """Says fake where the picture is bright; drops half of its input while training."""

    at_once = 8

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, rgb):
        return self.dropout(rgb).mean((1, 2, 3)) - 0.5


def test_predictions_keep_the_order_of_the_data_and_leave_training_mode_alone():
    levels = torch.rand(37, generator=torch.Generator().manual_seed(0))
    data = [{"rgb": torch.full((3, 4, 4), float(level))} for level in levels]
    model = Brightness().train()
    assert predict(model, data) == pytest.approx((levels - 0.5).sigmoid().numpy(), abs=1e-6)
    assert model.training
    model.fake_probability = lambda batch: batch["rgb"][:, 0, 0, 0]
    assert predict(model, data) == pytest.approx(levels.numpy())


def test_scoring_does_not_wait_for_the_disk(tmp_path):
    for index in range(3):
        write_png(tmp_path / f"{index}.png", np.full((4, 4, 3), 100 * index, np.uint8))
    table = pd.DataFrame({"path": [str(tmp_path / f"{index}.png") for index in range(3)], "label": 0})
    on_disk, model, read = FaceImages(table, 4, in_memory=False), Brightness(), threading.Event()
    plain = on_disk._read

    def noted(index):
        if index == 1:
            read.set()
        return plain(index)

    on_disk._read, model.at_once, forward = noted, 1, model.forward
    model.forward = lambda rgb: forward(rgb) if read.wait(10) else pytest.fail("the next image was not read")
    assert predict(model, on_disk) == pytest.approx(predict(Brightness(), FaceImages(table, 4)), abs=0)


class Masked(Detector):
    """Says fake where the picture is bright behind a mask."""

    inputs = ("rgb", "mask")

    def forward(self, rgb, mask=None):
        return (rgb if mask is None else rgb * mask).mean((1, 2, 3)) - 0.5


def test_a_model_that_takes_a_mask_is_given_it_where_the_items_have_one():
    items = [{"rgb": torch.ones(3, 4, 4), "mask": torch.zeros(1, 4, 4)}] * 3
    assert predict(Masked(), items) == pytest.approx(1 / (1 + np.exp(0.5)))
    plain = [{"rgb": item["rgb"]} for item in items]
    assert predict(Masked(), plain) == pytest.approx(1 / (1 + np.exp(-0.5)))
