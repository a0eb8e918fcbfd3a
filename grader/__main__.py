"""``python -m grader``."""

import signal
import sys

from .cli.main import INTERRUPTED, main

if __name__ == "__main__":
    code = main()
    if code == INTERRUPTED:  # a second Ctrl-C while Python ends says nothing new
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
