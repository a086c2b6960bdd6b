"""Honest names and cards of data sets: the bundled ones, small grey portraits, only stand in for others."""

import pandas as pd

from lib import paths
from lib.data.check import REAL_SOURCES
from lib.data.image import read_image
from lib.data.roots import bundled

PHOTOGRAPHS = "ORL portraits"
FORGED = "forged ORL portraits"


def title(data_set):
    """Return the name of a params.DataSet for readers, such as "ORL portraits, in CelebA-HQ's place"."""
    if not bundled(data_set.root):
        return data_set.layout
    return f"{FORGED if data_set.layout == 'FaceForensics++' else PHOTOGRAPHS}, in {data_set.layout}'s place"


def source(data_set, method):
    """Return the name of a source for readers: bundled photographs are not called after the set they stand in for."""
    if not bundled(data_set.root):
        return method
    real = dict.fromkeys(REAL_SOURCES, "ORL photographs") | {"original": "ORL photographs, filmed"}
    return real.get(method, f"our {method}")


def card(data_set, table):
    """Return a data card of a params.DataSet, a pandas Styler: one row a source of its table (`layouts.images`).

    Columns: source, images, people, size in pixels, colour; the caption holds `title` and the folder. size and colour
    are those of the first image of each source.
    """
    rows = []
    for method, part in table.groupby("method", sort=False):
        pixels = read_image(part["path"].iloc[0])
        grey = (pixels == pixels[..., :1]).all()
        people = part["identity"].nunique() if part["label"].iloc[0] == 0 else ""
        rows.append({"source": source(data_set, method), "images": len(part), "people": people,
                     "size": f"{pixels.shape[1]}x{pixels.shape[0]}",
                     "colour": "grey" if grey else "colour"})  # fmt: skip
    caption = f"{title(data_set)} ({paths.show(paths.resolve(data_set.root))})"
    return pd.DataFrame(rows).style.hide().set_caption(caption)
