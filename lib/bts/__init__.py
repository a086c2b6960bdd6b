"""Importing this package puts the detectors of BTS Tables 1 to 3 on the list of lib.detectors, in their order."""

import lib.rivals
import lib.bts.detector  # isort: skip, it comes after its rivals
