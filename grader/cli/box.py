"""``python -m grader box``: which box this machine gives, and what gets out of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from ..boundary.box import BACKENDS, NoBox, Observation, Sandbox, Unavailable
from ..boundary.box.selftest import observe
from ..report.printable import one_line, printable
from ..report.write import to_json
from .boxes import Chosen, find_box

Say = Callable[[Text], None]
HELD, THROUGH, NO_BOX = 0, 1, 2


def run_box(options: argparse.Namespace, out: Console, err: Console) -> int:
    """0 if nothing got through, 1 if something did, 2 if no box can be had."""
    say: Say = (lambda text: None) if options.json else lambda text: out.print(text, soft_wrap=True)
    try:
        chosen = find_box(options.box)
    except NoBox as none:
        show_unavailable(say, none.reasons)
        say(Text("no box can be had here: code of others is not run", "red"))
        if options.json:
            out.file.write(to_json(content(None, none.reasons, ())))
        return NO_BOX
    show_unavailable(say, chosen.stronger)
    show_sandbox(say, chosen)
    seen: list[Observation] = []
    for one in observe(chosen.box):
        seen.append(one)
        word, style = ("held", "green") if one.held else ("GOT THROUGH", "red")
        say(Text.assemble((f"{word:>11}  ", style), f"{one.what}: {one_line(one.seen)}"))
    through = sum(not one.held for one in seen)
    say(Text(f"{len(seen)} attacks tried, {through or 'nothing'} got through", "red" if through else "green"))
    if options.json:
        out.file.write(to_json(content(chosen.box.sandbox, chosen.stronger, seen)))
    return THROUGH if through else HELD


def show_unavailable(say: Say, reasons: Mapping[str, Unavailable]) -> None:
    """Why the stronger boxes are not to be had, and what would help."""
    for name, why in reasons.items():
        say(Text.assemble((f"{name}: ", "yellow"), f"not to be had: {one_line(why.reason)}"))
        say(Text(f"  remedy: {printable(why.remedy)}"))


def show_sandbox(say: Say, chosen: Chosen) -> None:
    """What this machine gets."""
    sandbox = chosen.box.sandbox
    place = [*BACKENDS].index(sandbox.backend) + 1
    say(Text.assemble((f"{sandbox.backend}", "bold"), f" (backend {place} of {len(BACKENDS)}): "
                      f"{', '.join(sandbox.layers)}"))  # fmt: skip
    if sandbox.missing:
        say(Text(f"  not there: {', '.join(sandbox.missing)}", "yellow"))


def content(sandbox: Sandbox | None, reasons: Mapping[str, Unavailable], seen: Sequence[Observation]) -> dict[str, Any]:
    """The same as an object of JSON."""
    return {
        "backend": sandbox.backend if sandbox is not None else None,
        "layers": list(sandbox.layers) if sandbox is not None else [],
        "missing": list(sandbox.missing) if sandbox is not None else [],
        "unavailable": [{"backend": name, "reason": why.reason, "remedy": why.remedy} for name, why in reasons.items()],
        "self_test": [asdict(one) for one in seen],
    }
