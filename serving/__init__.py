"""Old name of the packages `prerank` and `export`, for one release."""

import sys

print("serving is now prerank, and serving.export is now export.writer", file=sys.stderr)
