"""Old name of `prerank.build_index`, for one release."""

import sys

from prerank import command_line
from prerank.build_index import Built, build

__all__ = ["Built", "build"]

if __name__ == "__main__":
    sys.exit(command_line.main(["index", *sys.argv[1:]]))
