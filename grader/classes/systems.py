"""Which learning management system a folder was downloaded from, if any."""

from __future__ import annotations

from . import moodle
from .downloads import Download
from .trees import Tree


def recognised(tree: Tree) -> Download | None:
    """A download taken apart; None for any other folder."""
    return moodle.download(tree)
