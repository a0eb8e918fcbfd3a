"""Writes the figures of docs/scale.md, between markers: what 10 000 submissions take, from docs/bench.json.

Usage: ``python -m grader.author.scale``, which `make bench` runs; a test compares. What is assumed stands in `Cluster`,
and on the page beside what was measured.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .bench import FILE
from .starter import ROOT

PAGE = ROOT / "docs" / "scale.md"
PLACE = re.compile(r"(<!-- figures: .* -->\n).*(<!-- end figures -->)", re.DOTALL)
HOUR = 3600.0


@dataclass(frozen=True)
class Cluster:
    """What is assumed: nothing of it was measured."""

    submissions: int = 10_000
    nodes: int = 16  # each with one GPU
    cores: int = 16  # of a node; one of them serves the worker with the GPU
    speedup: float = 3.0  # of training on a GPU over the two cores that were measured
    again: float = 1.5  # how often a submission is trained, on average: what falls short is trained again, for longer
    price: float = 2.5  # of a node, in dollars an hour


def rows(bench: Mapping[str, Any], cluster: Cluster) -> dict[str, tuple[str, float, float]]:
    """Of each thing that may run out: what it is in words, seconds for one submission, and hours for all of them."""
    figures, count = bench["class"], cluster.submissions
    trained = bench["cpu"]["mnist"]["trained_s"] * cluster.again / cluster.speedup
    quick = figures["local_cpu_s"]
    return {
        "cores": ("quick checks in boxes: seconds of a core (measured)", quick,
                  count * quick / HOUR / (cluster.nodes * (cluster.cores - 1))),
        "GPUs": ("training on MNIST: seconds of a GPU (assumed from what two cores take)", trained,
                 count * trained / HOUR / cluster.nodes),
        "first process": ("store, reports and scheduler: seconds of the one core of the first process (measured)",
                          figures["dask_own_cpu_s"], count * figures["dask_own_cpu_s"] / HOUR),
    }  # fmt: skip


def hours(value: float) -> str:
    """To two digits."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def section(bench: Mapping[str, Any], cluster: Cluster) -> str:
    """Markdown: the assumptions, a row for each thing that may run out, and which does first."""
    if "class" not in bench:
        return "**No class was measured** since there are these figures: `make bench` does.\n"
    figures, found = bench["class"], rows(bench, cluster)
    lines = [
        f"Measured on {bench['cpu']['machine']}: a class of {figures['size']:g}. Assumed: {cluster.nodes} nodes with "
        f"a GPU and {cluster.cores} cores each, at ${cluster.price:g} an hour; a GPU trains {cluster.speedup:g} × as "
        f"fast as the two cores on which the reference's trained checks take {bench['cpu']['mnist']['trained_s']:g} s; "
        f"what falls short and is trained again makes that {cluster.again:g} × as much. No GPU was at hand.",
        "",
        f"| | for one submission | {cluster.submissions} on this cluster |",
        "|---|---|---|",
        *(f"| {words} | {seconds:.3g} s | {hours(taken)} h |" for words, seconds, taken in found.values()),
        f"| on the disk: store and reports (measured) | {figures['disk_kib']:.3g} KiB | "
        f"{cluster.submissions * figures['disk_kib'] / 2**20:.2g} GiB |",
        f"| memory of a worker with its two boxes (measured, without a GPU) | {figures['lane_mib']:.4g} MiB | |",
        "",
    ]
    for what, names in (("With training", [*found]), ("Without training", ["cores", "first process"])):
        first = max(names, key=lambda name: found[name][2])
        longest = found[first][2]
        lines.append(f"- **{what}**: {hours(longest)} hours, ${longest * cluster.nodes * cluster.price:.0f}; the "
                     f"{first} saturate{'s' * (first == 'first process')} first.")  # fmt: skip
    busy = found["cores"][1] / found["first process"][1]
    lines.append(f"- One first process keeps about {busy:.0f} cores busy with quick checks: with more, several runs "
                 "with folders of their own, a part of the class each, take the place of one.")  # fmt: skip
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with the figures that are committed."""
    bench = json.loads(FILE.read_text())
    return PLACE.sub(lambda found: f"{found[1]}{section(bench, Cluster())}{found[2]}", text)


def main() -> int:
    """Writes the page."""
    PAGE.write_text(page(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
