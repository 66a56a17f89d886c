"""Figures in one style. Whatever is drawn of runs shows every seed as an open mark, the mean, and its t-interval as a
bar.

A figure is a function of a chapter that asks here for axes, draws, and returns the figure:

    figure, (ax,) = plots.panels(1)
    plots.curve(ax, rows, "n_rules", "exact_match", "unseen rules", **plots.UNSEEN)
    return plots.finished(figure, frame)

Letters are drawn as outlines, so no font is needed where it is shown; colours are told apart by colour-blind readers.
Runs that were computed again here are ringed. matplotlib is imported when something is drawn.
"""

import textwrap

import numpy as np

from .stats import interval

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
"""Okabe and Ito's palette."""
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = "osD^vP*X<>ph"
QUIET = "#757575"
"""What is not ours or not the point: the paper's curve, chance, notes. Contrast 4.6 on white."""
UNSEEN = {"color": BLUE, "marker": "o", "linestyle": "-"}
SEEN = {"color": VERMILION, "marker": "s", "linestyle": "--"}
SETS = {"unseen rules": UNSEEN, "seen rules": SEEN}
"""What is drawn alike in all figures."""
PAPER = {"color": QUIET, "marker": "x", "linestyle": ":", "linewidth": 1.2, "markersize": 4}
RULES = "number of training rules (logarithmic)"
ACCURACY = "exact match (share)"

WIDTH = 5.2  # inches; 500 CSS pixels, 70 % of which a phone's page holds
PANEL = 3.0
STYLE = {
    "svg.fonttype": "path", "svg.hashsalt": "ditune", "figure.dpi": 96, "savefig.bbox": "tight",
    "savefig.pad_inches": 0.06, "font.family": "DejaVu Sans", "font.size": 11, "axes.labelsize": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left", "xtick.labelsize": 10, "ytick.labelsize": 10, "legend.fontsize": 10,
    "legend.frameon": False, "figure.constrained_layout.use": True, "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999", "axes.linewidth": 0.8, "xtick.color": "#444444", "ytick.color": "#444444",
    "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.7, "axes.axisbelow": True,
    "lines.linewidth": 1.8, "lines.markersize": 5,
}  # fmt: skip


def use_style():
    """Set the style, and in a notebook SVG without a date, so that the same table gives the same bytes."""
    import matplotlib as mpl

    mpl.rcParams.update(STYLE)
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})
    except (ImportError, AttributeError):  # no notebook around: AttributeError is IPython's missing shell
        pass


def panels(rows: int = 1, columns: int = 1, height: float = PANEL, **options):
    """A figure of `rows` x `columns` panels, each `height` inches high; (figure, flat list of axes)."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height * rows + 0.6), squeeze=False, **options)
    return figure, list(axes.flat)


def styles(labels, ordered: bool = False) -> dict[str, dict]:
    """A colour and a mark for each label: colours that are told apart, or, for labels with an order, dark to light."""
    labels = list(dict.fromkeys(labels))
    colors = [COLORS[i % len(COLORS)] for i in range(len(labels))]
    if set(labels) <= set(SETS):
        return {label: SETS[label] for label in labels}
    if ordered:
        import matplotlib as mpl

        colors = map(mpl.colors.to_hex, mpl.colormaps["viridis"](np.linspace(0.0, 0.8, len(labels))))
    pairs = enumerate(zip(labels, colors))
    return {n: {"color": c, "marker": MARKERS[i % len(MARKERS)], "linestyle": "-"} for i, (n, c) in pairs}


# ---- runs ------------------------------------------------------------------------------------------------------------


def curve(ax, rows, x: str, y: str, label: str, again=(), log: bool = True, **style):
    """A curve over a column x: an open mark for each seed (jittered), the means joined by a line, their intervals as
    bars.

    rows: a table of runs with the columns key, seed, x and y; again: keys of the runs that were computed again here,
    ringed.
    """
    seeds = sorted(rows["seed"].unique())
    for i, seed in enumerate(seeds):
        one = rows[rows["seed"] == seed]
        where = jittered(one[x], i, len(seeds), log)
        points(ax, where, one[y], one["key"].isin(list(again)) if "key" in one else None, **style)
    found = {n: interval(group[y]) for n, group in rows.groupby(x)}
    bars(ax, list(found), list(found.values()), **style)
    ax.plot(list(found), [m.mean for m in found.values()], **(style | {"marker": ""}))
    ax.plot([], [], label=label, markersize=4, markerfacecolor="white", **style)


def curves(
    ax, groups: dict, again=(), x: str = "n_rules", y: str = "exact_match", log: bool = True, ordered: bool = False
):
    """A curve of an accuracy for each group of runs, {label: rows}, against the number of rules or another column."""
    for (label, rows), style in zip(groups.items(), styles(groups, ordered).values()):
        curve(ax, rows, x, y, label, again, log, **style)
    accuracy_axis(ax)
    if x == "n_rules":
        rules_axis(ax)


def forest(ax, conditions: dict, labels=None, again=(), **style):
    """Conditions one below the other, {label: values by seed (a Series or a list)}: an open mark for each seed, the
    mean as a stroke, its interval as a bar. A value None leaves the line to a heading, its label in bold."""
    lines(ax, conditions, labels)
    for y, values in enumerate(conditions.values()):
        if values is not None:
            dots(ax, y, values, again, **style)


def grouped(ax, conditions: dict, series: dict[str, dict], again=()):
    """Conditions one below the other, each with several series side by side, {label: {series: values}}, in the styles
    {series: style}; None is a heading, as in `forest`."""
    lines(ax, conditions)
    for y, found in enumerate(conditions.values()):
        for i, (name, style) in enumerate(series.items()):
            if found and len(found.get(name, ())):
                dots(ax, y + 0.6 * ((i + 0.5) / len(series) - 0.5), found[name], again, **style)
    for name, style in series.items():
        ax.plot([], [], label=name, markersize=4, markerfacecolor="white", **style)


def lines(ax, conditions: dict, labels=None):
    """A line for each condition, its label beside it or, where it is None, as a heading."""
    texts = dict(enumerate(labels or conditions))
    headings = [y for y, values in enumerate(conditions.values()) if values is None]
    for y in headings:
        ax.text(0, y, texts[y], transform=ax.get_yaxis_transform(), fontweight="bold", va="center", fontsize=10)
    places = [y for y in texts if y not in headings]
    ax.set_yticks(places, [texts[y] for y in places])
    ax.set_ylim(len(texts) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)


def of_runs(rows, name: str = "unseen", measure: str = "exact_match"):
    """A measure on an evaluation set by key, for `dots`."""
    return rows[rows["eval"] == name].set_index("key")[measure]


def dots(ax, y: float, values, again=(), color=BLUE, marker="o", label=None, found=None, **_):
    """One condition on a horizontal line: seeds, mean and interval (`found`, where it is not that over the values);
    `values` a list, or a Series whose index holds keys."""
    found = found or interval(values)
    marked = values.index.isin(list(again)) if hasattr(values, "isin") else None
    points(ax, values, np.full(len(values), float(y)), marked, color=color, marker=marker)
    if np.isfinite(found.half):
        ax.plot([found.low, found.high], [y, y], color=color, linewidth=1.8, solid_capstyle="butt", zorder=3)
    stroke = {"marker": "|", "markersize": 9, "markeredgewidth": 1.8, "linestyle": ""}
    ax.plot([found.mean], [y], color=color, zorder=3, **stroke)
    if label:
        ax.plot([], [], label=label, color=color, marker=marker, markersize=4, markerfacecolor="white")


def points(ax, x, y, again=None, color=BLUE, marker="o", size: float = 4, **_):
    """Open marks; those computed again here have a ring around them."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    open_mark = {"markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 0.9, "linestyle": ""}
    ax.plot(x, y, marker=marker, markersize=size, zorder=4, **open_mark)
    if again is not None and np.any(again):
        ring = {"markerfacecolor": "none", "markeredgecolor": BLACK, "markeredgewidth": 1.1, "linestyle": ""}
        ax.plot(x[np.asarray(again)], y[np.asarray(again)], marker="o", markersize=2.4 * size, zorder=5, **ring)


def bars(ax, where, found, color=BLUE, **_):
    """Vertical intervals, of those that have one."""
    kept = [(x, m) for x, m in zip(where, found) if m.n > 1]
    if kept:
        reach = np.array([[m.mean - m.low, m.high - m.mean] for _, m in kept]).T
        places, means = [x for x, _ in kept], [m.mean for _, m in kept]
        ax.errorbar(places, means, yerr=reach, linestyle="", color=color, capsize=3.5, elinewidth=1.6, zorder=3)


def jittered(values, i: int, n: int, log: bool = True):
    """Values moved apart by the place i among n seeds: by a factor on a logarithmic axis, by as much everywhere on a
    linear one."""
    values, aside = np.asarray(values, dtype=float), (i - (n - 1) / 2) * min(1.0, 3 / max(n, 1))
    return values * 1.06**aside if log else values + 0.006 * aside * (np.abs(values).max() or 1.0)


def paper(ax, points: dict, label: str, **style):
    """The paper's values, {x: y}, in grey."""
    ax.plot(list(points), list(points.values()), label=label, **PAPER | style)


# ---- axes ------------------------------------------------------------------------------------------------------------


def number(value: float, _=None) -> str:
    """A number on a logarithmic axis: 300, 1k, 2.5k, 1M.

    >>> [number(n) for n in (10, 300, 1000, 2500, 1_000_000)]
    ['10', '300', '1k', '2.5k', '1M']
    """
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def accuracy_axis(ax, title: str = ""):
    """A vertical axis of an accuracy, a share from 0 to 1."""
    ax.set(ylim=(-0.04, 1.04), ylabel=ACCURACY, title=title)


def rules_axis(ax, label: str = RULES):
    """A logarithmic horizontal axis of numbers of rules."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set(xscale="log", xlabel=label)
    ax.xaxis.set(major_formatter=FuncFormatter(number), minor_formatter=NullFormatter())
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))


def legend(figure, axes, first=()):
    """One legend above the figure for all axes, these labels first, in as many columns as fit."""
    entries = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels())}
    labels = sorted(entries, key=lambda label: list(first).index(label) if label in first else len(first))
    longest = max((len(line) for label in labels for line in label.split("\n")), default=1)
    columns = min(4, max(1, 60 // (longest + 6)))
    handles = [entries[label] for label in labels]
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1.2, handlelength=2.0)


def finished(figure, frame, *notes: str):
    """The figure, signed with its seeds, machine and commit, and whether runs are of earlier sources."""
    text = textwrap.fill(" · ".join([*notes, *origin(frame)]), 78)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=BLACK if "EARLIER" in text else QUIET)
    return figure


def signed(figure, axes, frame, first=()):
    """The figure with its legend, signed with the training and the sizes too."""
    legend(figure, axes, first)
    return finished(figure, frame, training(frame), sizes(frame))


def origin(frame) -> list[str]:
    """Seeds, machine and commit of a table of runs, and how many of them are of earlier sources."""
    if frame.empty or "key" not in frame:
        return []
    runs = frame.drop_duplicates("key")
    parts = [f"{runs['seed'].nunique()} seeds" if runs["seed"].nunique() > 1 else "1 seed"] if "seed" in runs else []
    for name in ("device", "commit"):
        values = sorted({str(value) for value in runs.get(name, ()) if value})
        parts += [values[0] if len(values) == 1 else f"{len(values)} {name}s"] if values else []
    stale = int((runs["state"] == "stale").sum()) if "state" in runs else 0
    return parts + ([f"{stale} of {len(runs)} runs are of EARLIER SOURCES"] if stale else [])


def training(frame) -> str:
    """Steps and optimiser, as in "450 steps of Muon"."""
    row = frame.iloc[0]
    name = {"adamw": "AdamW", "muon": "Muon"}.get(row["optimizer"], row["optimizer"])
    return f"{row['train_n_steps']:,} steps of {name}"


def sizes(frame) -> str:
    """The size of the task and the model in a few signs: N, |x|, |z|, layers x width."""
    row = frame.iloc[0]
    words = f"N = {number(row['n_examples'])}, |x| = {row['x_len']}, |z| = {row['z_len']}"
    return f"{words}, {row['n_layer']} × {row['n_embd']}"
