"""Figures that several chapters share: accuracy against a number, a curve for each group of runs.

A group is a label with its rows, {"20 % no-ops": rows}: rows of `records.frame`, or of a table with its columns, that belong to one
evaluation set. A panel is a title with its groups. A group has the same colour and mark in all panels.
"""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..claims.ledger import sentence
from . import plotting
from .plotting import PAPER, accuracy_axes, number, seeds_curve, sign, sizes, training

COLORS = (plotting.BLUE, plotting.VERMILION, plotting.GREEN, plotting.PURPLE, plotting.ORANGE, plotting.SKY, plotting.BLACK)
MARKERS = "osD^vP*X<>ph"
RULES = "number of training rules I (logarithmic)"


def split(frame, column: str, words=str) -> dict:
    """The rows by the value of a column, in ascending order, under the words for it.

    >>> import pandas
    >>> {label: len(rows) for label, rows in split(pandas.DataFrame({"share": [0.5, 0.0, 0.5]}), "share", "{:.0%}".format).items()}
    {'0%': 1, '50%': 2}
    """
    return {words(value): frame[frame[column] == value] for value in sorted(set(frame[column]))}


def group_styles(labels, ordered: bool = False) -> dict[str, dict]:
    """A colour and a mark for each label: colours that are told apart, or, for labels with an order, dark to light."""
    labels = list(dict.fromkeys(labels))
    if ordered:
        colors = map(mpl.colors.to_hex, mpl.colormaps["viridis"](np.linspace(0.0, 0.8, len(labels))))
    else:
        colors = [COLORS[i % len(COLORS)] for i in range(len(labels))]
    return {label: {"color": color, "marker": MARKERS[i % len(MARKERS)], "linestyle": "-"} for i, (label, color) in enumerate(zip(labels, colors))}


def grouped_panels(panels: dict, origins: list[str], x="n_rules", y="exact_match", xlabel=RULES, ylabel="exact match (share)", order=(), paper=None, band=None, scale="log"):
    """Panels one above the other on the same axis, {title: {label: rows}}: open marks are seeds, lines join their means,
    bars are the intervals of the means.

    origins: the lines under the figure (`plotting.made_by`); x, y: columns; order: the labels of groups that have one; paper: curves to
    compare with in each panel, {label: {x: y}}; band: (from, to, label), a range of x to be marked; scale: that of x,
    "log" or "linear".
    """
    styles = group_styles(order or [label for groups in panels.values() for label in groups], bool(order))
    figure, axes = plt.subplots(len(panels), 1, figsize=(plotting.WIDTH, (plotting.PANEL - 0.3) * len(panels) + 1.2), sharex=True, squeeze=False)
    for ax, (heading, groups) in zip(axes[:, 0], panels.items()):
        if band:
            ax.axvspan(*band[:2], color="#e3e3e3", linewidth=0, zorder=0, label=band[2])
        for label, curve in (paper or {}).items():
            ax.plot(curve.keys(), curve.values(), label=label, **PAPER)
        for label, rows in groups.items():
            if len(rows):
                seeds_curve(ax, rows, x, y, label, scale, **styles[label])
        accuracy_axes(ax, heading)
        ax.set(xscale=scale, ylabel=ylabel)
    axes[-1, 0].set_xlabel(xlabel)
    axes[-1, 0].xaxis.set(major_formatter=FuncFormatter(number), minor_formatter=NullFormatter())
    if scale == "log":
        low, high = axes[-1, 0].get_xlim()
        axes[-1, 0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    legend(figure, axes[:, 0], first=list(styles))
    sign(figure, origins)
    return figure


def title(frame, name: str) -> str:
    """The title of a panel: name of the runs, steps and optimiser; sizes of task and model."""
    return f"{sentence([name])}: {training(frame)}\n{sizes(frame)}"


def legend(figure, axes, first: list[str]):
    """One legend above the figure for all axes, these labels first, in as many columns as fit."""
    entries = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels())}
    labels = sorted(entries, key=lambda label: first.index(label) if label in first else len(first))
    longest = max(len(line) for label in labels for line in label.split("\n"))
    columns = min(4, max(1, 60 // (longest + 6)))
    figure.legend([entries[label] for label in labels], labels, loc="outside upper left", ncols=columns, columnspacing=1.2, handlelength=2.0)
