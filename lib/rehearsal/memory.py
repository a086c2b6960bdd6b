"""Spare notebooks from passing a picture of 1024 pixels twice through the RDN, which takes 20 seconds on two cores.

A picture that a notebook re-synthesizes again, with the same weights, is taken from memory (`lib.bts.residuals`).
"""

import contextlib

from lib import paths
from lib.bts import residuals

UNTIL_THE_END = contextlib.ExitStack()
STARTUP = f"from {__name__} import keep\n\nkeep()\n"


def environment(folder):
    """Write a startup file for IPython, and return the environment with which every notebook first calls `keep`."""
    file = folder / "ipython/profile_default/startup/00_memory.py"
    paths.replace(file, lambda temporary: temporary.write_text(STARTUP))
    return {"IPYTHONDIR": str(folder / "ipython")}


def keep():
    """Remember, until this process ends, what trained re-synthesizers and detectors make of each picture."""
    UNTIL_THE_END.enter_context(residuals.keep())
