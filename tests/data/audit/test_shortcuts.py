import numpy as np
import pandas as pd
import pytest

from lib.data.audit import shortcuts
from lib.data.image import write_png
from lib.data.video import write_video


@pytest.fixture
def images(tmp_path):
    generator = np.random.default_rng(0)
    rows = []
    for index in range(20):
        label = index % 2
        write_png(tmp_path / f"{index}.png", np.uint8(generator.integers(0, 100, (16, 16)) + 100 * label))
        rows.append((str(tmp_path / f"{index}.png"), label))
    return pd.DataFrame(rows, columns=["path", "label"])


def test_fakes_that_are_brighter_are_caught(images):
    auc = shortcuts.separation(images["label"], shortcuts.measure(images))
    assert auc["brightness"] == 1
    assert shortcuts.ALLOWED[0] <= auc["width"] <= shortcuts.ALLOWED[1]


def test_videos_are_measured_too(tmp_path):
    write_video(tmp_path / "grey.mp4", np.full((5, 32, 48), 90, np.uint8))
    measures = shortcuts.measure(pd.DataFrame({"path": [str(tmp_path / "grey.mp4")]})).iloc[0]
    assert measures["brightness"] == pytest.approx(90, abs=2)
    assert measures["contrast"] == pytest.approx(0, abs=2)
    assert (measures["width"], measures["height"]) == (48, 32)
    assert measures["file_size"] == (tmp_path / "grey.mp4").stat().st_size
