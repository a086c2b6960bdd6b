"""The videos of each data set in its official layout, with its official split; fake = 1, also where its lists differ.

A reader takes the root and the compression. It returns rows (the columns of `lib.data.layouts.COLUMNS`) and the names
(method/name) that the data set lists and the disk lacks. Source: the data sets' own lists and download scripts.
"""

import json
import re
from pathlib import Path

import pandas as pd

from lib import paths
from lib.data import video

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SPLITS = ("train", "val", "test")
CELEB_DF = {"Celeb-real": 0, "YouTube-real": 0, "Celeb-synthesis": 1}
DFDC_PARTS = range(40, 50)  # of dfdc_train_part_00 .. 49: a test set where the released one is not available


def scene(name):
    """Return which original a video of FaceForensics++ or DeepfakeDetection was made of, from its name.

    The fake TTT_SSS was made of TTT, the fake target_source__scene__ID of target__scene. Other names stay as they are.
    """
    return re.sub(r"^(\d+)_\d+(?:(__.+)__\w+)?$", r"\1\2", name)


def _row(file, label, method, identity, split="test", masks=None):
    """Return the row of a video; masks: the folder of its method, in which a mask video may lie."""
    mask = masks / "masks" / "videos" / f"{file.stem}.mp4" if label and masks else None
    return (str(file), label, method, f"{method}/{file.stem}", identity, split,
            str(mask) if mask and mask.is_file() else "")  # fmt: skip


def _face_forensics(root, compression):
    """Each pair (a, b) of splits/*.json names the originals a and b, and the fakes a_b and b_a of each method."""
    folders = {"original": root / "original_sequences" / "youtube"}
    folders |= {method: root / "manipulated_sequences" / method for method in METHODS}
    expected = {}
    for name, (split, partner) in _pairs(root).items():
        expected["original", name] = (name, split)
        expected |= {(method, f"{name}_{partner}"): (name, split) for method in METHODS}
    rows = []
    for method, folder in folders.items():
        for file in _video_files(folder / compression / "videos"):
            if (method, file.stem) not in expected:
                remedy = "add its pair of ids to one of splits/*.json or move the file away"
                raise ValueError(f"{paths.show(file)}: no pair of the splits names this video; {remedy}")
            rows.append(_row(file, int(method != "original"), method, *expected[method, file.stem], folder))
    found = {row[3] for row in rows}
    return rows, [name for name in map("/".join, expected) if name not in found]


def _pairs(root):
    """Return {id: (split, partner)} of splits/*.json."""
    pairs = {}
    for split in SPLITS:
        file = root / "splits" / f"{split}.json"
        for pair in read_json(file):
            if not (isinstance(pair, list) and len(pair) == 2):
                raise ValueError(f"{paths.show(file)}: {pair!r} is not a pair of ids")
            for name, partner in (pair, pair[::-1]):
                if name in pairs:
                    raise ValueError(f"{paths.show(file)}: id {name} is listed twice")
                pairs[name] = (split, partner)
    return pairs


def _deepfake_detection(root, compression):
    """A layout like FaceForensics++ without split: actor__scene is real, target_source__scene__ID fake; all test."""
    kinds = (("original", "original_sequences/actors", "actor__scene", r"(\d+)__.+"),
             ("DeepFakeDetection", "manipulated_sequences/DeepFakeDetection", "target_source__scene__ID",
              r"(\d+)_\d+__.+"))  # fmt: skip
    rows = []
    for label, (method, folder, shape, pattern) in enumerate(kinds):
        for file in _video_files(root / folder / compression / "videos"):
            named = re.fullmatch(pattern, file.stem)
            if not named:
                raise ValueError(f"{paths.show(file)}: not named {shape}, as the videos of DeepfakeDetection are")
            rows.append(_row(file, label, method, named[1], masks=root / folder))
    return rows, []


def _celeb_df(root, compression):
    """The 518 videos of the official list, all test."""
    files = [root / name for name in _celeb_df_list(root)]
    there = [file for file in files if file.is_file()]
    return _celeb_df_rows(there), [f"{f.parent.name}/{f.stem}" for f in files if f not in there]


def _celeb_df_all(root, compression):
    """Every video of the three folders, all test, because people of the official list are in the other videos, too."""
    rows = _celeb_df_rows(file for method in CELEB_DF for file in _video_files(root / method))
    listed = {name.rsplit(".", 1)[0] for name in _celeb_df_list(root)}
    return rows, sorted(listed - {row[3] for row in rows})


def _celeb_df_list(root):
    """Return the names of the videos of the official list; raises ValueError unless it has real = 1."""
    file = root / "List_of_testing_videos.txt"
    if not file.is_file():
        raise FileNotFoundError(f"{paths.show(file)}: no such file; it comes with the videos")
    names = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip():
            continue
        label, _, name = line.strip().partition(" ")
        name = name.strip()
        fake = CELEB_DF.get(name.split("/")[0])
        if label not in ("0", "1") or fake is None:
            raise ValueError(f"{paths.show(file)}: line {number} is not `0|1 folder/name.mp4`: {line!r}")
        if int(label) == fake:
            raise ValueError(f"{paths.show(file)}: line {number} calls {name} {label}, but 1 is real there")
        names.append(name)
    return names


def _celeb_df_rows(files):
    rows = []
    for file in files:
        # id12_0003 and id12_id5_0003 show person 12; the people of YouTube-real are not numbered.
        method, stem = file.parent.name, file.stem
        person = f"YouTube/{stem}" if method == "YouTube-real" else stem.split("_")[0]
        rows.append(_row(file, CELEB_DF[method], method, person))
    return rows


def _dfdc(root, compression):
    """The released test set where labels.csv is there, else all that metadata.json lists; all test."""
    labels, metadata = (sorted(root.glob(name)) + sorted(root.glob(f"*/{name}"))
                        for name in ("labels.csv", "metadata.json"))  # fmt: skip
    if not labels:
        return _dfdc_metadata(root, metadata)
    words = {"0": "REAL", "1": "FAKE"}
    listed = [(file, sorted(read_csv(file, ["filename", "label"]).itertuples(index=False))) for file in labels]
    return _dfdc_rows((file, name, words.get(label, label), name) for file, rows in listed for name, label in rows)


def _dfdc_parts(root, compression):
    """The last ten training parts, dfdc_train_part_40 .. 49, as test set."""
    parts = [root / f"dfdc_train_part_{part}" for part in DFDC_PARTS]
    return _dfdc_metadata(root, [part / "metadata.json" for part in parts if part.is_dir()])


def _dfdc_metadata(root, files):
    if not files:
        raise FileNotFoundError(f"{paths.show(root)}: no labels.csv and no metadata.json here or one folder below")
    entries = ((file, name, entry) for file in files for name, entry in sorted(read_json(file).items()))
    return _dfdc_rows((file, name, e.get("label"), e.get("original") or name) for file, name, e in entries)


def _dfdc_rows(listed):
    """Return rows and absent names; listed: (list, video, REAL or FAKE, video that it was made of) each."""
    rows, absent = [], []
    for source, name, label, original in listed:
        if label not in ("REAL", "FAKE"):
            raise ValueError(f"{paths.show(source)}: {name} has the label {label!r}, not REAL or FAKE")
        kind = label.lower()
        file = next((f for f in (source.parent / name, source.parent / "videos" / name) if f.is_file()), None)
        if file:
            rows.append(_row(file, int(kind == "fake"), kind, Path(original).stem))
        else:
            absent.append(f"{kind}/{Path(name).stem}")
    return rows, absent


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
    """Return these columns of a CSV file as text; raises ValueError that names the file if one is missing."""
    try:
        return pd.read_csv(file, usecols=columns, dtype=str, keep_default_na=False)[columns]
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{paths.show(file)}: needs the columns {','.join(columns)} ({reason})") from None


READERS = {
    "FaceForensics++": _face_forensics,
    "DeepfakeDetection": _deepfake_detection,
    "Celeb-DF-v2": _celeb_df,
    "Celeb-DF-v2-all": _celeb_df_all,
    "DFDC": _dfdc,
    "DFDC-40-49": _dfdc_parts,
}
