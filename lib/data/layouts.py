"""What lies where in each data set, as a table: one row an item, with its label, identity and split.

Label 1 is fake in every table; data sets that say it otherwise are turned round here.
"""

import hashlib
import re
from pathlib import Path

import pandas as pd

from lib import paths
from lib.data import image, video_sets

METHODS, SPLITS, VIDEO_LAYOUTS = video_sets.METHODS, video_sets.SPLITS, tuple(video_sets.READERS)
REAL_SOURCES = ("CelebA-HQ", "FFHQ")
TEST_SHARE, VAL_SHARE = 0.2, 0.1  # of the identities; the val share is of those that are left for training
COLUMNS = ["path", "label", "method", "video", "identity", "split", "mask"]


def videos(data_set):
    """Return the table of the videos of a data set in one of VIDEO_LAYOUTS.

    Columns: path, label, method, video (method/name), identity (a fake: the target's), split, mask (path or "").
    What the data set lists but the disk lacks is left out; `missing` names it.
    Raises FileNotFoundError or ValueError naming the folder or file that does not fit the layout.
    """
    table, _ = _read(data_set)
    if table.empty:
        raise FileNotFoundError(
            f"{data_set.root}: no video of compression {data_set.compression} in the layout {data_set.layout}"
        )
    check_disjoint(table)
    return table


def missing(data_set):
    """Return the names (method/name) of the videos that the data set lists and the disk lacks."""
    return _read(data_set)[1]


def images(data_set, seed=0, limit=0):
    """Return the table of the images of a data set: the columns of `videos`, and frame (0 for single images).

    Layouts "CelebA-HQ" and "FFHQ": one folder a source; CelebA-HQ and FFHQ are real, all others GANs. The splits
    come from splits/{train,val,test}.json (lists of "SOURCE/NAME.png") where these are.
    Layout "folders": real/ and fake/ with image files, or with one folder of frames a video. A name that is in both,
    a fake named 000_001 and the reals 000 and 001, and the rows of an optional pairs.csv (columns real,fake: names
    of files or folders) share a split.
    Without lists, a seeded hash puts 20 % of the identities in test and 10 % of the others in val.
    limit: of the images of a source in a split; 0: all.
    Raises FileNotFoundError or ValueError naming the folder or file that does not fit the layout.
    """
    if data_set.layout == "WildDeepfake":
        raise ValueError(f"{data_set.root}: WildDeepfake is packed in archives; faces.prepare unpacks them")
    root = root_of(data_set)
    table = _folders(root) if data_set.layout == "folders" else _sources(root)
    for label, kind in enumerate(("real", "fake")):
        if not (table["label"] == label).any():
            hint = f"{kind}/" if data_set.layout == "folders" else f"a folder of {kind} images"
            raise ValueError(f"{data_set.root}: {hint} with {', '.join(image.SUFFIXES)} files is missing or empty")
    listed = _listed_splits(root) if data_set.layout != "folders" and (root / "splits").is_dir() else None
    if listed is None:
        table["split"] = [split_of(identity, seed) for identity in table["identity"]]
    else:
        names = table["path"].map(lambda path: Path(path).relative_to(root).as_posix())
        unlisted = names[~names.isin(listed)]
        if len(unlisted):
            raise ValueError(
                f"{data_set.root}: {unlisted.iloc[0]} is in no list of splits/ ({len(unlisted)} such images)"
            )
        table["split"] = names.map(listed)
    check_disjoint(table)
    table = table[[*COLUMNS, "frame"]]
    table = table.groupby(["method", "split"], sort=False).head(limit) if limit else table
    return table.reset_index(drop=True)


def split_of(identity, seed):
    """Return train, val or test for an identity by a seeded hash, so that added images never move the others."""
    share = share_of(identity, seed)
    if share < TEST_SHARE:
        return "test"
    return "val" if share < TEST_SHARE + VAL_SHARE * (1 - TEST_SHARE) else "train"


def share_of(identity, seed):
    """Return a number in [0, 1) that an identity and the seed alone decide."""
    digest = hashlib.sha256(f"{seed}/{identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def check_disjoint(table):
    """Raise ValueError naming the first identity or video of a table that lies in more than one split."""
    for column in ("identity", "video"):
        n_splits = table.groupby(column)["split"].nunique()
        if (n_splits > 1).any():
            name = n_splits.idxmax()
            where = ", ".join(sorted(table.loc[table[column] == name, "split"].unique()))
            raise ValueError(f"{column} {name} is in more than one split: {where}")


def root_of(data_set):
    """Return the folder of a data set; raises FileNotFoundError where there is none."""
    root = paths.resolve(data_set.root)
    if not root.is_dir():
        raise FileNotFoundError(f"{data_set.root}: no such folder; name the root of the data set in params.yaml")
    return root


def _read(data_set):
    if data_set.layout not in VIDEO_LAYOUTS:
        raise ValueError(f"{data_set.root}: layout {data_set.layout} holds images, not videos; use layouts.images")
    rows, absent = video_sets.READERS[data_set.layout](root_of(data_set), data_set.compression)
    return pd.DataFrame(rows, columns=COLUMNS), absent


def _sources(root):
    rows = []
    for folder in sorted(root.iterdir(), key=lambda f: (f.name not in REAL_SOURCES, f.name)):
        fake = folder.name not in REAL_SOURCES
        for file in _files(folder):
            # PPP_N names photograph N of person PPP; any other photograph is a person of its own.
            photo = re.fullmatch(r"(\d+)_\d+", file.stem)
            name = file.relative_to(root).with_suffix("").as_posix()
            identity = name if fake or not photo else f"{folder.name}/{photo[1]}"
            rows.append((str(file), int(fake), folder.name, name, identity, None, "", 0))
    return pd.DataFrame(rows, columns=[*COLUMNS, "frame"])


def _folders(root):
    rows = []
    for label, kind in enumerate(("real", "fake")):
        position = {}
        for file in _files(root / kind):
            inside = file.relative_to(root / kind)
            of_video = len(inside.parts) > 1
            name = inside.parent.as_posix() if of_video else file.stem
            frame = int(file.stem) if of_video and file.stem.isdecimal() else position.get(name, 0)
            position[name] = position.get(name, 0) + 1
            rows.append((str(file), label, kind, f"{kind}/{name}", name, None, "", frame))
    table = pd.DataFrame(rows, columns=[*COLUMNS, "frame"])
    real, fake = (set(table.loc[table["label"] == label, "identity"]) for label in (0, 1))
    links = [(name, part) for name in sorted(fake) for part in _swapped(name, real)]
    if (root / "pairs.csv").is_file():
        pairs = _pairs_csv(root / "pairs.csv")
        if not any(a in real and b in fake for a, b in pairs):
            raise ValueError(f"{paths.show(root)}/pairs.csv: none of its names is a file or folder of real/ and fake/")
        links += pairs
    leader = _joined(links)
    table["identity"] = [leader.get(name, name) for name in table["identity"]]
    return table


def _swapped(name, real):
    """Return both ids of a fake named target_source, where a real of one of these names is there."""
    ids = name.split("_")
    return ids if len(ids) == 2 and not real.isdisjoint(ids) else []


def _pairs_csv(file):
    pairs = video_sets.read_csv(file, ["real", "fake"])
    ending = f"({'|'.join(map(re.escape, image.SUFFIXES))})$"
    return list(pairs.replace(f"(?i){ending}", "", regex=True).itertuples(index=False, name=None))


def _joined(links):
    """Return {name: the smallest name of all that links join it with}."""
    group = {}
    for link in links:
        joined = set().union(*(group.get(name, {name}) for name in link))
        group |= dict.fromkeys(joined, joined)
    return {name: min(names) for name, names in group.items()}


def _files(folder):
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in image.SUFFIXES and not f.name.startswith("."))


def _listed_splits(root):
    return {name: split for split in SPLITS for name in video_sets.read_json(root / "splits" / f"{split}.json")}
