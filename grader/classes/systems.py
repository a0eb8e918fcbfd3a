"""Which learning management system a folder was downloaded from, if any."""

from __future__ import annotations

from . import canvas, gradescope, moodle
from .downloads import Download
from .trees import Tree


def may_belong(name: str) -> bool:
    """Whether an item of this name may be one of a download's."""
    return name in gradescope.METADATA or moodle.parsed(name) is not None or bool(canvas.readings(name))


def recognised(tree: Tree) -> Download | None:
    """A download taken apart; None for any other folder."""
    return gradescope.download(tree) or moodle.download(tree) or canvas.download(tree)
