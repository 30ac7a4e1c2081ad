"""`python -m mabe`: the command line."""

import sys

from mabe.cli.main import main

if __name__ == "__main__":  # not in the worker processes that import this file
    sys.exit(main())
