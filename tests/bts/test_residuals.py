import pytest
import torch
from torch.utils.data import Dataset, default_collate

from lib.bts.residuals import Residuals


class Images(Dataset):
    """Three images, of which a mirrored one is drawn at random in each epoch, as FaceImages does."""

    def __init__(self, flip=False):
        self.rgb, self.flip, self.epoch = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)), flip, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 3

    def __getitem__(self, index):
        mirrored = self.flip and bool((self.epoch + index) % 2)
        rgb = self.rgb[index].flip(-1) if mirrored else self.rgb[index]
        return {"rgb": rgb, "label": torch.tensor(float(index % 2)), "index": index, "mirrored": mirrored}


class Model:
    """Two stages that a mirror does not pass through unchanged."""

    calls = 0

    def residuals(self, rgb):
        self.calls += 1
        return [rgb * torch.linspace(0, 1, 8), rgb[..., :2]]


def test_stored_residuals_are_those_of_the_image_that_is_drawn():
    data, seen = Residuals(Images(flip=True), Model(), batch_size=2), set()
    for epoch in range(1, 5):
        data.set_epoch(epoch)
        for index in range(len(data)):
            item = data[index]
            for stored, wanted in zip(item["residuals"], Model().residuals(item["rgb"][None]), strict=True):
                torch.testing.assert_close(stored, wanted[0], rtol=1e-3, atol=1e-3)  # float16
            seen.add((index, item["mirrored"]))
    assert len(seen) == 6  # each image, straight and mirrored


def test_without_flip_the_order_and_the_labels_are_those_of_the_images():
    data = Residuals(Images(), Model())
    batch = default_collate([data[i] for i in range(3)])
    assert torch.equal(batch["rgb"], Images().rgb)
    assert batch["label"].tolist() == [0, 1, 0]
    assert [stage.shape for stage in batch["residuals"]] == [(3, 3, 8, 8), (3, 3, 8, 2)]


@pytest.mark.parametrize(("flip", "calls"), [(False, 2), (True, 4)])
def test_a_training_that_is_only_loaded_computes_no_residual_and_another_one_computes_each_once(flip, calls):
    data = Residuals(Images(flip), model := Model(), batch_size=2)
    assert model.calls == 0
    for index in (0, 1, 2, 0):
        data[index]
    assert model.calls == calls
