"""What the chapters on selection share (10, 11, 15, 16): the paper's numbers, names and colours, the task map, one rule.

Source of the paper's: figures 3 to 5 and the stored outputs of Kung et al. 2023 (arXiv 2311.00288).
"""

from ..report import plots
from ..report.stats import FAILS, HOLDS, OPEN, holm, interval

METHOD, BASELINES = "uncertainty", ("random", "high_perplexity", "low_perplexity")
SHARE = 0.2
"""A gain below this share of what random selection adds counts as none; the paper's gain over random is .22 to .32 of it."""
PAPER_START, PAPER_TASKS = 44.15, (136, 204, 272, 340)
PAPER_ROUGE = {
    "random": (45.11, 46.07, 47.02, 47.63),
    "uncertainty": (45.82, 46.73, 47.83, 48.38),
    "high_perplexity": (44.66, 45.63, 46.41, 47.55),
    "low_perplexity": (45.58, 46.47, 46.84, 47.50),
}
"""ROUGE-L on the paper's test tasks, means of five splits, read off to within 0.03; with 68 tasks all have PAPER_START."""
PAPER_RISE = {"ambiguous": (1.6, 2.6), "random": (0.7, 1.9), "easy": (0.0, 1.9), "difficult": (0.1, 0.35)}
"""ROUGE-L above the paper's first model by training on a group, at 136 and 204 tasks; read off to within 0.1."""

GROUPS = {"ambiguous": METHOD, "difficult": "difficult", "easy": "easy"}
"""The groups of the task map, and the strategies that train on them."""
GROUP_COLORS = {"": "#bdbdbd", "ambiguous": plots.BLUE, "difficult": plots.GREEN, "easy": plots.VERMILION}
"""The paper's colours of its groups."""
COLORS = {
    "random": plots.QUIET, METHOD: plots.BLUE, "high_perplexity": plots.ORANGE, "low_perplexity": plots.SKY,
    "inverse_confidence": plots.PURPLE, "easy": plots.VERMILION, "difficult": plots.GREEN,
}  # fmt: skip
NAMES = {METHOD: "prompt uncertainty", "easy": "easy tasks", "difficult": "difficult tasks"}
TICKS = (0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)


def named(strategy: str) -> str:
    """A strategy in words.

    >>> named("high_perplexity"), named("uncertainty")
    ('high perplexity', 'prompt uncertainty')
    """
    return NAMES.get(strategy, strategy.replace("_", " "))


def style(strategy: str) -> dict:
    """Colour, mark and line of a strategy, the same in all figures."""
    return {"color": COLORS[strategy], "marker": plots.MARKERS[list(COLORS).index(strategy)], "linestyle": "-"}


def beats(gains: dict, margin: float) -> str:
    """Whether a method beats each of several others, {name: gains by seed}: HOLDS where every interval lies above 0, FAILS where
    one lies below the margin, in the wider interval that Holm's correction asks for; OPEN otherwise.

    >>> beats({"a": [1.0, 1.1, 0.9], "b": [2.0, 2.1, 1.9]}, 0.5), beats({"a": [0.0, 0.1, -0.1], "b": [9.0, 0.0, 3.0]}, 0.5)
    ('holds', 'fails')
    """
    if gains and all(interval(values).low > 0 for values in gains.values()):
        return HOLDS
    level = holm(max(1, len(gains)))[0]
    return FAILS if any(interval(values, level).high < margin for values in gains.values()) else OPEN


# ---- the task map ----------------------------------------------------------------------------------------------------


def paper_map():
    """The points of the published map that could be read off: group, uncertainty, probability."""
    import pandas

    from ..store import records

    return pandas.read_csv(records.root() / "book" / "data" / "paper_task_map.csv", comment="#", keep_default_na=False)


def scatter(ax, rows, colors: dict, column: str = "group", size: float = 20):
    """The tasks of a map, coloured by a column; those named first lie below. Uncertainty on a cube-root axis, as in the paper."""
    for value, color in colors.items():
        one = rows[rows[column] == value]
        look = {"s": size, "color": color, "edgecolor": "white", "linewidth": 0.4}
        ax.scatter(one["uncertainty"], one["probability"], label=value or "others", **look)
    reach = 1.05 * max(rows["uncertainty"].max(), 0.01)
    cube_root(ax, "x", reach)
    ax.set(xlim=(0, reach), ylim=(-0.02, 1.04), ylabel="prediction probability")


def cube_root(ax, which: str, reach: float):
    """A cube-root axis, "x" or "y", with ticks up to `reach`."""
    import numpy as np
    from matplotlib.ticker import FixedLocator, FuncFormatter

    getattr(ax, f"set_{which}scale")("function", functions=(np.cbrt, lambda root: root**3))
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= reach]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
