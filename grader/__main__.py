"""``python -m grader``."""

import os
import sys

# ``-m`` looks into the current folder first, and that may be a class: a loose ``torch.py`` in it is a submission's
_HOME = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if not sys.flags.safe_path and os.path.realpath(sys.path[0]) != _HOME:
    del sys.path[0]
os.environ["PYTHONSAFEPATH"] = "1"  # nor do the processes that we start

import signal  # noqa: E402  after the path is clean, as all that is not loaded yet

from .cli.main import INTERRUPTED, main  # noqa: E402


def run() -> int:
    """The command that was typed: its exit code."""
    code = main()
    if code == INTERRUPTED:  # a second Ctrl-C while Python ends says nothing new
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


if __name__ == "__main__":
    sys.exit(run())
