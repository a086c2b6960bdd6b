"""Importing this package puts all rivals on the list of lib.detectors, in the order of the papers' tables."""

from lib.rivals import (  # isort: skip, the order is that of the tables
    prnu as prnu,
    image as image,
    spectrum_1d as spectrum_1d,
    spectrum_2d as spectrum_2d,
    gram_net as gram_net,
)
