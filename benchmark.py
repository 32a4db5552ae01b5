"""Models x data sets x protocols x seeds: `python benchmark.py run --dataset movielens --models all --seeds 0,1,2`."""

import sys

from experiments.command_line import main
from prerank.allocator import keep_freed_memory
from prerank.terminal import line_buffered, run_resumable

if __name__ == "__main__":
    keep_freed_memory()
    line_buffered()  # hours of progress, often to a file
    sys.exit(run_resumable(lambda: main(sys.argv[1:])))
