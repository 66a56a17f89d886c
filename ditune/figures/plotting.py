"""Figures and tables in one style, from tidy tables of records.

A figure is drawn at the width of a phone's page or a little more, so that it is not shrunk to illegibility there, and
its colours are told apart by colour-blind readers. Letters are drawn as outlines: no font is needed where it is shown.
Under each figure stands who made it: profile, seeds, machine, commit, and whether its records are of earlier sources.
"""

import textwrap

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter

from ..chapters.settings import shown
from ..claims.ledger import sentence
from ..claims.number_of_rules import PAPER_CURVE
from ..figures.intervals import interval

# Okabe and Ito's palette.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
QUIET = "#757575"
"""What is not ours or not the point: the paper's curve, chance, notes. Contrast 4.6 on white."""
UNSEEN = {"color": BLUE, "marker": "o", "linestyle": "-"}
SEEN = {"color": VERMILION, "marker": "s", "linestyle": "--"}
PAPER = {"color": QUIET, "marker": "x", "linestyle": ":", "linewidth": 1.2, "markersize": 4}

WIDTH = 5.2  # inches; 500 CSS pixels, 70 % of which a phone's page holds
PANEL = 3.0
STYLE = {
    "svg.fonttype": "path", "svg.hashsalt": "ditune", "figure.dpi": 96, "savefig.bbox": "tight", "savefig.pad_inches": 0.06,
    "font.family": "DejaVu Sans", "font.size": 11, "axes.labelsize": 11, "axes.titlesize": 11, "axes.titlelocation": "left",
    "xtick.labelsize": 10, "ytick.labelsize": 10, "legend.fontsize": 10, "legend.frameon": False, "figure.constrained_layout.use": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#999999", "axes.linewidth": 0.8,
    "xtick.color": "#444444", "ytick.color": "#444444", "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.7, "axes.axisbelow": True,
    "lines.linewidth": 1.8, "lines.markersize": 5,
}  # fmt: skip


def use_style():
    """Set the style, and in a notebook SVG without a date, so that the same table gives the same bytes."""
    mpl.rcParams.update(STYLE)
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})
    except (ImportError, AttributeError):  # no notebook around: AttributeError is IPython's missing shell
        pass


# ---- who made it -----------------------------------------------------------------------------------------------------


def made_by(frame, name: str) -> str:
    """One line on the origin of a table: its name ("profile laptop"), seeds, machine, commit, and the runs whose sources have changed since.

    A part that several runs differ in is listed whole; runs count once, however many evaluation sets they have.
    """
    if frame.empty:
        return f"{name}: no records"
    runs = frame.drop_duplicates("key")
    seeds = runs["seed"].nunique()
    parts = [name, f"{seeds} seed{'s' * (seeds != 1)}"]
    parts += [", ".join(sorted({str(v) for v in runs[name] if v})) for name in ("device", "commit")]
    stale = int((runs["state"] == "stale").sum())
    if stale:
        parts.append(f"OUT OF DATE: {stale} of {len(runs)} runs are of earlier sources")
    expected = frame.attrs.get("runs", len(runs))
    if expected > len(runs):
        parts.append(f"{len(runs)} of {expected} runs recorded")
    return " · ".join(part for part in parts if part)


def sign(figure, lines: list[str]):
    """Write lines on the origin under a figure, wrapped to its width; black where something is out of date."""
    text = "\n".join(textwrap.fill(line, 76, subsequent_indent="   ") for line in lines)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=BLACK if "OUT OF DATE" in text else QUIET)


# ---- accuracy against a number ---------------------------------------------------------------------------------------


def spread(values, n: int, i: int, scale: str = "log"):
    """Values moved apart by the place i among n, so that points of several seeds stay visible: by a factor on a logarithmic axis,
    by as much everywhere on a linear one."""
    values, aside = np.asarray(values, dtype=float), i - (n - 1) / 2
    return values * 1.07**aside if scale == "log" else values + 0.008 * aside * values.max()


def seeds_curve(ax, rows, x: str, y: str, label: str, scale: str = "log", **style):
    """A curve over x, which is on a logarithmic or a linear scale: an open point for each seed, the means joined by a line, their intervals as bars."""
    seeds = sorted(rows["seed"].unique())
    for i, seed in enumerate(seeds):
        one = rows[rows["seed"] == seed]
        point = {"marker": style["marker"], "markersize": 4, "markerfacecolor": "white", "markeredgecolor": style["color"], "markeredgewidth": 0.9}
        ax.plot(spread(one[x], len(seeds), i, scale), one[y], linestyle="", zorder=4, **point)
    groups = [(n, interval(group[y])) for n, group in rows.groupby(x)]
    where, means = [n for n, _ in groups], [m.mean for _, m in groups]
    below, above = [m.mean - m.low for _, m in groups], [m.high - m.mean for _, m in groups]
    line = style | {"marker": ""}
    bars = ax.errorbar(where, means, yerr=np.nan_to_num([below, above]).clip(min=0), capsize=3.5, elinewidth=1.6, capthick=1.6, zorder=3, **line)
    bars.set_label("_means")
    ax.plot([], [], label=label, markersize=4, markerfacecolor="white", **style)


def number(value: float, _=None) -> str:
    """A number on a logarithmic axis: 300, 1k, 2.5k, 1M.

    >>> [number(n) for n in (10, 300, 1000, 2500, 1_000_000)]
    ['10', '300', '1k', '2.5k', '1M']
    """
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def accuracy_axes(ax, title: str = ""):
    """Axes of an accuracy, a share from 0 to 1."""
    ax.set(ylim=(-0.04, 1.04), ylabel="exact match (share)")
    ax.set_title(title)


def rules_panel(ax, frame, title: str, chance: float):
    """Accuracy on unseen and on seen rules against the number of rules, with the paper's curve and chance."""
    ax.plot(PAPER_CURVE.keys(), PAPER_CURVE.values(), label="paper, unseen rules\n(read off ±0.005)", **PAPER)
    ax.axhline(chance, color=QUIET, linewidth=0.8, zorder=1)
    ax.annotate("chance", (1, chance), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", fontsize=9, color=QUIET)
    for name, label, style in (("seen", "seen rules", SEEN), ("unseen", "unseen rules", UNSEEN)):
        rows = frame[frame["eval"] == name]
        seeds_curve(ax, rows, "n_rules", "exact_match", label, **style)
    accuracy_axes(ax, title)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(number))


def accuracy_by_rules(frames: dict, chance: float = 0.0):
    """One panel a table, {"profile laptop": table}, one above the other on the same axis."""
    frames = {name: frame for name, frame in frames.items() if len(frame)}
    figure, axes = plt.subplots(len(frames), 1, figsize=(WIDTH, (PANEL + 0.2) * len(frames) + 1.0), sharex=True, squeeze=False)
    for ax, (name, frame) in zip(axes[:, 0], frames.items()):
        rules_panel(ax, frame, f"{sentence([name])}: {training(frame)}\n{sizes(frame)}", chance)
    axes[-1, 0].set_xlabel("number of training rules I (logarithmic)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    order = [labels.index(name) for name in ("unseen rules", "seen rules")] + [0]
    figure.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=2.2)
    sign(figure, [made_by(frame, name) for name, frame in frames.items()])
    return figure


def sizes(frame) -> str:
    """The size of the task and the model in a few signs: N, |x|, |z|, layers x width."""
    row = frame.iloc[0]
    return f"N = {number(row['n_examples'])}, |x| = {row['x_len']}, |z| = {row['z_len']}, {row['n_layer']} × {row['n_embd']}"


def training(frame) -> str:
    """Steps and optimiser, as in "450 steps of Muon"."""
    row = frame.iloc[0]
    return f"{row['train_n_steps']:,} steps of {shown(row['optimizer'])}"


# ---- learning curves -------------------------------------------------------------------------------------------------


def learning_curves(curves, frame, origin: str):
    """Accuracy during training, on unseen rules above and on seen ones below; a colour for each number of rules."""
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 2 * PANEL), sharex=True)
    numbers = sorted(curves["n_rules"].unique())
    colors = mpl.colormaps["viridis"](np.linspace(0.0, 0.88, len(numbers)))
    markers = "osDv^<>pPX*h"
    for ax, name in zip(axes, ("unseen", "seen")):
        for i, (n, color) in enumerate(zip(numbers, colors)):
            rows = curves[curves["n_rules"] == n]
            for _, one in rows.groupby("seed"):
                ax.plot(one["step"], one[name], color=color, linewidth=0.7, alpha=0.45)
            mean = rows.groupby("step")[name].mean()
            ax.plot(mean.index, mean, color=color, marker=markers[i % len(markers)], markersize=4, label=f"{number(n)} rules")
        accuracy_axes(ax, f"{name.capitalize()} rules")
    axes[1].set_xlabel("optimiser steps")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=min(len(numbers), 4), columnspacing=1.2, handlelength=1.6)
    sign(figure, [made_by(frame, origin)])
    return figure


# ---- the task --------------------------------------------------------------------------------------------------------

PARTS = {"x": (ORANGE, "rule: x"), "y": (SKY, "rule: y"), "z": ("#e6e6e6", "input z"), "answer": ("#cfe8dd", "answer"), "sign": ("#ffffff", "sign")}


def parts_of(text: str) -> list[str]:
    """The part of each sign of a row `x>y|z=answer.`; letters of z and the answer that are x or y bear their names.

    >>> parts_of("ab>cd|zabz=zcdz.")
    ['x', 'x', 'sign', 'y', 'y', 'sign', 'z', 'x', 'x', 'z', 'sign', 'answer', 'y', 'y', 'answer', 'sign']
    """
    rule, rest = text.rstrip("_").split("|")
    x, y = rule.split(">")
    z, answer = rest[:-1].split("=")
    at = z.find(x)
    kinds = ["x"] * len(x) + ["sign"] + ["y"] * len(y) + ["sign"]
    for word, inside, name, base in ((z, len(x), "x", "z"), (answer, len(y), "y", "answer")):
        kinds += [name if 0 <= at <= i < at + inside else base for i in range(len(word))] + ["sign"]
    return kinds


def token_rows(texts: list[str], note: str, per_line: int = 32):
    """Examples as rows of squares, a square a token, coloured by the part of the example; long rows are wrapped."""
    lines = [(i, start) for i, text in enumerate(texts) for start in range(0, len(text), per_line)]
    wide = min(per_line, max(map(len, texts)))
    height = (len(lines) + 0.5 * (len(texts) - 1)) * WIDTH / (wide + 0.4)
    figure, ax = plt.subplots(figsize=(WIDTH, height + 0.7))
    y = 0.0
    for i, start in lines:
        y -= 1.5 if start == 0 and i else 1.0
        for column, (letter, kind) in enumerate(list(zip(texts[i], parts_of(texts[i])))[start : start + per_line]):
            ax.add_patch(plt.Rectangle((column, y), 0.94, 0.94, facecolor=PARTS[kind][0], edgecolor="#bbbbbb", linewidth=0.5))
            ax.text(column + 0.47, y + 0.44, letter, ha="center", va="center", fontsize=9, family="DejaVu Sans Mono")
    ax.set(xlim=(-0.1, wide + 0.1), ylim=(y - 0.1, 0.1), aspect="equal")
    ax.axis("off")
    handles = [plt.Rectangle((0, 0), 1, 1, facecolor=c, edgecolor="#bbbbbb") for c, _ in PARTS.values()]
    figure.legend(handles, [name for _, name in PARTS.values()], loc="outside upper left", ncols=5, handlelength=0.9, columnspacing=0.9, handletextpad=0.4)
    sign(figure, [note])
    return figure


def even_shares(panels: dict, xlabels: list[str], note: str):
    """Shares of values that should all be equally frequent, {title: (labels, counts)}, with the even share and the band
    of two standard deviations that an even draw of as many values has."""
    figure, axes = plt.subplots(len(panels), 1, figsize=(WIDTH, 1.75 * len(panels) + 0.5), squeeze=False)
    for ax, (title, (labels, counts)), xlabel in zip(axes[:, 0], panels.items(), xlabels):
        counts = np.asarray(counts, dtype=float)
        n, even = counts.sum(), 1 / len(counts)
        deviation = 2 * np.sqrt(even * (1 - even) / n)
        ax.axhspan(even - deviation, even + deviation, color="#d9d9d9", linewidth=0, label="even, ±2 s.d.")
        ax.plot(range(len(counts)), counts / n, linestyle="", marker="o", markersize=4, color=BLUE, label="share")
        reach = max(2 * deviation, 1.2 * np.abs(counts / n - even).max())
        every = max(1, -(-len(labels) // 26))
        ax.set(ylim=(even - reach, even + reach), ylabel="share", xlabel=xlabel, xticks=range(0, len(labels), every), xticklabels=labels[::every])
        ax.set_title(title)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    sign(figure, [note])
    return figure


# ---- tables ----------------------------------------------------------------------------------------------------------


def table(caption: str, name: str, header: list[str], rows: list[list]) -> str:
    """A MyST table with a number and a caption; a cell may hold Markdown. For a notebook cell whose metadata say
    {"mystnb": {"markdown_format": "myst"}}.

    >>> print(table("Two numbers", "tab-two", ["I", "accuracy"], [[100, "0.5 | 0.6"]]))
    :::{table} Two numbers
    :name: tab-two
    <BLANKLINE>
    | I | accuracy |
    |---|---|
    | 100 | 0.5 \\| 0.6 |
    :::
    """
    lines = [header, ["---"] * len(header), *rows]
    text = ["|" + "|".join(cell if cell == "---" else f" {str(cell).replace('|', chr(92) + '|')} " for cell in line) + "|" for line in lines]
    return "\n".join([f":::{{table}} {caption}", f":name: {name}", "", *text, ":::"])


def results_table(frame, caption: str, name: str) -> str:
    """Mean and interval of the accuracy on unseen and seen rules for each number of rules, with the values of the seeds."""
    rows = []
    for n, group in frame.groupby("n_rules"):
        sets = {e: group[group["eval"] == e].sort_values("seed")["exact_match"] for e in ("unseen", "seen")}
        raw = ", ".join(f"{value:.2f}" for value in sets["unseen"])
        rows.append([f"{n:,}", f"{group['n_examples'].iloc[0] / n:,.4g}", interval(sets["unseen"]), raw, interval(sets["seen"])])
    return table(caption, name, ["rules I", "examples of each", "unseen rules", "by seed", "seen rules"], rows)


def verdict_table(verdicts: dict, caption: str, name: str) -> str:
    """The verdicts on one or more tables of runs, {"profile laptop": [Verdict]}: a row for each claim and table."""
    rows = []
    for same_claim in zip(*verdicts.values()):
        for runs, v in zip(verdicts, same_claim):
            first = [v.claim.id, v.claim.statement] if v is same_claim[0] else ["", ""]
            rows.append([*first, runs, f"**{v}**", v.text()])
    return table(caption, name, ["", "statement", "runs", "verdict", "what was found"], rows)


def not_decided(verdicts: dict) -> str:
    """Why runs do not decide claims that are about another scale, in sentences; empty where they do."""
    lines = []
    for runs, group in verdicts.items():
        for lacks in dict.fromkeys(tuple(v.lacks) for v in group if v.lacks):
            ids = ", ".join(v.claim.id for v in group if tuple(v.lacks) == lacks)
            lines.append(f"No verdict on {ids} from {runs}: {'; '.join(lacks)}.")
    return "\n\n".join(lines)
