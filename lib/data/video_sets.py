"""The videos of each data set in its official layout, with its official split; fake = 1, whatever the owners say.

A reader takes the root and the compression and returns rows (the columns of `lib.data.layouts.COLUMNS`) and the names
(method/name) of what the data set lists and the disk lacks. Source: the data sets' own lists and download scripts.
"""

import json
import re

import pandas as pd

from lib import paths
from lib.data import video

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SPLITS = ("train", "val", "test")
CELEB_DF = {"Celeb-real": 0, "YouTube-real": 0, "Celeb-synthesis": 1}
CELEB_DF_LIST = "List_of_testing_videos.txt"
DFDC_PARTS = range(40, 50)  # of dfdc_train_part_00 .. 49, held out where the released test set is not at hand


def _face_forensics(root, compression):
    """Official layout; each pair (a, b) of splits/*.json gives the originals a, b and the fakes a_b, b_a a method."""
    folders = {"original": root / "original_sequences" / "youtube"}
    folders |= {method: root / "manipulated_sequences" / method for method in METHODS}
    expected = {}
    for name, (split, partner) in _pairs(root).items():
        expected["original", name] = (name, split)
        expected |= {(method, f"{name}_{partner}"): (name, split) for method in METHODS}
    found = {
        (method, file.stem): file
        for method, folder in folders.items()
        for file in _video_files(folder / compression / "videos")
    }
    for (method, name), file in found.items():
        if (method, name) not in expected:
            remedy = "add its pair of ids to one of splits/*.json or move the file away"
            raise ValueError(f"{paths.show(file)}: no pair of the splits names this video; {remedy}")
    rows = []
    for (method, name), file in found.items():
        identity, split = expected[method, name]
        mask = folders[method] / "masks" / "videos" / f"{name}.mp4"
        masked = str(mask) if method != "original" and mask.is_file() else ""
        rows.append((str(file), int(method != "original"), method, f"{method}/{name}", identity, split, masked))
    return rows, [f"{method}/{name}" for method, name in expected if (method, name) not in found]


def _pairs(root):
    """Return {id: (split, partner)} of splits/*.json."""
    pairs = {}
    for split in SPLITS:
        for pair in read_json(root / "splits" / f"{split}.json"):
            if not (isinstance(pair, list) and len(pair) == 2):
                raise ValueError(f"{paths.show(root)}/splits/{split}.json: {pair!r} is not a pair of ids")
            for name, partner in (pair, pair[::-1]):
                if name in pairs:
                    raise ValueError(f"{paths.show(root)}/splits/{split}.json: id {name} is listed twice")
                pairs[name] = (split, partner)
    return pairs


def _deepfake_detection(root, compression):
    """Official layout beside FaceForensics++, no split: actor__scene is real, target_source__scene__ID a fake; test."""
    actors, fakes = root / "original_sequences" / "actors", root / "manipulated_sequences" / "DeepFakeDetection"
    rows = []
    for label, folder in enumerate((actors, fakes)):
        method = "DeepFakeDetection" if label else "original"
        for file in _video_files(folder / compression / "videos"):
            if not re.fullmatch(r"\d+_\d+__.+" if label else r"\d+__.+", file.stem):
                shape = "target_source__scene__ID" if label else "actor__scene"
                raise ValueError(f"{paths.show(file)}: not named {shape}, as the videos of DeepfakeDetection are")
            mask = folder / "masks" / "videos" / f"{file.stem}.mp4"
            identity = file.stem.split("__")[0].split("_")[0]
            masked = str(mask) if label and mask.is_file() else ""
            rows.append((str(file), label, method, f"{method}/{file.stem}", identity, "test", masked))
    return rows, []


def _celeb_df(root, compression):
    """The 518 videos of the official list, all test: it has real = 1."""
    rows, absent = [], []
    for real, name in _celeb_df_list(root / CELEB_DF_LIST):
        file = root / name
        method, stem = file.parent.name, file.stem
        if not file.is_file():
            absent.append(f"{method}/{stem}")
            continue
        rows.append((str(file), 1 - real, method, f"{method}/{stem}", _celeb_df_person(method, stem), "test", ""))
    return rows, absent


def _celeb_df_all(root, compression):
    """Each video of the three folders, all test: its people are in the official list and outside of it."""
    rows = []
    for method, label in CELEB_DF.items():
        for file in _video_files(root / method):
            person = _celeb_df_person(method, file.stem)
            rows.append((str(file), label, method, f"{method}/{file.stem}", person, "test", ""))
    listed = [_stem(name) for _, name in _celeb_df_list(root / CELEB_DF_LIST)]
    return rows, sorted(set(listed) - {row[3] for row in rows})


def _celeb_df_list(file):
    if not file.is_file():
        raise FileNotFoundError(f"{paths.show(file)}: no such file; it comes with the videos")
    listed = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        label, _, name = line.strip().partition(" ")
        if not line.strip():
            continue
        if label not in ("0", "1") or name.strip().split("/")[0] not in CELEB_DF:
            raise ValueError(f"{paths.show(file)}: line {number} is not `0|1 folder/name.mp4`: {line!r}")
        if (int(label) == 1) == CELEB_DF[name.strip().split("/")[0]]:
            raise ValueError(f"{paths.show(file)}: line {number} calls {name.strip()} {label}, but 1 is real there")
        listed.append((int(label), name.strip()))
    return listed


def _celeb_df_person(method, stem):
    # id12_0003 and id12_id5_0003 show person 12; the people of YouTube-real are not numbered.
    return stem.split("_")[0] if method != "YouTube-real" else f"YouTube/{stem}"


def _dfdc(root, compression):
    """DFDC: the released test set where labels.csv is there, else all that metadata.json lists; for testing only."""
    labels, metadata = (
        [*sorted(root.glob(name)), *sorted(root.glob(f"*/{name}"))] for name in ("labels.csv", "metadata.json")
    )
    if not labels:
        return _dfdc_metadata(root, metadata)
    words = {"0": "REAL", "1": "FAKE"}
    listed = [(file, sorted(read_csv(file, ["filename", "label"]).itertuples(index=False))) for file in labels]
    return _dfdc_rows((file, name, words.get(label, label), name) for file, rows in listed for name, label in rows)


def _dfdc_parts(root, compression):
    """The last ten training parts, dfdc_train_part_40 .. 49, as test set."""
    names = [f"dfdc_train_part_{part}" for part in DFDC_PARTS]
    return _dfdc_metadata(root, [root / name / "metadata.json" for name in names if (root / name).is_dir()])


def _dfdc_metadata(root, files):
    if not files:
        raise FileNotFoundError(f"{paths.show(root)}: no labels.csv and no metadata.json here or one folder below")
    entries = ((file, name, entry) for file in files for name, entry in sorted(read_json(file).items()))
    return _dfdc_rows((file, name, e.get("label"), e.get("original") or name) for file, name, e in entries)


def _dfdc_rows(listed):
    """Return rows and absent of what is listed: (list, video, REAL or FAKE, video that it was made of)."""
    rows, absent = [], []
    for file, name, label, original in listed:
        if label not in ("REAL", "FAKE"):
            raise ValueError(f"{paths.show(file)}: {name} has the label {label!r}, not REAL or FAKE")
        kind = label.lower()
        key = f"{kind}/{_stem(name)}"
        found = [path for path in (file.parent / name, file.parent / "videos" / name) if path.is_file()]
        if found:
            rows.append((str(found[0]), int(kind == "fake"), kind, key, _stem(original), "test", ""))
        else:
            absent.append(key)
    return rows, absent


def _stem(name):
    return name.rsplit(".", 1)[0]


def _video_files(folder):
    return sorted(file for file in folder.glob("*") if file.suffix.lower() in video.SUFFIXES)


def read_json(file):
    """Return what a JSON file holds; raises FileNotFoundError or ValueError in one line that names it."""
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        remedy = "; the lists come with the data set's code (splits/)" if file.parent.name == "splits" else ""
        raise FileNotFoundError(f"{paths.show(file)}: no such file{remedy}") from None
    except ValueError:
        raise ValueError(f"{paths.show(file)}: not valid JSON") from None


def read_csv(file, columns):
    """Return these columns of a CSV file as text; raises ValueError in one line that names the file if one lacks."""
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    if not set(columns) <= set(table):
        raise ValueError(f"{paths.show(file)}: needs the columns {','.join(columns)}, has {list(table)}")
    return table[columns]


READERS = {
    "FaceForensics++": _face_forensics,
    "DeepfakeDetection": _deepfake_detection,
    "Celeb-DF-v2": _celeb_df,
    "Celeb-DF-v2-all": _celeb_df_all,
    "DFDC": _dfdc,
    "DFDC-40-49": _dfdc_parts,
}
