"""Chapter 09: an example of prompt uncertainty U, U in the course of training, and U measured less, otherwise, at what cost.

Runs are {"profile laptop": [MeasureSpec]}, the executed ones first. Rank correlations are Spearman's, over the tasks of a seed;
means and intervals are over seeds.
"""

import matplotlib.pyplot as plt
import pandas
import torch

from ..active.measuring import agreement
from ..active.pool import pool_tasks
from ..active.specs import MeasureSpec
from ..active.uncertainty import perturbed, uncertainty
from ..claims.ledger import sentence
from ..figures.intervals import interval
from ..figures.shared import grouped_panels
from ..report import bench
from ..rewriting.tasks import Alphabet
from . import plotting, select_tables

STABLE = 0.9
"""The rank correlation from which two orders of tasks are called alike here: a convention of this chapter, not of the paper."""
PAPER_MEDIAN = 0.038
"""Median U of the paper's map (2311.00288), over the 466 of its 620 tasks that can be told apart in the picture."""
DOTS = {"rank": ("with U as selected", plotting.BLUE, "o"), "probability": ("with the probability p₀", plotting.VERMILION, "s")}


def said(runs: dict, function) -> str:
    """What a function of runs says of each set of them."""
    return " ".join(f"{sentence([origin])}: {function(specs)}" for origin, specs in runs.items())


def origins(frames: dict) -> list[str]:
    """The lines under a figure."""
    return [plotting.made_by(frame, origin) for origin, frame in frames.items()]


def correlations(ax):
    """An axis of rank correlations."""
    ax.set(ylim=(-1.08, 1.08), ylabel="rank correlation")
    ax.axhline(0, color=plotting.QUIET, linewidth=0.8, zorder=1)


def mean_of(values) -> str:
    """The mean of the values that are defined, with its interval; a dash where none is."""
    defined = values.dropna().astype(float)
    return str(interval(defined)) if len(defined) else "–"


def clock(seconds: float) -> str:
    """Seconds in two digits.

    >>> clock(0.0432), clock(178.6)
    ('0.043', '180')
    """
    return bench.short(float(f"{seconds:.2g}"))


# ---- the example -----------------------------------------------------------------------------------------------------


def example(specs: list[MeasureSpec], name: str) -> str:
    """The recorded task of the first run in full: its prompts, the probabilities of the answer to one instance, and U."""
    spec, result = next(select_tables.found(specs))
    found, letters = result["example"], Alphabet(spec.pool.alphabet_size)
    task = pool_tasks(spec.pool, spec.seed).prompts(torch.tensor([found["task"]]))[0]
    known, p = select_tables.known(spec).loc[found["task"]], torch.tensor(found["p"], dtype=torch.float64)
    heads = perturbed(task.prompt, spec.k, spec.drop_rate, spec.seed, task.name).lists()
    shown = [f"`{letters.text(head)}{letters.text(task.inputs[0])}`" for head in heads]
    rows = [[f"$I_{{{j}}}$", text, f"{p[0, j]:.3f}", f"{(p[0, j] - p[0, 0]).abs():.3f}" if j else ""] for j, text in enumerate(shown)]
    one, whole = uncertainty(p[None, :1]).item(), uncertainty(p[None]).item()
    caption = f"Task {found['task']} of the pool ({known['family']}, {known['kind']}, {known['noise']}), its first instance behind the prompt and {spec.k} copies"
    answer, gold = (f"`{letters.text(tokens)}`" for tokens in (found["answers"][0], task.golds[0]))
    words = (
        f"Under $I_0$ the model answers {answer}; the right answer is {gold}. The last column has the mean {one:.3f} over the {spec.k} copies. "
        f"The same for all {len(p)} instances, and the mean over them, is the uncertainty of the task: U = {whole:.3f}."
    )
    return words + "\n\n" + plotting.table(caption, name, ["", "prompt and input", "p of the answer", "change from $I_0$"], rows)


# ---- in the course of training ---------------------------------------------------------------------------------------


def over_training(specs: list[MeasureSpec]) -> pandas.DataFrame:
    """One row per seed and point of training: means of U and p over the tasks, exact match on the test, and rank correlations
    of U: with_last (with U at the end), with_probability, with_perplexity; undefined where either is constant."""
    tasks, rows = select_tables.over_training(specs), []
    right = {(spec.seed, point["step"]): point["exact_match"] for spec, result in select_tables.found(specs) for point in result["metrics"].values()}
    for seed, of_seed in tasks.groupby("seed"):
        last = of_seed[of_seed["step"] == of_seed["step"].max()].set_index("task")["uncertainty"]
        for step, now in of_seed.groupby("step"):
            now = now.set_index("task")
            others = {"with_last": last[now.index], "with_probability": now["probability"], "with_perplexity": now["perplexity"]}
            u = torch.tensor(now["uncertainty"].to_numpy())
            ranks = {name: agreement(u, torch.tensor(other.to_numpy())) for name, other in others.items()}
            means = now[["uncertainty", "probability"]].mean().to_dict()
            rows.append({"seed": seed, "step": step, "exact_match": right[seed, step]} | means | ranks)
    return pandas.DataFrame(rows).astype(float)  # None becomes not a number


def lines(table, columns: dict[str, str]) -> dict:
    """Columns of a table as groups of one column, "value", under their labels; what is undefined is left out."""
    return {label: table.assign(value=table[name]).dropna(subset="value") for name, label in columns.items()}


def training_figure(runs: dict, frames: dict):
    """Two panels for each set of runs: means of U, p and exact match; rank correlations of U."""
    panels = {}
    for origin, specs in runs.items():
        table = over_training(specs)
        panels[f"{sentence([origin])}: means"] = lines(table, {"uncertainty": "uncertainty U", "probability": "probability p₀", "exact_match": "exact match, test"})
        panels[f"{sentence([origin])}: order of the tasks"] = lines(table, {"with_last": "U with U at the end", "with_probability": "U with p₀"})
    figure = grouped_panels(panels, origins(frames), x="step", y="value", xlabel="optimiser steps", ylabel="mean", scale="linear")
    for ax in figure.axes[1::2]:
        correlations(ax)
    return figure


def training_in_words(specs: list[MeasureSpec]) -> str:
    """U and p at the end, how far U moved with p, and how early its order was that of the end."""
    table = over_training(specs)
    at_end = table[table["step"] == table["step"].max()]
    u, p, by_p, by_perplexity = (mean_of(at_end[name]) for name in ("uncertainty", "probability", "with_probability", "with_perplexity"))
    before = table[table["step"] < table["step"].max()].groupby("step")["with_last"].mean()
    alike = next((f"from step {step:.0f} on" for step in before.index if (before[before.index >= step] >= STABLE).all()), "at no earlier point")
    return (
        f"At the end U is {u} in the mean over tasks and p₀ is {p}. Over tasks, the rank correlation of U with p₀ is {by_p}, with perplexity {by_perplexity}. "
        f"The order of the tasks agrees with that of the end, with a mean rank correlation of {STABLE} or more, {alike}."
    )


# ---- less and more of it ---------------------------------------------------------------------------------------------


def sizes_figure(runs: dict, frames: dict):
    """Two panels for each set of runs, against k, a line for each n: agreement with the largest measurement, and between two
    measurements that share no instance and no copy."""
    panels, sizes = {}, []
    for origin, specs in runs.items():
        table = select_tables.sizes(specs)
        sizes = sorted({*sizes, *table["n"]})
        for column, words in (("rank", "with the largest measurement"), ("again", "of two separate measurements")):
            rows = table.assign(value=table[column]).dropna(subset="value")
            if len(rows):
                panels[f"{sentence([origin])}: agreement\n{words}"] = {f"n = {n}": of_n for n, of_n in rows.groupby("n")}
    figure = grouped_panels(panels, origins(frames), x="k", y="value", xlabel="perturbed prompts k (logarithmic)", ylabel="rank correlation", order=[f"n = {n}" for n in sizes])
    for ax in figure.axes:
        correlations(ax)
        ax.set_ylim(min(0, ax.dataLim.y0) - 0.04, 1.04)
    return figure


def sizes_table(origin: str, specs: list[MeasureSpec], name: str) -> str:
    """By n and k: questions to the model, mean U, agreement with the largest and of two separate measurements."""
    table, rows = select_tables.sizes(specs), []
    for (n, k), group in table.groupby(["n", "k"]):
        rows.append([n, k, n * (k + 1), *(mean_of(group[column]) for column in ("mean", "rank", "again"))])
    header = ["n", "k", "pairs of a task", "mean U", "with the largest", "two separate ones"]
    return plotting.table(f"Agreement of smaller measurements, {origin}: rank correlations, means over seeds with 95 % bootstrap intervals", name, header, rows)


def sizes_in_words(specs: list[MeasureSpec]) -> str:
    """The cheapest measurement that orders tasks as the largest does, and how far the largest separate ones agree."""
    table = select_tables.sizes(specs)
    table = table.assign(pairs=table["n"] * (table["k"] + 1))
    largest = table.loc[table["pairs"].idxmax()]
    means = table.astype({"rank": float, "again": float}).groupby(["pairs", "n", "k"])[["rank", "again"]].mean()
    enough = next((size for size, rank in means["rank"].items() if rank >= STABLE and size[0] < largest["pairs"]), None)
    text = f"The largest measurement has n = {largest['n']:.0f} and k = {largest['k']:.0f}, {largest['pairs']:.0f} pairs of instance and prompt a task. "
    if enough:
        text += f"The smallest whose mean rank correlation with it is {STABLE} or more has n = {enough[1]}, k = {enough[2]}, {enough[0]} pairs. "
    else:
        text += f"No smaller one has a mean rank correlation of {STABLE} with it. "
    separate = means["again"].dropna()
    if len(separate):
        pairs, n, k = separate.index[-1]
        of_size = mean_of(table[(table["n"] == n) & (table["k"] == k)]["again"])
        text += f"Two separate measurements with n = {n} and k = {k} agree with a rank correlation of {of_size}."
    return text


# ---- other ways, and the cost ----------------------------------------------------------------------------------------


def variants_figure(runs: dict, frames: dict):
    """A line for each way to measure: its rank correlation with U as selected and with the prediction probability."""
    tables = {origin: select_tables.variants(specs) for origin, specs in runs.items()}
    heights = [table["name"].nunique() for table in tables.values()]
    figure, axes = plt.subplots(len(tables), 1, figsize=(plotting.WIDTH, 0.34 * sum(heights) + len(tables) + 0.9), height_ratios=heights, sharex=True, squeeze=False)
    for ax, (origin, table) in zip(axes[:, 0], tables.items()):
        variant_dots(ax, table)
        ax.set_title(f"{sentence([origin])}")
    axes[-1, 0].set(xlim=(-1.08, 1.08), xlabel="rank correlation over tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    plotting.sign(figure, origins(frames))
    return figure


def variant_dots(ax, table):
    """One panel of `variants_figure`: open marks are seeds, full ones means, bars intervals."""
    names = list(dict.fromkeys(table["name"]))
    for i, (column, (label, color, marker)) in enumerate(DOTS.items()):
        for y, name in enumerate(names):
            values = table[table["name"] == name][column].dropna().astype(float)
            at = -y + 0.12 - 0.24 * i
            ax.plot(values, [at] * len(values), linestyle="", marker=marker, markersize=4, markerfacecolor="white", markeredgecolor=color)
            if len(values):
                mean = interval(values)
                ax.plot([mean.low, mean.high], [at, at], color=color, linewidth=2.4, alpha=0.6)
                ax.plot(mean.mean, at, linestyle="", marker=marker, markersize=5, color=color)
        ax.plot([], [], linestyle="", marker=marker, color=color, label=label)
    ax.axvline(0, color=plotting.QUIET, linewidth=0.8, zorder=1)
    ax.set(yticks=[-y for y in range(len(names))], yticklabels=names, ylim=(-len(names) + 0.4, 0.6))


def variants_table(origin: str, specs: list[MeasureSpec], name: str) -> str:
    """By way to measure: mean, agreement, and what was asked of the model. A copy that lost nothing is not scored."""
    table, spec, rows = select_tables.variants(specs), specs[0], []
    n_rows = table["n_answered"].iloc[0]  # tasks x instances
    for one in dict.fromkeys(table["name"]):
        group = table[table["name"] == one]
        means = [mean_of(group[column]) for column in ("mean", *DOTS)]
        lost, seconds = (group["n_scored"].mean() - n_rows) / (n_rows * spec.k), group["seconds"].mean()
        asked = [f"{group[column].mean():,.0f}" for column in ("n_answered", "n_scored")]
        rows.append([one, *means, f"{lost:.0%}", *asked, clock(seconds)])
    header = ["measured", "mean", *(label for label, _, _ in DOTS.values()), "copies that lost a letter", "answers", "pairs scored", "seconds"]
    caption = f"Ways to measure, {origin}: n = {spec.n}, k = {spec.k}, as selected with drop rate {spec.drop_rate:g}; rank correlations with 95 % bootstrap intervals over seeds; counts and seconds are means"
    return plotting.table(caption, name, header, rows)


def strength_in_words(specs: list[MeasureSpec]) -> str:
    """How near U is to what it would be if every copy ruined every answer, beside the paper's U."""
    table = select_tables.over_training(specs)
    last = table[table["step"] == table.groupby("seed")["step"].transform("max")]
    medians, shares = last.groupby("seed")["uncertainty"].median(), last.groupby("seed")[["uncertainty", "probability"]].mean()
    share = interval(shares["uncertainty"] / shares["probability"])
    return (
        f"The median of U over tasks is {interval(medians)} here; on the paper's map it is {PAPER_MEDIAN}. "
        f"If every copy made the answer impossible, U would be p₀; the mean of U is {share} of the mean of p₀."
    )


def cost_in_words(specs: list[MeasureSpec]) -> str:
    """What a measurement took beside the training before it, and what `ditune bench` measured."""
    found = [result for _, result in select_tables.found(specs)]
    train, measured = (interval(values) for values in zip(*((r["train_s"], r["seconds"]["as selected"]) for r in found)))
    spec = specs[0]
    n_tasks, n = spec.pool.n_tasks - spec.n_initial, min(spec.n, spec.pool.n_instances)
    return (
        f"A measurement of {n_tasks:,} tasks asks for {n} greedy answers and at most {n * (spec.k + 1)} scored pairs a task, {n_tasks * n * (spec.k + 1):,} pairs in all. "
        f"It took {clock(measured.mean)} s, the training before it {clock(train.mean)} s (means over seeds, on one core)."
    )


def speed_table(name: str) -> str:
    """The measured comparisons of prompt uncertainty with asking one pair at a time, of all machines."""
    found = [(row, content["machine"]["cpu"]) for content in bench.read() for row in bench.comparisons(content) if row["what"].startswith("prompt uncertainty")]
    rows = [[row["what"], row["peer_name"], f"{bench.short(row['ours'])} s", f"{bench.short(row['peer'])} s", f"**{bench.ratio(row)}**", cpu] for row, cpu in found]
    caption = "Prompt uncertainty of one model measured here and one question at a time, on one core: medians of the repetitions"
    notes = dict.fromkeys(row["note"] for row, _ in found if row.get("note"))
    shown = plotting.table(caption, name, ["what", "against", "ours", "peer", "ratio", "machine"], rows or [["not measured on any machine yet", *[""] * 5]])
    return "\n\n".join([shown, *(f"*{note}.*" for note in notes)])


def settings_table(runs: dict, name: str) -> str:
    """The sizes of the runs beside those of the paper."""
    settings = {
        "tasks to choose from, the initial ones included": ("688", lambda s: s.pool.n_tasks),
        "tasks that the model is trained on": ("68", lambda s: s.n_initial),
        "instances of a task": ("200", lambda s: s.pool.n_instances),
        "instances n, copies k, drop rate": ("10, 10, 0.2", lambda s: f"{s.n}, {s.k}, {s.drop_rate:g}"),
        "what is dropped": ("words", lambda s: f"letters, of {s.pool.alphabet_size}"),
        "model": ("T5-large, pretrained", lambda s: f"{s.model.n_layer} × {s.model.n_embd}, from random weights"),
        "training": ("8 passes, batch 128", lambda s: f"{s.train.n_steps} steps, batch {s.train.batch_size}"),
        "seeds": ("5 splits", lambda s: ""),
    }
    rows = [[what, paper, *(value(specs[0]) or len(specs) for specs in runs.values())] for what, (paper, value) in settings.items()]
    return plotting.table("The paper's settings and those of the runs", name, ["setting", "paper", *runs], rows)
