import torch
from torch.utils.data import default_collate

from lib.bts.residuals import Residuals


def images(count=3):
    rgb = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return [{"rgb": image, "label": torch.tensor(float(i % 2)), "index": i} for i, image in enumerate(rgb)]


def residuals(rgb):
    """Two stages that a mirror does not pass through unchanged."""
    return [rgb * torch.linspace(0, 1, 8), rgb[..., :2]]


def test_stored_residuals_are_those_of_the_image_that_is_drawn():
    data, seen = Residuals(images(), residuals, flip=True, batch_size=2), set()
    for epoch in range(8):
        data.set_epoch(epoch)
        for index in range(len(data)):
            item = data[index]
            for stored, wanted in zip(item["residuals"], residuals(item["rgb"][None]), strict=True):
                torch.testing.assert_close(stored, wanted[0], rtol=1e-3, atol=1e-3)  # float16
            seen.add((index, torch.equal(item["rgb"], images()[index]["rgb"])))
    assert len(seen) == 6  # each image, straight and mirrored


def test_without_flip_the_order_and_the_labels_are_those_of_the_images():
    batch = default_collate([Residuals(images(), residuals)[i] for i in range(3)])
    assert torch.equal(batch["rgb"], torch.stack([item["rgb"] for item in images()]))
    assert batch["label"].tolist() == [0, 1, 0]
    assert [stage.shape for stage in batch["residuals"]] == [(3, 3, 8, 8), (3, 3, 8, 2)]
