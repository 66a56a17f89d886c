"""Your tasks: how uncertain your model is of each, whether that repeats, what it would select, how diverse that is.

The notebook is no part of the study: `ditune run your_tasks -p tasks FILE` executes it, and its page is one of your
runs. Source of the measure and of the map: Kung et al. 2023 (arXiv 2311.00288).
"""

from pathlib import Path

from ..language.pretrained import MODELS
from ..language.your_tasks import ChosenSpec, TasksSpec, chosen, digits, read
from ..report import plots, tables
from ..report.stats import Interval, correlation
from ..specs import Spec, SpecError
from ..store import records

AGREES = 0.5
"""The halves agree where their rank correlation is above this, its whole interval, and where they share more than this
of what they select."""
GROUPS = {"ambiguous": "uncertainty", "difficult": "difficult", "easy": "easy"}
COLORS = {"ambiguous": plots.VERMILION, "difficult": plots.BLACK, "easy": plots.GREEN, "others": plots.SKY}
MEANING = {
    "ambiguous": "The answer's probability moves most when words of the prompt go: the wording decides. Read these "
    "first. Is the instruction unclear, are words of it essential, or does the model know the task only in part?",
    "difficult": "Low and steady probability: the model is unsure however it is asked. Look for tasks that are noisy, "
    "open (many right answers), or beyond the model.",
    "easy": "High and steady probability: the model answers the same way whatever is left out. More training on "
    "these is likely to change little.",
}
SHOWN, EXAMPLES = 20, 3
MARKUP = "\\`*_{}[]<>$|#~:%+&^=-"


def located(parameters: dict) -> dict:
    """The parameters with whole paths, since a notebook runs in a folder of its own; the example lies beside it."""
    found = dict(parameters)
    for name in ("tasks", "model"):
        places = [Path(str(found[name])), records.root() / "notebooks" / str(found[name])]
        if place := next((place for place in places if place.exists() and found[name] not in MODELS), None):
            found[name] = str(place.resolve())
    return found


def runs(tasks, model, n_select, embedding, **others) -> list[Spec]:
    """The measures of the tasks, and the selections. SpecError: the tasks cannot be read, or are too few."""
    where = located({"tasks": tasks, "model": model})
    known = {"content": digits(where["tasks"]), "weights": "" if model in MODELS else digits(where["model"])}
    spec = ChosenSpec.of(**where, **known, n_select=n_select, embedding=embedding, **others)
    n = len(chosen(read(spec.tasks, spec.instruction, spec.input), spec))
    if spec.n_select > n:
        raise SpecError(f"n_select = {spec.n_select}; allowed: 1 to {n}, the tasks that are measured")
    return [spec.first, spec]


def estimated(specs: list[Spec]) -> str:
    """What the measures will cost, before they start. SpecError: something is wrong with the model or the prompts."""
    from ..language.your_tasks import ready

    found = ready(specs[0])
    return (
        f"{len(found.tasks)} tasks ({found.left_out} too long); at most {found.n_read:,} tokens to read and "
        f"{found.n_written:,} to write, {duration(found.seconds)} on one core"
    )


def duration(seconds: float) -> str:
    """Seconds, or minutes where there are many.

    >>> duration(8.2), duration(400)
    ('8 seconds', '7 minutes')
    """
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


# ---- tables ----------------------------------------------------------------------------------------------------------


def result(chapter, kind: type) -> dict:
    """What a run of a kind found."""
    return next(record.result for record in chapter.records if type(record.spec) is kind)


def frame(chapter):
    """A row a task, the most uncertain first: the columns of `your_runs.measured`, group on the map, and for each
    strategy whether it selects the task."""
    import pandas

    (spec, _), found = chapter.specs, result(chapter, ChosenSpec)["selected"]
    rows = pandas.DataFrame(result(chapter, TasksSpec)["tasks"])
    rows = rows.astype({name: float for name in rows if name.startswith(("se", "half_"))})  # None is not a number
    names = {task: group for group in reversed(GROUPS) for task in found[GROUPS[group]]}
    for strategy, tasks in found.items():
        rows[f"by_{strategy}"] = rows["task"].isin(tasks)
    return rows.assign(group=rows["task"].map(names).fillna("others"), seed=spec.seed, key=spec.key).sort_values(
        "uncertainty", ascending=False, kind="stable", ignore_index=True
    )


def halves(rows, n_select: int) -> tuple[bool, Interval, float]:
    """Whether the two halves of the copies agree; their rank correlation over tasks; the share of the n_select most
    uncertain tasks of the one that are so in the other."""
    if rows["half_a"].isna().any():
        return False, Interval(0.0, -1.0, 1.0, 0), 0.0
    found = correlation(rows["half_a"], rows["half_b"])
    top = [set(rows.nlargest(n_select, name)["task"]) for name in ("half_a", "half_b")]
    share = len(top[0] & top[1]) / n_select
    return found.low > AGREES and share > AGREES, found, share


def answer(chapter) -> str:
    """The verdict on the ranking, in bold, and why."""
    rows, n = chapter.frame, chapter.specs[1].n_select
    agree, found, share = halves(rows, n)
    verdict = "The ranking by prompt uncertainty repeats." if agree else "Do not act on this ranking."
    if rows["half_a"].isna().any():
        return f"**{verdict}** With one copy of a prompt nothing tells whether it repeats: set k to 10 or more."
    more = "" if agree else " More copies (k) or more instances of a task (n) may settle it."
    return (
        f"**{verdict}** Ranked by one half of the copies and by the other, the {len(rows)} tasks have a rank "
        f"correlation of {found}, and the halves share {share:.0%} of the {n} most uncertain.{more}"
    )


def write_csv(chapter) -> str:
    """All tasks as a CSV beside this page; a link to it."""
    path = records.root() / "book" / "your_runs" / "your_tasks.csv"
    rows = chapter.frame.drop(columns=["seed", "key"])
    texts = {name: rows[name].map(printable) for name in ("task", "definition", "input", "written")}
    records.write(path, rows.assign(**texts).to_csv(index=False, lineterminator="\n"))
    return f"All {len(chapter.frame)} tasks with all columns: {{download}}`{path.name} <{path.name}>`."


def printable(text: str) -> str:
    """A text without signs that neither print nor break a line.

    >>> printable("a\\r\\n\\x00b")
    'a\\n b'
    """
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text.replace("\r\n", "\n"))


def said(text: str, most: int = 90) -> str:
    """A text on one line, cut, without what Markdown would read."""
    line = " ".join(printable(text).split())
    line = line if len(line) <= most else line[: most - 1] + "…"
    return "".join(f"\\{sign}" if sign in MARKUP else sign for sign in line) or "–"


def table_ranking(chapter) -> str:
    """The most uncertain tasks."""
    found = chapter.frame.head(SHOWN).iterrows()
    rows = [
        [said(one.definition or one.task), f"{one.uncertainty:.3f}", "–" if one.se != one.se else f"{one.se:.3f}",
         f"{one.probability:.2f}", f"{one.perplexity:.2f}", said(one.written, 40)] for _, one in found
    ]  # fmt: skip
    caption = f"The {len(rows)} most uncertain tasks; standard errors over copies and instances"
    header = ["task", "uncertainty", "s.e.", "probability", "perplexity", "the model's first answer"]
    return tables.table(caption, "tab-your-ranking", header, rows)


def corners(chapter) -> str:
    """What the corners of the map mean, with tasks that lie there."""
    parts = []
    for group, meaning in MEANING.items():
        rows = chapter.frame[chapter.frame[f"by_{GROUPS[group]}"]].head(EXAMPLES)
        lines = [f"- {said(one.definition or one.task)} → *{said(one.written, 40)}*" for _, one in rows.iterrows()]
        examples = "\n".join(lines)
        parts.append(f"**{group.capitalize()}.** {meaning}\n\n{examples}")
    return "\n\n".join(parts)


def table_selections(chapter) -> str:
    """What each strategy selects, and how diverse that is."""
    found, n = result(chapter, ChosenSpec), chapter.specs[1].n_select
    texts = chapter.frame.set_index("task")["definition"]
    rows = []
    for strategy, tasks in found["selected"].items():
        first = "; ".join(said(texts[task] or task, 40) for task in tasks[:EXAMPLES])
        rows.append([strategy.replace("_", " "), f"{found['vendi'][strategy]:.1f}", first])
    mean, low, high = found["random_vendi"]
    caption = (
        f"The {n} tasks of each strategy: effective number of different texts (Vendi score), the first three. "
        f"Random selections of {n}: {mean:.1f}, 95 % of them {low:.1f} to {high:.1f}; all {len(texts)}: "
        f"{found['vendi']['all']:.1f}"
    )
    return tables.table(caption, "tab-your-selections", ["strategy", "diversity", "of them"], rows)


def cost(chapter) -> str:
    """What was estimated and what it took."""
    found = result(chapter, TasksSpec)
    took, read_tokens = duration(found["wall_s"]), found["metrics"]["tasks"]["n_read"]
    return f"Estimated: {estimated(chapter.specs)}. It took {took} and {read_tokens:,} tokens."


def figure_map(chapter):
    """The tasks by uncertainty and probability, with standard errors, by group."""
    figure, (ax,) = plots.panels(1, height=3.6)
    for group, color in COLORS.items():
        one = chapter.frame[chapter.frame["group"] == group]
        look = {"color": color, "linestyle": "", "marker": "o", "markersize": 4, "elinewidth": 0.7}
        ax.errorbar(one["uncertainty"], one["probability"], xerr=one["se"].fillna(0.0), label=group, **look)
    ax.set(xlim=(0, None), ylim=(-0.02, 1.04), xlabel="prompt uncertainty", ylabel="probability of its own answer")
    plots.legend(figure, [ax], list(COLORS))
    return plots.finished(figure, chapter.frame, f"{len(chapter.frame)} tasks", "bars: standard errors")
