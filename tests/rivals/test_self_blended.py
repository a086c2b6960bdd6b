import numpy as np
import pandas as pd
import pytest
import torch

from lib import detectors
from lib.data.image import write_png
from lib.data.items import FaceImages
from lib.rivals import self_blended
from lib.rivals.self_blended import SelfBlended, self_blend

POINTS = np.array([[0.35, 0.4], [0.65, 0.4], [0.52, 0.55], [0.4, 0.7], [0.6, 0.7]], np.float32)


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Four reals and two fakes, of which landmarks are found in all reals but the last."""
    rng, rows = np.random.default_rng(0), []
    for index, label in enumerate([0, 1, 0, 0, 1, 0]):
        path = tmp_path / f"{index}.png"
        write_png(path, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        rows.append({"path": str(path), "label": label})
    found = {row["path"]: POINTS for row in rows[:5]}
    nothing = np.full((5, 2), np.nan, np.float32)
    monkeypatch.setattr(self_blended, "find", lambda paths: np.stack([found.get(path, nothing) for path in paths]))
    return FaceImages(pd.DataFrame(rows), 64, flip=True, seed=3)


def test_no_fake_is_ever_seen_and_reals_stay_as_they_are(images, monkeypatch):
    asked = []
    own = FaceImages.__getitem__
    monkeypatch.setattr(FaceImages, "__getitem__", lambda self, index: asked.append(index) or own(self, index))
    blended = SelfBlended(images)
    items = [blended[index] for index in range(6)]
    assert {1, 4, 5}.isdisjoint(set(asked) - {5}) and asked.count(5) == 1, "no fake, and no face without landmarks"
    assert [item["label"].item() for item in items] == [0, 1, 0, 0, 1, 0]
    assert [item["index"] for item in items] == list(range(6))
    for index in (0, 2, 3, 5):
        assert torch.equal(items[index]["rgb"], own(images, index)["rgb"])


def test_a_blend_is_drawn_by_seed_epoch_and_place_alone(images):
    first, again = SelfBlended(images), SelfBlended(images)
    assert torch.equal(first[1]["rgb"], again[1]["rgb"])
    assert not torch.equal(first[1]["rgb"], first[4]["rgb"])
    before = first[1]["rgb"]
    first.set_epoch(1)
    assert not torch.equal(first[1]["rgb"], before)


def test_the_seam_goes_round_the_face_and_the_background_is_the_targets(monkeypatch):
    face = np.random.default_rng(0).integers(60, 200, (128, 128, 3), dtype=np.uint8)
    brighter = lambda image, rng: np.clip(image.astype(int) + 40, 0, 255).astype(np.uint8)
    monkeypatch.setattr(self_blended, "altered", brighter)
    whole = []
    for seed in range(40):
        difference = self_blend(face, POINTS, np.random.default_rng(seed)).astype(int) - face
        corner = difference[:8, :8]
        assert (corner == 0).all() or (corner == 40).all(), "outside of the mask there is one of the two pictures"
        whole.append(np.ptp(difference.mean(2)) > 5)
    assert np.mean(whole) == 1, "each has a seam"


def test_a_mirrored_face_is_blended_where_its_mirrored_landmarks_are(images, monkeypatch):
    seen = []
    monkeypatch.setattr(self_blended, "self_blend", lambda face, points, rng: seen.append(points) or face)
    blended = SelfBlended(images)
    for epoch in range(8):
        blended.set_epoch(epoch)
        item = blended[1]
        left_eye = 1 - POINTS[1, 0] if item["mirrored"] else POINTS[0, 0]
        assert seen[-1][0] == pytest.approx([left_eye, 0.4])
        assert seen[-1][2, 0] == pytest.approx(1 - 0.52 if item["mirrored"] else 0.52)
    assert len({points[2, 0] for points in seen}) == 2, "both kinds were drawn"


def test_a_mask_is_soft_inside_the_unit_interval_and_smaller_than_before():
    mask = np.zeros((128, 128), np.float32)
    mask[30:100, 30:100] = 1
    softened = self_blended.soft(mask, np.random.default_rng(0))
    assert softened.min() >= 0 and softened.max() == pytest.approx(1)
    assert (softened > 0.99).sum() < mask.sum() and softened[:20].max() < 1e-3
    shifted = self_blended.bent(mask, np.random.default_rng(0))
    assert 0.8 < shifted.sum() / mask.sum() < 1.2 and not np.array_equal(shifted, mask)


def test_a_grey_face_stays_grey():
    face = np.repeat(np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8), 3, 2)
    for seed in range(8):
        blended = self_blend(face, POINTS, np.random.default_rng(seed))
        assert (blended == blended[..., :1]).all()


def test_without_any_landmarks_there_is_one_line(images, monkeypatch):
    monkeypatch.setattr(self_blended, "find", lambda paths: np.full((len(paths), 5, 2), np.nan))
    with pytest.raises(ValueError, match="no real face with eyes, nose and mouth"):
        SelfBlended(images)


def test_its_network_is_pels_rgb_stream():
    ours, rgb = detectors.entry("SBI"), detectors.entry("RGB")
    assert (ours.network, ours.options, ours.loss) == (rgb.network, rgb.options, rgb.loss)
    assert ours.table == "more" and self_blended.__name__ in ours.code and self_blended.__name__ not in rgb.code
