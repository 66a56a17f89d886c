"""Figures and tables in one style, from tidy tables of records.

A figure is drawn at the width of a phone's page or a little more, so that it is not shrunk to illegibility there, and
its colours are told apart by colour-blind readers. Letters are drawn as outlines: no font is needed where it is shown.
Under each figure stands who made it: profile, seeds, machine, commit, and whether its records are of earlier sources.
"""

import textwrap

import matplotlib as mpl
import numpy as np

from ..chapters.settings import shown
from ..figures.intervals import interval

# Okabe and Ito's palette.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
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
        point = {
            "marker": style["marker"],
            "markersize": 4,
            "markerfacecolor": "white",
            "markeredgecolor": style["color"],
            "markeredgewidth": 0.9,
        }
        ax.plot(spread(one[x], len(seeds), i, scale), one[y], linestyle="", zorder=4, **point)
    groups = [(n, interval(group[y])) for n, group in rows.groupby(x)]
    where, means = [n for n, _ in groups], [m.mean for _, m in groups]
    below, above = [m.mean - m.low for _, m in groups], [m.high - m.mean for _, m in groups]
    line = style | {"marker": ""}
    bars = ax.errorbar(
        where,
        means,
        yerr=np.nan_to_num([below, above]).clip(min=0),
        capsize=3.5,
        elinewidth=1.6,
        capthick=1.6,
        zorder=3,
        **line,
    )
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


def sizes(frame) -> str:
    """The size of the task and the model in a few signs: N, |x|, |z|, layers x width."""
    row = frame.iloc[0]
    return f"N = {number(row['n_examples'])}, |x| = {row['x_len']}, |z| = {row['z_len']}, {row['n_layer']} × {row['n_embd']}"


def training(frame) -> str:
    """Steps and optimiser, as in "450 steps of Muon"."""
    row = frame.iloc[0]
    return f"{row['train_n_steps']:,} steps of {shown(row['optimizer'])}"


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
    text = [
        "|" + "|".join(cell if cell == "---" else f" {str(cell).replace('|', chr(92) + '|')} " for cell in line) + "|"
        for line in lines
    ]
    return "\n".join([f":::{{table}} {caption}", f":name: {name}", "", *text, ":::"])


def results_table(frame, caption: str, name: str) -> str:
    """Mean and interval of the accuracy on unseen and seen rules for each number of rules, with the values of the seeds."""
    rows = []
    for n, group in frame.groupby("n_rules"):
        sets = {e: group[group["eval"] == e].sort_values("seed")["exact_match"] for e in ("unseen", "seen")}
        raw = ", ".join(f"{value:.2f}" for value in sets["unseen"])
        rows.append(
            [f"{n:,}", f"{group['n_examples'].iloc[0] / n:,.4g}", interval(sets["unseen"]), raw, interval(sets["seen"])]
        )
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
