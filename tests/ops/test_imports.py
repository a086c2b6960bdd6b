import subprocess
import sys


def test_the_ops_can_be_taken_along_alone():
    """Nothing of lib is imported with them but themselves: no training, no figures, no paths."""
    program = """
import pkgutil, sys
from lib import ops
for module in pkgutil.walk_packages(ops.__path__, "lib.ops."):
    try:
        __import__(module.name)
    except ModuleNotFoundError as error:  # Triton is only where a GPU may be
        assert error.name == "triton", error
print(*sorted(name for name in sys.modules if name.startswith("lib.") and not f"{name}.".startswith("lib.ops.")))
print(*sorted(name for name in sys.modules if name.startswith("lib.ops.")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    others, own = done.stdout.splitlines()
    assert others == ""
    assert {"lib.ops.denoise", "lib.ops.spectra", "lib.ops.median.cpu"} <= set(own.split())
