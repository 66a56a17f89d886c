"""11: the task map as the paper draws it, what the pool knows of its groups, and training on each of them (A4 to A6).

Source: Kung et al. 2023 (arXiv 2311.00288). The runs are some of chapter 10's.
"""

from ..active.specs import SelectSpec
from ..report import plots, tables
from ..report.stats import interval
from . import active_selection, selecting, symbolic_pool
from .selecting import FIRST_TWO, GROUPS, PAPER_RISE, keyed, rise

frame, settings = symbolic_pool.frame, symbolic_pool.settings
CLAIMS = selecting.claims(symbolic_pool.WORLD, "A4", "A5", "A6")
STRATEGIES = {"random": "random"} | GROUPS
"""What is trained on, and the strategies that select it."""


def runs(first_seed, n_seeds, pool, model, train, loop) -> list[SelectSpec]:
    """Training on random tasks and on each group of the map: runs of chapter 10."""
    return active_selection.runs(list(STRATEGIES.values()), first_seed, n_seeds, pool, model, train, loop)


def answer(chapter) -> str:
    """The answer in a sentence."""
    difficult = symbolic_pool.groups(chapter).query("group == 'difficult'")
    adds = {name: interval(rise(chapter.frame, name, FIRST_TWO)) for name in ("difficult", "random")}
    return (
        f"**The median prompt uncertainty of this pool is {difficult['median_u'].mean():.2f}, the paper's "
        f"{symbolic_pool.PAPER_MEDIAN}; a share of {interval(difficult['clean'])} of the tasks that the map calls "
        f"difficult is clean; training on difficult tasks adds {adds['difficult']:+.3f}, on random ones "
        f"{adds['random']:+.3f}.**"
    )


def figure_map(chapter):
    """The map of the first seed by groups, the paper's in grey."""
    return selecting.figure_map(chapter, symbolic_pool.task_map(chapter))


def figure_groups(chapter):
    """The learnability of each group, and what training on it adds to the first model in the first two rounds; the
    paper's in grey, scaled so that random tasks add as much."""
    rows, table = chapter.frame, symbolic_pool.groups(chapter).set_index("key")
    figure, (above, below) = plots.panels(2, height=1.5)
    learnable = {group: table[table["group"] == group]["value"] for group in (*GROUPS, "all")}
    plots.forest(above, learnable, again=chapter.again)
    above.set_xlabel("learnability of its tasks")
    added = {name: keyed(rows, strategy, rise(rows, strategy, FIRST_TWO)) for name, strategy in STRATEGIES.items()}
    plots.forest(below, added, again=chapter.again)
    scale = added["random"].mean() / sum(PAPER_RISE["random"])
    theirs = [(scale * sum(PAPER_RISE[name]), y + 0.3) for y, name in enumerate(added)]
    label = "paper, scaled to the same rise of random"
    below.plot(*zip(*theirs), label=label, **(plots.PAPER | {"linestyle": ""}))
    below.set_xlabel("rise above the first model by training on it (exact match)")
    plots.legend(figure, [below])
    return plots.finished(figure, rows)


def table_groups(chapter) -> str:
    """What the pool knows of each group."""
    table = symbolic_pool.groups(chapter)
    columns = {"clean": "clean", "noisy": "noisy", "contradictory": "contradictory", "value": "learnability"}
    rows = [[group, *(interval(one[name]) for name in columns)] for group, one in table.groupby("group", sort=False)]
    caption = "What the pool knows of the groups: shares, mean learnability; 95 % t-intervals over seeds"
    return tables.table(caption, "tab-task-map-groups", ["group", *columns.values()], rows)
