"""Every path of the project, in one place.

The environment variable DEEPFAKE_OUTPUTS moves all that the project writes (faces, checkpoints, results) to another
folder. The tests use it, so that they do not change the results of a real run.
"""

import os
import signal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUTS = Path(os.environ.get("DEEPFAKE_OUTPUTS", ROOT)).resolve()

PARAMS = Path(os.environ.get("DEEPFAKE_PARAMS", ROOT / "params.yaml")).resolve()
DATA = ROOT / "data"  # restored by `dvc pull`, tracked by data.dvc
PAPER_TABLES = ROOT / "lib" / "evaluation" / "paper_tables"  # what the papers report, one CSV a table
NOTEBOOKS = ROOT / "notebooks"

FACES = OUTPUTS / "faces"  # crops cut out of videos, with their manifest
LANDMARKS = OUTPUTS / ".landmarks"  # of face crops, kept because searching them takes long; may be removed
WIPED = OUTPUTS / "wiped"  # test images of Beyond the Spectrum after +E and +P
CHECKPOINTS = OUTPUTS / "checkpoints"  # trained weights, one safetensors file a network
RESULTS = OUTPUTS / "results"
TABLES = RESULTS / "tables"
FIGURES = RESULTS / "figures"
HISTORY = RESULTS / "history"  # training curves, one CSV a network
METRICS = RESULTS / "metrics"  # one JSON a notebook
CLAIMS = RESULTS / "claims"  # of the papers, with verdicts, one CSV a notebook
UNFINISHED = OUTPUTS / ".unfinished"  # the state of trainings that have not ended yet


def resolve(path):
    """Return `path` as an absolute path; a relative path starts at the root of the repository."""
    path = Path(path).expanduser()
    return path if path.is_absolute() else ROOT / path


def replace(path, write):
    """Call `write(temporary_path)`, then rename the result to `path`, so that a kill never leaves half a file there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.touch()
    mode = temporary.stat().st_mode  # set by the umask; safetensors would make a file that only its owner can read
    try:
        write(temporary)
        temporary.chmod(mode)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def end_with_the_reader():
    """Let this program end without an error if the reader of its output ends first (`... | head`)."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def show(path):
    """Return `path` as text, relative to the repository or to the outputs folder if it is inside one of them."""
    base = next((base for base in (ROOT, OUTPUTS) if Path(path).is_relative_to(base)), "")
    return str(Path(path).relative_to(base)) if base else str(path)
