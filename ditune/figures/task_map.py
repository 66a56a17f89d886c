"""Chapter 11: the task map as the paper draws it, what the pool knows of its groups, and training on each of them.

A map is a table of `select_tables.task_map`: a row per task that was left after the initial ones, by the first model of a seed.
"""

import matplotlib as mpl
import numpy as np
import pandas

from ..active.pool import pool_tasks
from ..active.specs import NOISE, SelectSpec
from ..claims import selection as rules
from ..claims.paired import NEGLIGIBLE
from ..figures import plotting
from ..figures.intervals import Interval, interval
from ..figures.plotting import made_by, sign, table
from ..store import records
from .select_tables import example, task_map
from .selection import curves_figure, hundredfold

COLORS = {"": "#bdbdbd", "ambiguous": plotting.BLUE, "difficult": plotting.GREEN, "easy": plotting.VERMILION}
"""The paper's colours of its groups."""
NOISE_COLORS = {"clean": "#d0d0d0", "noisy": plotting.ORANGE, "contradictory": plotting.PURPLE}
PAPER_RISE = {"ambiguous": (1.6, 2.6), "random": (0.7, 1.9), "easy": (0.0, 1.9), "difficult": (0.1, 0.35)}
"""ROUGE-L on the paper's test tasks above that of its first model (44.4), at 136 and 204 tasks; read off to within 0.1."""


def paper_map() -> pandas.DataFrame:
    """The points of the published map that could be read off: group, uncertainty, probability."""
    return pandas.read_csv(records.root() / "book" / "data" / "paper_task_map.csv", comment="#", keep_default_na=False)


# ---- the map ---------------------------------------------------------------------------------------------------------


def scatter(ax, rows, column: str, colors: dict):
    """The tasks of a map, coloured by a column; those named first lie below. Uncertainty on a cube-root axis."""
    for value, color in colors.items():
        one = rows[rows[column] == value]
        ax.scatter(one["uncertainty"], one["probability"], s=20, color=color, edgecolor="white", linewidth=0.4, label=value or "others")
    ax.set_xscale("function", functions=(np.cbrt, lambda root: root**3))
    reach = max(rows["uncertainty"].max(), 0.01)
    ax.set(xlim=(0, 1.05 * reach), ylim=(-0.02, 1.04), ylabel="prediction probability")
    ax.xaxis.set_major_locator(mpl.ticker.FixedLocator([t for t in (0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0) if t <= 1.05 * reach]))
    ax.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))


def map_figure(maps: dict, frames: dict):
    """The groups of the map: the paper's, and the first seed of each table of runs, {"profile laptop": map}."""
    panels = {f"{name}, seed {rows['seed'].iloc[0]}": first_seed(rows) for name, rows in maps.items()}
    return group_panels(panels, [made_by(frame, name) for name, frame in frames.items()])


FEW = 50  # tasks of a map whose groups are not named in the picture


def group_panels(panels: dict, origins: list[str]):
    """The paper's map, and others with a column `group` below it, each group in the paper's colour, and with its name at its middle where
    the name leaves most of it to be seen."""
    panels = {"Kung et al. 2023 (read off)": paper_map()} | panels
    figure, axes = plotting.plt.subplots(len(panels), 1, figsize=(plotting.WIDTH, 3.2 * len(panels) + 0.4), squeeze=False)
    for ax, (title, rows) in zip(axes[:, 0], panels.items()):
        scatter(ax, rows, "group", COLORS)
        for group, of_group in rows[rows["group"] != ""].groupby("group") if len(rows) > FEW else ():
            box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": COLORS[group], "alpha": 0.9}
            ax.text(of_group["uncertainty"].median(), of_group["probability"].median(), group, ha="center", va="center", fontsize=9, bbox=box)
        ax.set_title(title)
    axes[-1, 0].set_xlabel("prompt uncertainty (cube-root axis)")
    sign(figure, origins)
    return figure


def noise_figure(maps: dict, frames: dict):
    """The same maps, coloured by the noise that was planted in the tasks."""
    figure, axes = plotting.plt.subplots(len(maps), 1, figsize=(plotting.WIDTH, 3.2 * len(maps) + 0.6), squeeze=False)
    for ax, (name, rows) in zip(axes[:, 0], maps.items()):
        scatter(ax, first_seed(rows), "noise", NOISE_COLORS)
        ax.set_title(f"{name}, seed {rows['seed'].iloc[0]}")
    axes[-1, 0].set_xlabel("prompt uncertainty (cube-root axis)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    sign(figure, [made_by(frame, name) for name, frame in frames.items()])
    return figure


def first_seed(rows):
    """The map of the first seed."""
    return rows[rows["seed"] == rows["seed"].iloc[0]]


def examples(specs: list[SelectSpec], rows) -> str:
    """One task of each group in the first seed, that of median uncertainty, as text: its first row, behind what is known."""
    rows, parts = first_seed(rows), []
    spec = next(spec for spec in specs if spec.seed == rows["seed"].iloc[0])
    for group in rules.GROUPS:
        of_group = rows[rows["group"] == group].sort_values(["uncertainty", "task"])
        if len(of_group):
            task = of_group.iloc[len(of_group) // 2]
            known = f"{task['family']}, {task['kind']}, {task['noise']}; uncertainty {task['uncertainty']:.3f}, probability {task['probability']:.3f}"
            parts.append(f"**{group}** ({known})\n\n```text\n{example(pool_tasks(spec.pool, spec.seed), int(task['task']))}\n```")
    return "\n\n".join(parts)


# ---- what the pool knows of the groups -------------------------------------------------------------------------------


def group_table(specs: list[SelectSpec]) -> pandas.DataFrame:
    """What is known of each group, a row per seed and group ("all": every task of the map): n; noise, noisy, contradictory
    (shares); uncertainty, probability (medians); learnable (mean, as claim A4 says), by_examples (the same, but for contradictory tasks,
    which count as their examples), clean_only (over clean tasks alone); key and state of a run of the seed."""
    rows, maps = [], task_map(specs)
    runs = records.frame(specs)
    if maps.empty:
        return pandas.DataFrame()
    for seed, tasks in maps.groupby("seed"):
        tasks = tasks.assign(learnable=learnable(specs, tasks), by_examples=learnable(specs, tasks, ("noisy",)))
        run = runs[runs["seed"] == seed].iloc[0]
        for group in (*rules.GROUPS, "all"):
            one = tasks if group == "all" else tasks[tasks["group"] == group]
            share = {name: (one["noise"] == name).mean() for name in NOISE}
            middle = {name: one[name].median() for name in ("uncertainty", "probability")}
            means = {name: one[name].mean() for name in ("learnable", "by_examples")}
            known = share | middle | means | {"noise": 1 - share["clean"], "clean_only": one[one["noise"] == "clean"]["learnable"].mean()}
            rows.append({"seed": seed, "group": group, "n": len(one), "key": run["key"], "state": run["state"]} | known)
    return pandas.DataFrame(rows)


def learnable(specs: list[SelectSpec], tasks, not_at_all=("noisy", "contradictory")):
    """How well a task can be learnt: 0 with these kinds of planted noise, otherwise exact match on the test tasks of its family after the
    last round of random selection in its seed; not a number where that was not run."""
    random = [spec for spec in specs if spec.strategy == "random" and spec.seed == tasks["seed"].iloc[0]]
    slices = records.slices(random)
    if slices.empty:
        return np.nan
    families = slices[(slices["slice"] == "family") & (slices["eval"] == f"round {random[0].n_rounds}")]
    return tasks["family"].map(families.set_index("value")["exact_match"]).where(~tasks["noise"].isin(not_at_all), 0.0)


def known_table(groups: dict, caption: str, name: str) -> str:
    """What the pool knows of each group, means over seeds with intervals, for each table of runs."""
    columns = ("uncertainty", "probability", "noisy", "contradictory", "learnable", "by_examples", "clean_only")
    rows = [
        [runs if group == "ambiguous" else "", group, *(interval(one[column]) for column in columns)]
        for runs, found in groups.items()
        for group in (*rules.GROUPS, "all")
        for one in [found[found["group"] == group]]
    ]
    return table(caption, name, ["runs", "group", "uncertainty (median)", "probability (median)", "noisy answers", "contradictory definition", "learnability", "counted by examples", "of clean tasks"], rows)


def noise_in_words(groups) -> str:
    """Where the planted noise lies, and how much of it the groups have, in sentences."""
    whole = groups[groups["group"] == "all"].set_index("seed")
    parts = {group: groups[groups["group"] == group].set_index("seed") for group in ("difficult", "easy")}

    def placed(noise: str, group: str) -> Interval:
        """Which share of the tasks with this noise lies in the group."""
        return interval((parts[group][noise] * parts[group]["n"] / (whole[noise] * whole["n"])).dropna())

    chance = (parts["difficult"]["n"] / whole["n"]).mean()
    share = {group: interval(rows["noise"]) for group, rows in groups.groupby("group")}
    return (
        f"Of the noisy tasks {placed('noisy', 'difficult')} are among the difficult ones and {placed('noisy', 'easy')} among the easy ones; of the contradictory tasks {placed('contradictory', 'difficult')} and "
        f"{placed('contradictory', 'easy')}; by chance it would be {chance:.2f} each. Of the difficult tasks a share of {share['difficult']} has planted noise of either kind, of the ambiguous ones {share['ambiguous']}, of "
        f"the easy ones {share['easy']}, of all {share['all']}."
    )


def other_counts_in_words(groups) -> str:
    """What the rule of A4 finds where learnability is counted otherwise, in sentences."""
    said = {"holds": "is met", "fails": "is violated", "open": "is neither met nor violated"}
    ways = {"by_examples": "With contradictory tasks counted by their worked examples", "clean_only": "Among clean tasks alone"}
    found = {way: rules.in_order(groups, column, "learnability", rules.GAIN, NEGLIGIBLE) for column, way in ways.items()}
    return " ".join(f"{way} the rule {said[finding.outcome]}: {finding.reason}" for way, finding in found.items())


def certain_in_words(maps) -> str:
    """How many tasks have a low uncertainty, by the paper's measure, in a sentence."""
    paper = paper_map()
    begin = paper[paper["group"] == "ambiguous"]["uncertainty"].min()
    return f"Of {len(maps):,} tasks of all seeds {int((maps['uncertainty'] < begin).sum()):,} have an uncertainty below {begin:.2f}, where the ambiguous group of the paper's map begins; the lowest is {maps['uncertainty'].min():.2f}."


def group_of(strategy: str) -> str:
    """The group of the map that a strategy selects.

    >>> group_of("uncertainty"), group_of("random")
    ('ambiguous', 'random')
    """
    return next((group for group, selects in rules.GROUPS.items() if selects == strategy), strategy)


def training_figure(tables: dict):
    """Learning curves of training on each group, a panel for each table of runs."""
    return curves_figure(tables, {"": ("random", "uncertainty", "easy", "difficult")}, group_of)


def rises_table(tables: dict, caption: str, name: str) -> str:
    """How much the accuracy rises above that of the first model by training on a group: the paper's points of ROUGE-L, and
    exact match times 100, after one and two selections."""
    rows = []
    for group, theirs in PAPER_RISE.items():
        strategy = rules.GROUPS.get(group, group)
        for number in (1, 2):
            ours = [hundredfold(rules.rise(frame, strategy, number)) for frame in tables.values()]
            rows.append([group if number == 1 else "", number, f"{theirs[number - 1]:+.2f}", *ours])
    return table(caption, name, ["trained on", "selections", "paper", *tables], rows)
