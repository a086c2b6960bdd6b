"""What lies where in each data set, as a table: one row an item, with its label, identity and split.

Label 1 is fake in every table, also for data sets whose own lists say it the other way round.
"""

import hashlib
import re
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd

from lib import paths
from lib.data import check, image, video_sets

METHODS, SPLITS, VIDEO_LAYOUTS = video_sets.METHODS, video_sets.SPLITS, tuple(video_sets.READERS)
TEST_SHARE, VAL_SHARE = 0.2, 0.1  # of the identities: in test, and of the others in val
COLUMNS = ["path", "label", "method", "video", "identity", "split", "mask"]


def forged(data):
    """Return all params.DataSets of forged faces of the section `data`, `forged` first.

    Its other qualities, c23 and c40, follow where they are on disk, then cross_forged.
    """
    others = [data.forged.replace(compression=c) for c in ("c23", "c40") if c != data.forged.compression]
    twins = [twin for twin in others if twin.layout == "FaceForensics++" and _on_disk(twin)]
    return [data.forged, *twins, *data.cross_forged]


def _on_disk(data_set):
    try:
        return len(videos(data_set)) > 0
    except FileNotFoundError:
        return False


def videos(data_set):
    """Return the table of the videos of a data set in one of VIDEO_LAYOUTS.

    Columns: path, label, method, video (method/name), identity (a fake: the target's), split, mask (path or "").
    What the data set lists but the disk lacks is left out; `missing` names it.
    Raises FileNotFoundError or ValueError naming the folder or file that does not fit the layout.
    """
    rows, _ = _read(data_set)
    if not rows:
        wanted = f"no video of compression {data_set.compression} in the layout {data_set.layout}"
        raise FileNotFoundError(f"{data_set.root}: {wanted}")
    table = pd.DataFrame(rows, columns=COLUMNS)
    check_disjoint(table)
    return table


def missing(data_set):
    """Return the names (method/name) of the videos that the data set lists and the disk lacks."""
    return _read(data_set)[1]


def images(data_set, seed=0, limit=0):
    """Return the table of the images of a data set: the columns of `videos`, and frame (0 for single images).

    Layouts "CelebA-HQ" and "FFHQ": one folder a source; CelebA-HQ and FFHQ are real, all others GANs. The splits
    come from splits/{train,val,test}.json (lists of "SOURCE/NAME.png") where these are.
    Layout "folders": real/ and fake/ with image files, or with one folder of frames a video. What belongs together
    shares a split: a real and a fake of the same name, a fake named 000_001 and the reals 000 and 001, and the real and
    fake of each row of an optional pairs.csv (columns real,fake: names of files or folders).
    Without lists, `counts` of the data set are drawn as by `draw`; without these a seeded hash puts 20 % of the
    identities in test and 10 % of the others in val.
    limit: of the images of a source in a split; 0: all.
    Raises FileNotFoundError or ValueError naming the folder or file that does not fit the layout, or images that differ
    in size or colour (`check.within`).
    """
    if data_set.layout == "WildDeepfake":
        raise ValueError(f"{data_set.root}: WildDeepfake is packed in archives; faces.prepare unpacks them")
    root, plain = root_of(data_set), data_set.layout == "folders"
    table = _folders(root) if plain else _sources(root)
    for label, kind in enumerate(("real", "fake")):
        if label not in table["label"].values:
            hint = f"{kind}/" if plain else f"a folder of {kind} images"
            raise ValueError(f"{data_set.root}: {hint} with {', '.join(image.SUFFIXES)} files is missing or empty")
    check.within(data_set, table)
    if plain or not (root / "splits").is_dir():
        hashed = [split_of(identity, seed) for identity in table["identity"]]
        table["split"] = draw(table, data_set.counts, seed) if data_set.counts else hashed
        table = table[table["split"].notna()]
    else:
        listed = {name: s for s in SPLITS for name in video_sets.read_json(root / "splits" / f"{s}.json")}
        names = table["path"].map(lambda path: Path(path).relative_to(root).as_posix())
        table["split"] = names.map(listed)
        unlisted = names[table["split"].isna()]
        if len(unlisted):
            found = f"{unlisted.iloc[0]} is in no list of splits/ ({len(unlisted)} such images)"
            raise ValueError(f"{data_set.root}: {found}")
    check_disjoint(table)
    table = table.groupby(["method", "split"], sort=False).head(limit) if limit else table
    return table.reset_index(drop=True)


def draw(table, counts, seed):
    """Return the split of each row of a table of images, None for those that are not needed, as a list.

    counts: images of a source in train, val and test; a source with fewer images in all keeps these proportions. A hash
    of the seed and of the number that ends the name of an identity decides which images these are, so 00042.png and
    imgHQ00042.png get the same split on every machine. All images of an identity get one split; identities that several
    sources share come first.
    """
    members, room = defaultdict(Counter), {}
    for identity, source in zip(table["identity"], table["method"], strict=True):
        members[identity][source] += 1
    for source, there in table["method"].value_counts().items():
        train, val, test = (count * min(there, sum(counts)) // sum(counts) for count in counts)
        val, test = max(val, min(counts[1], 1)), max(test, min(counts[2], 1))
        room[source] = dict(zip(SPLITS, (min(train, there - val - test), val, test), strict=True))
    split_of_identity = {}
    for identity in sorted(members, key=lambda name: (-len(members[name]), _drawn(name, seed), name)):
        needed = members[identity].items()
        split = next((s for s in SPLITS if all(room[source][s] >= count for source, count in needed)), None)
        split_of_identity[identity] = split
        for source, count in needed if split else ():
            room[source][split] -= count
    return [split_of_identity[identity] for identity in table["identity"]]


def _drawn(identity, seed):
    number = re.search(r"\d+$", identity)
    return hashlib.sha256(f"{seed}/{int(number[0]) if number else identity}".encode()).hexdigest()


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
    """Return the folder of a data set; raises FileNotFoundError if there is none."""
    if not check.is_there(data_set):
        raise FileNotFoundError(f"{data_set.root}: no such folder; name the root of the data set in params.yaml")
    return paths.resolve(data_set.root)


def _read(data_set):
    if data_set.layout not in VIDEO_LAYOUTS:
        raise ValueError(f"{data_set.root}: layout {data_set.layout} holds images, not videos; use layouts.images")
    return video_sets.READERS[data_set.layout](root_of(data_set), data_set.compression)


def _sources(root):
    rows = []
    for folder in sorted(root.iterdir(), key=lambda f: (f.name not in check.REAL_SOURCES, f.name)):
        fake = folder.name not in check.REAL_SOURCES
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
        position = Counter()
        for file in _files(root / kind):
            folder = file.parent.relative_to(root / kind).as_posix()
            name = file.stem if folder == "." else folder
            frame = int(file.stem) if folder != "." and file.stem.isdecimal() else position[name]
            position[name] += 1
            rows.append((str(file), label, kind, f"{kind}/{name}", name, None, "", frame))
    table = pd.DataFrame(rows, columns=[*COLUMNS, "frame"])
    real, fake = (set(table.loc[table["label"] == label, "identity"]) for label in (0, 1))
    # A fake named target_source belongs to both, where one of them is there.
    links = [(name, *ids) for name in fake if len(ids := name.split("_")) == 2 and not real.isdisjoint(ids)]
    if (root / "pairs.csv").is_file():
        ending = f"(?i)({'|'.join(map(re.escape, image.SUFFIXES))})$"
        pairs = video_sets.read_csv(root / "pairs.csv", ["real", "fake"]).replace(ending, "", regex=True)
        if not (pairs["real"].isin(real) & pairs["fake"].isin(fake)).any():
            raise ValueError(f"{paths.show(root)}/pairs.csv: none of its names is a file or folder of real/ and fake/")
        links += pairs.itertuples(index=False, name=None)
    group = {}  # {name: the set of all names that links join it with}
    for link in links:
        joined = set().union(*(group.get(name, {name}) for name in link))
        group |= dict.fromkeys(joined, joined)
    table["identity"] = [min(group.get(name, {name})) for name in table["identity"]]
    return table


def _files(folder):
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in image.SUFFIXES and not f.name.startswith("."))
