import numpy as np
import pandas as pd
import pytest

from lib import params
from lib.data import cards
from lib.data.image import write_png


@pytest.fixture
def table(tmp_path):
    rows = []
    for method, label, count in (("CelebA-HQ", 0, 3), ("ProGAN", 1, 2)):
        for index in range(count):
            write_png(tmp_path / f"{method}{index}.png", np.full((32, 48, 3), 9 * index, np.uint8))
            rows.append({"path": str(tmp_path / f"{method}{index}.png"), "method": method, "label": label,
                         "identity": f"{label}{index // 2}"})  # fmt: skip
    return pd.DataFrame(rows)


def test_bundled_portraits_never_stand_under_the_name_of_another_data_set(table):
    ours = params.DataSet(layout="CelebA-HQ", root="data/CelebA-HQ")
    drawn = params.DataSet(layout="FFHQ", root="generated/FFHQ")
    assert cards.title(ours) == "ORL portraits, in CelebA-HQ's place"
    assert cards.title(drawn) == "ORL portraits, in FFHQ's place"
    assert cards.title(params.DataSet(layout="FaceForensics++", root="data/FaceForensics++")).startswith("forged ORL")
    shown = cards.card(ours, table)
    assert shown.data["source"].tolist() == ["ORL photographs", "our ProGAN"]
    assert shown.data["images"].tolist() == [3, 2]
    assert shown.data["people"].tolist() == [2, ""]
    assert set(shown.data["size"]) == {"48x32"} and set(shown.data["colour"]) == {"grey"}
    assert "CelebA-HQ's place (data/CelebA-HQ)" in shown.caption


def test_a_users_own_set_keeps_its_name(table, tmp_path):
    theirs = params.DataSet(layout="CelebA-HQ", root=str(tmp_path))
    assert cards.title(theirs) == "CelebA-HQ"
    assert cards.card(theirs, table).data["source"].tolist() == ["CelebA-HQ", "ProGAN"]
