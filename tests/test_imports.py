"""lib is read from the ground up: no module needs, over however many others, itself."""

import graphlib

from lib import paths
from lib.training import staleness


def name_of(file):
    return ".".join(file.relative_to(paths.ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_module_imports_itself_over_others():
    graph = {name_of(file): staleness.imported(file.read_text()) for file in (paths.ROOT / "lib").rglob("*.py")}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, with the circle
    assert order.index("lib.ops.dct") < order.index("lib.pel.network") < order.index("lib.pel.ablations")


def test_no_file_is_longer_than_a_reader_s_patience():
    files = [file for kind in ("py", "cpp", "h") for file in (paths.ROOT / "lib").rglob(f"*.{kind}")]
    assert not [file.name for file in files if len(file.read_text().splitlines()) > 250]
