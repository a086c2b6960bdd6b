"""Tables of scores on disk, each with the key of all that it depends on in its first line."""

import pandas as pd

from lib import paths
from lib.training import checkpoints

NAMES = ("train", "test", "method", "video", "identity")  # stay text, so that 000 is not 0


def write(path, table, key):
    """Write a table of scores, six digits a score; key: `staleness.key` of all that it depends on."""
    text = f"# {key}\n{table.to_csv(index=False, float_format='%.6g')}"
    paths.replace(path, lambda temporary: temporary.write_text(text))


def fresh(path, key):
    """Say whether the file exists and has this key."""
    if not path.is_file():
        return False
    with open(path) as lines:
        return lines.readline() == f"# {key}\n"


def read(path):
    """Return a table of scores. Raises FileNotFoundError, with the stage that makes the file."""
    if not path.is_file():
        name = paths.show(path)
        raise FileNotFoundError(f"{name}: no such scores; `{checkpoints.maker(path)}` makes them")
    return pd.read_csv(path, skiprows=1, dtype=dict.fromkeys(NAMES, str))


def kept(path):
    """Return a table of scores that `lib.seeds` has copied to results."""
    return pd.read_csv(path, dtype=dict.fromkeys(NAMES, str))


def keep_only(folder, stems):
    """Remove the files of a folder with other names than these: those of detectors that no longer exist."""
    for file in folder.glob("*.*"):
        if file.stem not in stems:
            file.unlink(missing_ok=True)
