import re
from pathlib import Path

import pytest

from lib import paths
from lib.data import check, layouts
from lib.data.audit import shortcuts
from lib.params import DataSet

SETS = [
    DataSet(layout="FaceForensics++", root="data/FaceForensics++", compression="c23"),
    DataSet(layout="FaceForensics++", root="data/FaceForensics++", compression="c40"),
    DataSet(layout="CelebA-HQ", root="data/CelebA-HQ"),
]


@pytest.fixture(params=SETS, ids=["c23", "c40", "generated"])
def bundled(request):
    if not paths.resolve(request.param.root).is_dir():
        pytest.skip(f"{request.param.root} is not restored: run `dvc pull`")
    return request.param


def table_of(data_set):
    return layouts.images(data_set) if data_set.layout == "CelebA-HQ" else layouts.videos(data_set)


def people_of(row):
    """Every person that an item shows or was made from."""
    name = row.video.split("/")[1]
    return name.split("_")[: 1 if row.method in check.REAL_SOURCES else 2]


def test_nobody_and_no_source_video_is_in_two_splits(bundled):
    table = table_of(bundled)
    layouts.check_disjoint(table)
    assert set(table["split"]) == set(layouts.SPLITS)
    shown = table if bundled.layout == "FaceForensics++" else table[table["label"] == 0]
    split_of = {}
    for row in shown.itertuples():
        assert all(re.fullmatch(r"\d+", person) for person in people_of(row))
        for person in people_of(row):
            assert split_of.setdefault(person, row.split) == row.split, f"{person} is in two splits"
    assert len(split_of) == 40


def test_every_listed_video_is_there_with_the_mask_of_each_fake():
    if not paths.resolve(SETS[0].root).is_dir():
        pytest.skip(f"{SETS[0].root} is not restored: run `dvc pull`")
    for data_set in SETS[:2]:
        assert layouts.missing(data_set) == []
        table = layouts.videos(data_set)
        assert ((table["mask"] != "") == (table["label"] == 1)).all()


def test_file_size_brightness_and_picture_size_do_not_give_the_label_away(bundled):
    table = table_of(bundled)
    low, high = shortcuts.ALLOWED
    measures = shortcuts.measure(table).drop(columns="contrast")  # a trace of the generator, not of the files
    separation = shortcuts.separation(table["label"], measures)
    assert separation.between(low, high).all(), separation.round(3).to_dict()


def test_real_and_fake_share_one_file_format(bundled):
    formats = table_of(bundled).groupby("label")["path"].apply(lambda files: {Path(file).suffix for file in files})
    assert formats[0] == formats[1]
    assert len(formats[0]) == 1
