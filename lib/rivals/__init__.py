"""The rivals of both papers, a file each, in the order of the tables. One of your own joins them by a line here."""
# ruff: noqa: F401, I001

from lib.rivals import prnu
from lib.rivals import image
from lib.rivals import spectrum_1d
from lib.rivals import spectrum_2d
from lib.rivals import gram_net

from lib.rivals import meso_net
from lib.rivals import xception
from lib.rivals import add_net
from lib.rivals import f3_net
from lib.rivals import multi_att
