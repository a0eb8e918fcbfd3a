"""One figure for each kind of exhibit, on matplotlib's object-oriented side: nothing here is global.

Sizes are those of a phone's width, colours those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ...check.exhibits import Exhibit

WIDTH = 6.4  # inches
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
TEN = (*COLOURS, "#8C564B", "#7F7F7F", "#B5A000")
GREY = "#6B7280"
LABEL, SMALL = 9, 8  # points


def images(exhibit: Exhibit) -> Figure:
    """Rows of images, each with its name before it."""
    rows = [array.unpacked() for array in exhibit.arrays]
    columns = max(len(row) for row in rows)
    name_width = 0.28 + 0.075 * max(map(len, exhibit.names))
    cell = (WIDTH - name_width) / columns
    height = cell * len(rows)
    figure = Figure(figsize=(WIDTH, height))
    for place, (name, row) in enumerate(zip(exhibit.names, rows, strict=True)):
        bottom = 1 - (place + 1) / len(rows)
        axes = figure.add_axes((name_width / WIDTH, bottom, cell * len(row) / WIDTH, 1 / len(rows)))
        strip = np.pad(row, ((0, 0), (1, 1), (1, 1)), constant_values=255).swapaxes(0, 1).reshape(row.shape[1] + 2, -1)
        axes.imshow(strip, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest")
        axes.set_axis_off()
        figure.text((name_width - 0.1) / WIDTH, bottom + 0.5 / len(rows), name, ha="right", va="center", fontsize=LABEL)
    return figure


def lines(exhibit: Exhibit) -> Figure:
    """A curve for each name, over epochs from 1."""
    figure, axes = plot(2.6)
    for colour, name, array in zip(cycled(exhibit), exhibit.names, exhibit.arrays, strict=True):
        values = array.unpacked()
        epochs = np.arange(1, len(values) + 1)
        axes.plot(epochs, values, color=colour, marker="o", markersize=3, linewidth=1.6, label=name)
    axes.set_xlabel("epoch", fontsize=LABEL)
    axes.set_ylabel("loss", fontsize=LABEL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(exhibit.names) > 1:
        axes.legend(fontsize=SMALL, frameon=False)
    return figure


def bars(exhibit: Exhibit) -> Figure:
    """A bar for each name as long as the mean of its values, with each of several values as a dot."""
    figure, axes = plot(0.7 + 0.42 * len(exhibit.names))
    longest = 0.0
    for place, (colour, array) in enumerate(zip(cycled(exhibit), exhibit.arrays, strict=True)):
        values = array.unpacked().astype(float)
        mean = float(values.mean())
        longest = max(longest, float(values.max()), mean)
        axes.barh(place, mean, color=colour, alpha=0.85, height=0.62)
        shown = f"{mean:.3g}"
        if len(values) > 1:
            axes.scatter(values, np.full(len(values), place), color="black", s=14, zorder=3)
            shown += f" ± {float(values.std(ddof=1)):.2g}"
        axes.text(max(mean, float(values.max())), place, f"  {shown}", va="center", fontsize=LABEL)
    axes.set_yticks(range(len(exhibit.names)), exhibit.names, fontsize=LABEL)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * longest or 1.0)
    return figure


def histogram(exhibit: Exhibit) -> Figure:
    """Counts, the largest first."""
    figure, axes = plot(2.0)
    counts = exhibit.arrays[0].unpacked()
    axes.bar(np.arange(1, len(counts) + 1), counts, color=COLOURS[0], width=1.0)
    axes.set_xlabel("code, the commonest first", fontsize=LABEL)
    axes.set_ylabel("occurrences", fontsize=LABEL)
    axes.set_xlim(0.5, len(counts) + 0.5)
    return figure


def points(exhibit: Exhibit) -> Figure:
    """A dot for each code, in the colour and with the digit of its class."""
    figure, axes = plot(4.4)
    flat, classes = (array.unpacked() for array in exhibit.arrays)
    places = flat.reshape(-1, 2)
    for number in np.unique(classes).astype(int):
        own = places[classes == number]
        colour = TEN[number % len(TEN)]
        axes.scatter(own[:, 0], own[:, 1], s=10, color=colour, alpha=0.55, linewidths=0)
        x, y = np.median(own, 0)
        box = {"boxstyle": "circle,pad=.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.9}
        axes.text(
            x, y, str(number), ha="center", va="center", fontsize=LABEL, fontweight="bold", color=colour, bbox=box
        )
    axes.set_xlabel("first direction", fontsize=LABEL)
    axes.set_ylabel("second direction", fontsize=LABEL)
    return figure


def matrix(exhibit: Exhibit) -> Figure:
    """A map with a scale, its middle framed."""
    values = exhibit.arrays[0].unpacked()
    height, width = values.shape
    figure, axes = plot(3.2)
    shown = axes.imshow(values, cmap="cividis", vmin=0)
    axes.add_patch(frame_of(height // 2, width // 2))
    axes.set_xticks(range(width))
    axes.set_yticks(range(height))
    axes.grid(False)
    figure.colorbar(shown, ax=axes, shrink=0.9).ax.tick_params(labelsize=SMALL)
    return figure


def frame_of(row: int, column: int) -> Rectangle:
    """A frame around a cell of a map."""
    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5)


def plot(height: float) -> tuple[Figure, Axes]:
    """An empty plot of the page's width."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(labelsize=SMALL, colors=GREY, labelcolor="black")
    axes.grid(True, color="#E5E7EB", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    return figure, axes


def cycled(exhibit: Exhibit) -> list[str]:
    """A colour for each name."""
    return [COLOURS[place % len(COLOURS)] for place in range(len(exhibit.names))]


FIGURES: Mapping[str, Callable[[Exhibit], Figure]] = {
    "images": images, "lines": lines, "bars": bars, "histogram": histogram, "points": points, "map": matrix,
}  # fmt: skip
