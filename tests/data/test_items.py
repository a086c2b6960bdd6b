import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from lib.data import items, perturb
from lib.data.image import read_image, resize, write_png


def table_of(folder, n=6, shape=(12, 12)):
    generator = np.random.default_rng(0)
    rows = []
    for index in range(n):
        path = folder / f"{index}.png"
        write_png(path, generator.integers(0, 256, (*shape, 3), dtype=np.uint8))
        rows.append({"path": str(path), "label": int(index >= n // 3)})
    return pd.DataFrame(rows)


def test_an_item_is_the_image_in_zero_to_one_with_its_label(tmp_path):
    table = table_of(tmp_path)
    for in_memory in (True, False):
        item = items.FaceImages(table, 12, in_memory=in_memory)[3]
        assert item["rgb"].dtype == torch.float32 and item["label"].dtype == torch.float32 and item["label"].shape == ()
        expected = torch.from_numpy(read_image(table["path"][3]).astype(np.float32)).permute(2, 0, 1) / 255
        assert torch.equal(item["rgb"], expected) and item["label"] == 1 and item["index"] == 3


def test_an_image_of_another_size_and_shape_becomes_its_central_square(tmp_path):
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, 4:12] = 100
    write_png(tmp_path / "wide.png", image)
    table = pd.DataFrame({"path": [str(tmp_path / "wide.png")], "label": [0]})
    rgb = items.FaceImages(table, 4)[0]["rgb"]
    assert rgb.shape == (3, 4, 4) and torch.allclose(rgb, torch.tensor(100 / 255))


def test_flips_depend_on_seed_epoch_and_index_but_not_on_workers_or_order(tmp_path):
    images = items.FaceImages(table_of(tmp_path, n=32), 12, flip=True, seed=5)
    plain = items.FaceImages(table_of(tmp_path, n=32), 12)

    def flipped(epoch, workers=0):
        images.set_epoch(epoch)
        batch = next(iter(DataLoader(images, 32, num_workers=workers)))
        for rgb, mirrored, item in zip(batch["rgb"], batch["mirrored"], plain, strict=True):
            assert torch.equal(rgb, item["rgb"].flip(-1) if mirrored else item["rgb"]) and item["mirrored"] is False
        return batch["mirrored"].tolist()

    assert flipped(0) == flipped(0, workers=2) and flipped(0) != flipped(1)
    assert 6 < sum(flipped(0)) < 26


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "absent"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_bad_image_is_one_line_that_names_the_file(tmp_path, kind, in_memory):
    path = tmp_path / "bad.jpg"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is a text file")
    elif kind == "truncated":
        write_png(tmp_path / "good.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
        path.write_bytes((tmp_path / "good.png").read_bytes()[:2000])
    table = pd.DataFrame({"path": [str(path)], "label": [0]})
    with pytest.raises((ValueError, FileNotFoundError), match="bad.jpg") as error:
        items.FaceImages(table, 32, in_memory=in_memory)[0]
    assert "\n" not in str(error.value)


def test_a_set_beyond_the_memory_limit_is_read_from_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(items, "MEMORY_LIMIT", 100)
    images = items.FaceImages(table_of(tmp_path), 12)
    assert images.stored is None and images[0]["rgb"].shape == (3, 12, 12)


def test_training_sees_as_many_fakes_as_reals_and_other_fakes_each_epoch(tmp_path):
    table = table_of(tmp_path, n=30)
    balanced = items.Balanced(table, items.FaceImages(table, 12), seed=1)
    draws = []
    for epoch in (0, 1, 0):
        balanced.set_epoch(epoch)
        labels = [balanced[i]["label"].item() for i in range(len(balanced))]
        assert len(labels) == 20 and sum(labels) == 10
        draws.append(tuple(balanced[i]["index"] for i in range(len(balanced))))
    assert draws[0] == draws[2] != draws[1]
    with pytest.raises(ValueError, match="one class only"):
        items.Balanced(table[table["label"] == 1], items.FaceImages(table, 12))


def test_resizing_averages_when_it_shrinks_and_keeps_what_fits():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4) * 10
    assert np.array_equal(resize(image, 4), image)
    assert resize(image, 2)[0, 0] == round(float(image[:2, :2].mean()))
    assert resize(np.dstack([image] * 3), 8).shape == (8, 8, 3)


class Watched(items.FaceImages):
    """Images that remember which threads asked for them."""

    def __getitem__(self, index):
        self.__dict__.setdefault("asked", []).append((index, threading.current_thread() is threading.main_thread()))
        return super().__getitem__(index)


def test_images_on_disk_are_read_ahead_while_a_batch_is_scored_and_make_the_same_batches(tmp_path):
    table = table_of(tmp_path, n=11)
    on_disk = Watched(table, 12, in_memory=False, flip=True)
    view = perturb.Changed(on_disk, table.assign(method="any"), lambda pixels, random: 255 - pixels, 0)
    for data, size in ((on_disk, 4), (view, 3)):
        on_disk.asked, found = [], []
        for number, batch in enumerate(items.batches(data, size)):
            wanted, deadline = 1 + min((number + 2) * size, len(data)), time.monotonic() + 10
            while len(on_disk.asked) < wanted and time.monotonic() < deadline:
                time.sleep(0.001)
            assert len(on_disk.asked) == wanted, "one batch ahead, and no more"
            found.append(batch)
        assert not any(main for _, main in on_disk.asked[1:])
        for ours, wanted in zip(found, DataLoader(data, size), strict=True):
            assert ours.keys() == wanted.keys() and all(torch.equal(ours[key], wanted[key]) for key in wanted)


def test_images_in_memory_start_no_thread_and_a_bad_file_is_named_from_a_thread_too(tmp_path):
    table = table_of(tmp_path)
    in_memory = Watched(table, 12)
    assert len(list(items.batches(in_memory, 4))) == 2 and all(main for _, main in in_memory.asked)
    (tmp_path / "5.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"5.png: an empty file"):
        list(items.batches(items.FaceImages(table, 12, in_memory=False), 2))
