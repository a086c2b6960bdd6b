"""The rivals of both papers, a file each, in the order of the tables, then detectors beyond both. Add your own here."""
# ruff: noqa: F401, I001

from lib.rivals import prnu, image, spectrum_1d, spectrum_2d, gram_net  # BTS
from lib.rivals import meso_net, xception, add_net, f3_net, multi_att  # PEL
from lib.rivals import self_blended, residual_stream  # beyond both papers
