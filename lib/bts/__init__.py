"""Importing this package puts the detectors of BTS Tables 1 to 3 on the list of lib.detectors, in their order."""

from lib import rivals as rivals
from lib.bts import detector as detector
