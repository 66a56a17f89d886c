"""01: what the models are asked to do: rules, examples, seen and unseen rules. Nothing is trained.

Source: Zhang et al. 2024 (arXiv 2405.19787), symbolic experiments; how seen and unseen rules are split is our own.
"""

import functools

from ..report import plots, tables
from ..rewriting.specs import RunSpec, TaskSpec
from ..specs import SpecError
from .common import MOST_SHOWN, literal

PARTS = {
    "x": (plots.ORANGE, "rule: x"),
    "y": (plots.SKY, "rule: y"),
    "z": ("#e6e6e6", "input"),
    "answer": ("#cfe8dd", "answer"),
    "sign": ("#ffffff", "sign"),
}
"""Colour and name of each part of an example."""
PER_LINE = 32
"""Tokens in a line of the figure."""


def runs(seed, task, n_examples) -> list[RunSpec]:
    """No runs; checks the parameters.

    seed: of the streams that rules and inputs are drawn from; task: fields of `TaskSpec` that differ from the paper's;
    n_examples: how many examples are looked at.
    """
    RunSpec.of(task=literal("task", task, dict), seed=literal("seed", seed, int))
    if not 1 <= literal("n_examples", n_examples, int) <= MOST_SHOWN:
        raise SpecError(f"n_examples = {n_examples!r}; allowed: 1 to {MOST_SHOWN}")
    return []


def sample(specs: list[RunSpec]) -> list[RunSpec]:
    """Nothing is computed again: every build draws the examples anew."""
    return []


# ---- examples --------------------------------------------------------------------------------------------------------


def chosen(chapter) -> tuple[TaskSpec, int, int]:
    """The task, the seed, and the number of examples."""
    own = chapter.parameters
    return (
        TaskSpec.of(**literal("task", own["task"], dict)),
        literal("seed", own["seed"], int),
        literal("n_examples", own["n_examples"], int),
    )


@functools.lru_cache(2)
def examples(task: TaskSpec, seed: int, n: int) -> dict:
    """Training examples and examples of unseen rules as tables with columns x, y, z, answer."""
    import pandas
    import torch

    from ..rewriting import tasks

    signs, number = tasks.Alphabet(task.alphabet_size), torch.arange(n)
    pattern = r"(?P<x>\w+)>(?P<y>\w+)\|(?P<z>\w+)=(?P<answer>\w+)\."
    drawn = {"seen": tasks.training_examples(task, seed, number), "unseen": tasks.unseen_examples(task, seed, number)}
    texts = {name: pandas.Series([signs.text(row) for row in one.tokens.tolist()]) for name, one in drawn.items()}
    return {name: text.str.extract(pattern) for name, text in texts.items()}


@functools.lru_cache(2)
def wrong(task: TaskSpec, seed: int, n: int) -> dict[str, int]:
    """How many of their answers differ from what the reference program writes."""
    from ..rewriting.markov import rewrite

    rows = {name: zip(d["x"], d["y"], d["z"], d["answer"]) for name, d in examples(task, seed, n).items()}
    return {name: sum(rewrite(z, x, y) != answer for x, y, z, answer in own) for name, own in rows.items()}


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


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """That the two sets of rules have no side in common, counted."""
    task, seed, n = chosen(chapter)
    seen, unseen = examples(task, seed, n).values()
    common = sum(len(set(seen[side]) & set(unseen[side])) for side in "xy")
    what = "A model reads a rule and an input and writes the input with the rule applied once"
    shared = f"{common} share a side with a rule of the other kind"
    errors = f"{sum(wrong(task, seed, n).values())} answers differ from the reference program's"
    return f"**{what}. Of {n:,} training examples and {n:,} of unseen rules, {shared}, and {errors}.**"


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
            square = {"facecolor": PARTS[kind][0], "edgecolor": "#bbbbbb", "linewidth": 0.5}
            ax.add_patch(plt.Rectangle((column, y), 0.94, 0.94, **square))
            ax.text(column + 0.47, y + 0.44, letter, ha="center", va="center", fontsize=9, family="DejaVu Sans Mono")
    ax.set(xlim=(-0.1, wide + 0.1), ylim=(y - 0.1, -0.4), aspect="equal")
    ax.axis("off")
    handles = [plt.Rectangle((0, 0), 1, 1, facecolor=color, edgecolor="#bbbbbb") for color, _ in PARTS.values()]
    names = [name for _, name in PARTS.values()]
    figure.legend(handles, names, loc="outside upper left", ncols=5, handlelength=0.9, columnspacing=0.9)
    return figure


def figure_even(chapter):
    """Shares of values that should be equally frequent, with the band of two standard deviations of an even draw."""
    from ..rewriting.tasks import Alphabet

    task, seed, n = chosen(chapter)
    rows = examples(task, seed, n)["seen"]
    rest = "".join(z.replace(x, "", 1) for x, z in zip(rows["x"], rows["z"]))
    places = [z.find(x) for x, z in zip(rows["x"], rows["z"])]
    letters = list(Alphabet(task.alphabet_size).text(range(task.alphabet_size)))
    columns = range(task.z_len[1] - task.x_len[0] + 1)
    figure, axes = plots.panels(2, height=1.8)
    even_shares(
        axes[0], letters, [rest.count(letter) for letter in letters], "Letters of the input outside x", "letter"
    )
    even_shares(axes[1], columns, [places.count(column) for column in columns], "Place of x", "letters before x")
    plots.legend(figure, axes[:1])
    return figure


def even_shares(ax, labels, counts, title: str, xlabel: str):
    """The shares of values beside the even share, plus and minus two standard deviations of an even draw of as many."""
    total, even = sum(counts), 1 / len(counts)
    shares, deviation = [count / total for count in counts], 2 * (even * (1 - even) / total) ** 0.5
    ax.axhspan(even - deviation, even + deviation, color="#d9d9d9", linewidth=0, label="even, ±2 s.d.")
    ax.plot(range(len(counts)), shares, linestyle="", marker="o", markersize=4, color=plots.BLUE, label="share")
    reach = max(2 * deviation, 1.2 * max(abs(share - even) for share in shares))
    every = max(1, -(-len(labels) // 26))
    ax.set(ylim=(even - reach, even + reach), ylabel="share", xlabel=xlabel, title=title)
    ax.set_xticks(range(0, len(labels), every), labels[::every])


def table_split(chapter) -> str:
    """Training examples and examples of unseen rules, counted."""
    task, seed, n = chosen(chapter)
    both = examples(task, seed, n)
    seen, unseen = both.values()
    rows = [["different rules", *(f"{len(d.drop_duplicates(['x', 'y'])):,}" for d in both.values())]]
    for side in "xy":
        rows.append([f"different {side}", *(f"{d[side].nunique():,}" for d in both.values())])
        rows.append([f"{side} that the other set has too", *[f"{len(set(seen[side]) & set(unseen[side])):,}"] * 2])
    crossed = [len(set(a["x"]) & set(b["y"])) for a, b in ((seen, unseen), (unseen, seen))]
    rows.append(["x that the other set has as y", *(f"{count:,}" for count in crossed)])
    rows.append(["answers that differ from the reference program's", *map(str, wrong(task, seed, n).values())])
    caption = f"{n:,} training examples of {task.n_rules:,} rules, and as many examples of unseen rules"
    return tables.table(caption, "tab-split", ["", "training", "unseen"], rows)


def table_budget(chapter) -> str:
    """What a fixed number of training examples gives with different numbers of rules."""
    import torch

    from ..rewriting import tasks

    task, seed, n = chosen(chapter)
    number, rows = torch.arange(task.n_examples), []
    for n_rules in [10**e for e in range(1, 8) if 10**e <= min(task.n_examples, task.n_pairs(False))]:
        own = task.replace(n_rules=n_rules)
        rule = tasks.rule_of_example(own, seed, number)
        each = dict.fromkeys(f"{count:,}" for count in rule.bincount(minlength=n_rules).aminmax())
        first = number[rule < 10].split(10_000)
        trained = {bytes(row) for part in first for row in tasks.training_examples(own, seed, part).tokens.numpy()}
        fresh = [tasks.generate(own, seed, p % 10, task.n_examples + p).tokens for p in torch.arange(n).split(10_000)]
        known = sum(bytes(row) in trained for part in fresh for row in part.numpy())
        rows.append([f"{n_rules:,}", " to ".join(each), f"{known / n:.2%}"])
    caption = (
        f"{task.n_examples:,} training examples: how many of each rule, and fresh inputs of a rule that training has"
    )
    return tables.table(caption, "tab-budget", ["rules", "examples of each", "fresh inputs in training"], rows)
