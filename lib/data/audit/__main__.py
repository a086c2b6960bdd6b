"""`python -m lib.data.audit NAME PATH`: is a data set whole, and do its splits leak?"""

import argparse
import sys
from pathlib import Path

from lib import paths
from lib.data.audit.whole import check
from lib.params import LAYOUTS


def main(arguments=None):
    """Run the command; returns 0, or 1 where a folder is missing or a split leaks."""
    about = "Say what is there of a data set, what is missing and whether its splits leak."
    parser = argparse.ArgumentParser(prog="python -m lib.data.audit", description=about)
    parser.add_argument("name", choices=LAYOUTS, metavar="NAME", help=", ".join(LAYOUTS))
    parser.add_argument("path", metavar="PATH", help="its root folder")
    parser.add_argument("--compression", choices=("raw", "c23", "c40"), default="c23", help="c23 unless given")
    options = parser.parse_args(arguments)
    report = check(options.name, Path(options.path).expanduser().resolve(), options.compression)
    print(report)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    paths.end_with_the_reader()
    sys.exit(main())
