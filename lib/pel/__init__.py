"""PEL; with it come all detectors of its tables, its rivals first."""

from lib import rivals  # noqa: F401
from lib.pel import network  # noqa: F401
