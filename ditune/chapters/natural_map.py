"""15, its map: tasks in natural language measured by a pretrained model and by the first tuned ones, and how well
this repeats."""

import itertools

from ..language.natural import KINDS
from ..language.specs import FirstSpec, MapSpec, RoundsSpec
from ..report import plots, tables
from ..report.stats import correlation
from .selecting import GROUP_COLORS, GROUPS, cube_root, paper_map, scatter

OF_GROUP = 68 / 620
"""Share of a map's tasks in each group, as in the paper."""


def grouped(columns: dict, n: int, share: float, seed: int):
    """A map from a record's columns, with n tasks in each group; a task in two of them is named by the first of
    GROUPS."""
    import pandas
    import torch

    from ..active.selection import Candidates, groups

    rows = pandas.DataFrame(columns).assign(seed=seed)
    measures = {name: torch.tensor(rows[name].to_numpy()) for name in ("uncertainty", "probability", "perplexity")}
    tasks = Candidates(torch.arange(len(rows)), torch.tensor((rows["kind"] == KINDS[1]).to_numpy()), **measures)
    chosen = groups(tasks, n, share, seed, "selection/1")
    group = {i: name for name in reversed(GROUPS) for i in chosen[name].tolist()}
    return rows.assign(group=rows.index.map(group).fillna(""))


def pretrained_map(chapter):
    """The map of the pretrained model."""
    (found,) = [record for record in chapter.records if type(record.spec) is MapSpec]
    kinds, n = found.result["map"]["kind"], len(found.result["map"]["kind"])
    rows = grouped(found.result["map"], max(1, round(OF_GROUP * n)), kinds.count(KINDS[1]) / n, found.spec.seed)
    return rows.assign(key=found.spec.key, state=found.state)


def first_maps(chapter):
    """The maps of the first models, a seed after the other; a group has as many tasks as a selection."""
    import pandas

    n_select = {spec.first: spec.n_select for spec in chapter.specs if isinstance(spec, RoundsSpec)}
    found = [(r, r.spec) for r in chapter.records if type(r.spec) is FirstSpec]
    maps = [grouped(r.result["map"], n_select[s], s.share, s.seed).assign(key=s.key, state=r.state) for r, s in found]
    return pandas.concat(maps, ignore_index=True) if maps else pandas.DataFrame()


def agreement(chapter) -> str:
    """How well the measure repeats, in two sentences."""
    rows = pretrained_map(chapter).dropna(subset=["paraphrased"])
    words = correlation(rows["definition"], rows["paraphrased"])
    maps = [one.set_index("task")["uncertainty"] for _, one in first_maps(chapter).groupby("seed")]
    both = [(a, b, a.index.intersection(b.index)) for a, b in itertools.combinations(maps, 2)]
    found = [correlation(a[shared], b[shared]).mean for a, b, shared in both if len(shared) > 3]
    text = f"Over {words.n} tasks, uncertainty by paraphrases and by dropped words have a rank correlation of {words}."
    seeds = "The first models of two seeds rank the tasks that both have with a rank correlation of"
    return text + (f" {seeds} {min(found):.2f} to {max(found):.2f}." if found else "")


def figure_map(chapter):
    """The paper's map and the pretrained model's, in groups."""
    mapped = pretrained_map(chapter)
    figure, axes = plots.panels(2, height=2.8)
    for ax, rows, title in zip(axes, (paper_map(), mapped), ("paper (read off)", "here, the pretrained model")):
        scatter(ax, rows, GROUP_COLORS)
        ax.set_title(f"{title}: {len(rows)} tasks")
    axes[-1].set_xlabel("prompt uncertainty (cube-root axis)")
    plots.legend(figure, axes)
    return plots.finished(figure, mapped)


def figure_agreement(chapter):
    """Uncertainty by paraphrases against that by words dropped, a point a task."""
    mapped = pretrained_map(chapter).dropna(subset=["paraphrased"])
    figure, (ax,) = plots.panels(1)
    reach = 1.1 * max(0.01, mapped["definition"].max(), mapped["paraphrased"].max())
    ax.plot([0, reach], [0, reach], color=plots.QUIET, linewidth=0.8)
    plots.points(ax, mapped["definition"], mapped["paraphrased"])
    for which in "xy":
        cube_root(ax, which, reach)
    ax.set(xlim=(0, reach), ylim=(0, reach), xlabel="uncertainty by dropped words", ylabel="by paraphrases")
    return plots.finished(figure, mapped, f"{len(mapped)} tasks")


def table_map(chapter) -> str:
    """The groups of the pretrained model's map, with one task of each, that of median uncertainty."""
    mapped, rows = pretrained_map(chapter), []
    for group in GROUPS:
        one = mapped[mapped["group"] == group].sort_values(["uncertainty", "task"])
        if len(one):
            cells = [f"{one[name].median():.3f}" for name in ("uncertainty", "probability")]
            middle, right = one.iloc[len(one) // 2], f"{one['rouge_l'].mean():.2f}"
            written = " ".join(middle["written"].split())[:60].replace("`", "'")
            said = f"`{written}`" if written else "nothing"
            rows.append([group, len(one), *cells, right, f"`{middle['task']}`", said])
    header = ["group", "tasks", "uncertainty", "probability", "ROUGE-L", "such a task", "the model's answer"]
    return tables.table("The map's groups: medians, how right own answers are", "tab-natural-map", header, rows)
