"""01: what the models are asked to do: rules, examples, seen and unseen rules. Nothing is trained.

Source: Zhang et al. 2024 (arXiv 2405.19787), symbolic experiments; how seen and unseen rules are split is our own.
"""

import functools

from ..report import plots, tables
from ..rewriting.specs import RunSpec, TaskSpec
from ..specs import SpecError
from .common import MOST_SHOWN, literal

PARTS = {"x": (plots.ORANGE, "rule: x"), "y": (plots.SKY, "rule: y"), "z": ("#e6e6e6", "input"),
         "answer": ("#cfe8dd", "answer"), "sign": ("#ffffff", "sign")}  # fmt: skip
"""Colour and name of each part of an example."""
PER_LINE = 32
"""Tokens in a line of the figure."""


def runs(seed, task, n_examples) -> list[RunSpec]:
    """No runs; checks the parameters. seed: of the streams that rules and inputs are drawn from; task: fields of
    `TaskSpec` that differ from the paper's; n_examples: how many examples are looked at."""
    RunSpec.of(task=literal("task", task, dict), seed=literal("seed", seed, int))
    if not 1 <= literal("n_examples", n_examples, int) <= MOST_SHOWN:
        raise SpecError(f"n_examples = {n_examples!r}; allowed: 1 to {MOST_SHOWN}")
    return []


def chosen(chapter) -> tuple[TaskSpec, int, int]:
    """The task, the seed, and the number of examples."""
    own = {name: literal(name, value, dict if name == "task" else int) for name, value in chapter.parameters.items()}
    return TaskSpec.of(**own["task"]), own["seed"], own["n_examples"]


@functools.lru_cache(2)
def examples(task: TaskSpec, seed: int, n: int) -> tuple:
    """Training examples and examples of unseen rules as tables with columns x, y, z, answer, and whether the answer is
    `right`: what the reference program writes."""
    import pandas
    import torch

    from ..rewriting import markov, tasks

    signs, number, tables = tasks.Alphabet(task.alphabet_size), torch.arange(n), []
    for draw in (tasks.training_examples, tasks.unseen_examples):
        text = pandas.Series([signs.text(row) for row in draw(task, seed, number).tokens.tolist()])
        found = text.str.extract(r"(?P<x>\w+)>(?P<y>\w+)\|(?P<z>\w+)=(?P<answer>\w+)\.")
        reference = [markov.rewrite(z, x, y) for x, y, z in zip(found["x"], found["y"], found["z"])]
        tables.append(found.assign(right=found["answer"] == reference))
    return tuple(tables)


def shown(chapter) -> list[str]:
    """Three examples: two of one training rule, and one of an unseen rule."""
    import torch

    from ..rewriting import tasks

    task, seed, _ = chosen(chapter)
    of_rule_0 = torch.tensor([0, task.n_rules])  # training example i belongs to rule i mod the number of rules
    rows = tasks.training_examples(task, seed, of_rule_0).tokens.tolist()
    rows += tasks.unseen_examples(task, seed, torch.tensor([0])).tokens.tolist()
    return [tasks.Alphabet(task.alphabet_size).text(row).rstrip("_") for row in rows]


def parts_of(text: str) -> list[str]:
    """The part of each sign of `x>y|z=answer.`; letters of the input and the answer that are x or y bear their names.

    >>> parts_of("ab>cd|zabz=zcdz.")
    ['x', 'x', 'sign', 'y', 'y', 'sign', 'z', 'x', 'x', 'z', 'sign', 'answer', 'y', 'y', 'answer', 'sign']
    """
    rule, rest = text.split("|")
    x, y = rule.split(">")
    z, answer = rest[:-1].split("=")
    at = z.find(x)
    kinds = ["x"] * len(x) + ["sign"] + ["y"] * len(y) + ["sign"]
    for word, inside, name, base in ((z, len(x), "x", "z"), (answer, len(y), "y", "answer")):
        kinds += [name if 0 <= at <= i < at + inside else base for i in range(len(word))] + ["sign"]
    return kinds


def answer(chapter) -> str:
    """That the two sets of rules have no side in common, counted."""
    seen, unseen = examples(*chosen(chapter))
    common = sum(len(set(seen[side]) & set(unseen[side])) for side in "xy")
    what = "A model reads a rule and an input and writes the input with the rule applied once"
    both = f"Of {len(seen):,} training examples and {len(unseen):,} of unseen rules"
    shared = f"{common} share a side with a rule of the other kind"
    errors = f"{(~seen['right']).sum() + (~unseen['right']).sum()} answers differ from the reference program's"
    return f"**{what}. {both}, {shared}, and {errors}.**"


def figure_examples(chapter):
    """Examples as rows of squares, a square a token, coloured by the part of the example; long rows are wrapped."""
    import matplotlib.pyplot as plt

    rows, y = shown(chapter), 0.0
    wide, lines = min(PER_LINE, max(map(len, rows))), sum(-(-len(row) // PER_LINE) for row in rows)
    figure, (ax,) = plots.panels(1, height=(lines + 0.5 * len(rows)) * plots.WIDTH / (wide + 0.4))
    for row in rows:
        y -= 0.5
        for i, (letter, kind) in enumerate(zip(row, parts_of(row))):
            column, y = i % PER_LINE, y - (i % PER_LINE == 0)
            color, name = PARTS[kind]
            square = {"facecolor": color, "edgecolor": "#bbbbbb", "linewidth": 0.5, "label": name}
            ax.add_patch(plt.Rectangle((column, y), 0.94, 0.94, **square))
            ax.text(column + 0.47, y + 0.44, letter, ha="center", va="center", fontsize=9, family="DejaVu Sans Mono")
    ax.set(xlim=(-0.1, wide + 0.1), ylim=(y - 0.1, -0.4), aspect="equal")
    ax.axis("off")
    plots.legend(figure, [ax])
    return figure


def table_split(chapter) -> str:
    """Training examples and examples of unseen rules, counted."""
    task, seed, n = chosen(chapter)
    both = seen, unseen = examples(task, seed, n)
    rows = [["different rules", *(len(d.drop_duplicates(["x", "y"])) for d in both)]]
    for side in "xy":
        rows.append([f"different {side}", *(d[side].nunique() for d in both)])
        rows.append([f"{side} that the other set has too", *[len(set(seen[side]) & set(unseen[side]))] * 2])
    rows.append(["x that the other set has as y", *(len(set(a["x"]) & set(b["y"])) for a, b in (both, both[::-1]))])
    rows.append(["answers that differ from the reference program's", *(int((~d["right"]).sum()) for d in both)])
    caption = f"{n:,} training examples of {task.n_rules:,} rules, and as many examples of unseen rules"
    rows = [list(map(tables.shown, row)) for row in rows]
    return tables.table(caption, "tab-split", ["", "training", "unseen"], rows)
