"""`python -m prerank` is the command `prerank`."""

import sys

from prerank.command_line import main

if __name__ == "__main__":
    sys.exit(main())
