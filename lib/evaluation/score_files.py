"""Tables of scores on disk: CSV files whose first line is the key of all that the scores depend on."""

from pathlib import Path

import pandas as pd

from lib import paths


def write(path, table, key):
    """Write a table, six digits a score, behind the line "# key"; key: of `staleness.key`."""

    def whole(temporary):
        with open(temporary, "w", newline="") as file:
            file.write(f"# {key}\n")
            table.to_csv(file, index=False, float_format="%.6g")

    paths.replace(path, whole)


def read(path, stage):
    """Return the table of a file; names that are numbers stay text, so that 000 is not 0.

    stage: the one of dvc.yaml that makes the file, which FileNotFoundError names where it is not there.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{paths.show(path)}: no such scores; `dvc repro {stage}` makes them")
    return pd.read_csv(path, skiprows=1, dtype={"video": str, "identity": str})


def fresh(path, key):
    """Say whether the file is there and depends on nothing that has changed since."""
    if not Path(path).is_file():
        return False
    with open(path) as file:
        return file.readline() == f"# {key}\n"
