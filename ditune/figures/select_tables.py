"""Tables of recorded selections and measurements, for the chapters on active selection: what joins records and pool.

`records.frame` has one row per run and round already (`strategy`, `seed`, `round`, `n_trained`, `n_clean`, `exact_match`), and
`records.slices` the same by family and by kind. What is here needs the tasks themselves, or several runs.
"""

from collections.abc import Iterable, Iterator

import pandas
import torch

from ..active.pool import Tasks, pool_tasks
from ..active.selection import Candidates, groups
from ..active.specs import MeasureSpec, SelectSpec, StartSpec
from ..figures.intervals import interval
from ..rewriting.tasks import Alphabet
from ..specs import Spec
from ..store import records


def found(specs: Iterable[Spec]) -> Iterator[tuple[Spec, dict]]:
    """The specs that have a result, with it."""
    for spec in dict.fromkeys(specs):
        record = records.find(spec)
        if record and record.state != "failed":
            yield spec, record.result


def known(spec: StartSpec) -> pandas.DataFrame:
    """What is known of each task of a run's pool: task, family, kind, noise; indexed by the task's number."""
    return pandas.DataFrame(pool_tasks(spec.pool, spec.seed).columns()).set_index("task", drop=False)


def selected(specs: Iterable[SelectSpec]) -> pandas.DataFrame:
    """One row per run and task that it trained on: strategy, seed, round (0: initial), task, family, kind, noise."""
    rows = [
        known(spec).loc[numbers].assign(strategy=spec.strategy, seed=spec.seed, round=number)
        for spec, result in found(specs)
        for number, numbers in enumerate(result["selected"])
    ]
    return pandas.concat(rows, ignore_index=True) if rows else pandas.DataFrame()


def task_map(specs: Iterable[SelectSpec]) -> pandas.DataFrame:
    """The task map of each seed, by its first model: seed, task, family, kind, noise, uncertainty (x), probability (y),
    perplexity and group: "ambiguous", "difficult", "easy", or "" for the others.

    From the first run of a seed that measured uncertainty. A group holds the n_select tasks that its strategy would take;
    a task in two of them is named by the first, in this order.
    """
    tables = {}
    for spec, result in found(specs):
        if result["map"] and spec.seed not in tables:
            table = known(spec).loc[result["map"]["task"]].assign(seed=spec.seed, **{n: v for n, v in result["map"].items() if n != "task"})
            tables[spec.seed] = table.assign(group=table["task"].map(group_of(spec, table)).fillna(""))
    return pandas.concat(tables.values(), ignore_index=True) if tables else pandas.DataFrame()


def group_of(spec: SelectSpec, table: pandas.DataFrame) -> dict[int, str]:
    """The group of each task that is in one."""
    measured = {name: torch.tensor(table[name].to_numpy()) for name in ("uncertainty", "probability", "perplexity")}
    tasks = Candidates(torch.tensor(table["task"].to_numpy()), torch.tensor((table["kind"] == "decision").to_numpy()), **measured)
    named = groups(tasks, spec.n_select, spec.pool.decision_share, spec.seed, "selection/1")
    return {number: group for group in reversed(named) for number in named[group].tolist()}


def gains(frame: pandas.DataFrame, baseline: str = "random", value: str = "exact_match") -> pandas.DataFrame:
    """How much more a strategy has than the baseline after each round, paired by seed: strategy, round, n_trained, gain (an
    `intervals.Interval` over the seeds that both have). `frame`: of `records.frame`, or one family of `records.slices`."""
    wide = frame.pivot_table(index=["round", "n_trained", "seed"], columns="strategy", values=value)
    change = wide.sub(wide[baseline], axis=0).drop(columns=baseline)
    rows = [
        {"strategy": strategy, "round": number, "n_trained": n_trained, "gain": interval(values.dropna())}
        for strategy in change
        for (number, n_trained), values in change[strategy].groupby(level=["round", "n_trained"])
        if len(values.dropna())
    ]
    return pandas.DataFrame(rows)


def costs(specs: Iterable[SelectSpec]) -> pandas.DataFrame:
    """One row per run: strategy, seed; n_scored pairs of prompt and answer, n_answered greedy answers, n_read prompts, of
    all selections; train_s and score_s, seconds of trainings and of selections."""
    rows = []
    for spec, result in found(specs):
        passes = {name: sum(cost[name] for cost in result["costs"]) for name in ("n_scored", "n_answered", "n_read")}
        rows.append({"strategy": spec.strategy, "seed": spec.seed} | passes | {name: result[name] for name in ("train_s", "score_s")})
    return pandas.DataFrame(rows)


def example(tasks: Tasks, number: int, instance: int = 0) -> str:
    """A row of a task as text: definition, worked examples, input and answer."""
    return Alphabet(tasks.spec.alphabet_size).text(tasks.tokens[number, instance].tolist())


# ---- the measure -----------------------------------------------------------------------------------------------------


def over_training(specs: Iterable[MeasureSpec]) -> pandas.DataFrame:
    """One row per run, point of training and task: seed, step, task, family, kind, noise, uncertainty, probability,
    perplexity."""
    rows = [
        known(spec).loc[point["task"]].assign(seed=spec.seed, step=int(step.split()[1]), **{n: v for n, v in point.items() if n != "task"})
        for spec, result in found(specs)
        for step, point in result["maps"].items()
    ]
    return pandas.concat(rows, ignore_index=True) if rows else pandas.DataFrame()


def sizes(specs: Iterable[MeasureSpec]) -> pandas.DataFrame:
    """How U depends on its size, as `measuring.sizes` says: seed, n, k, mean, rank, again."""
    return pandas.DataFrame({"seed": spec.seed} | size for spec, result in found(specs) for size in result["sizes"])


def variants(specs: Iterable[MeasureSpec]) -> pandas.DataFrame:
    """Other ways to measure U, as `measuring.variants` says: seed, name, mean, rank, probability, n_scored, n_answered, and
    seconds."""
    return pandas.DataFrame(
        {"seed": spec.seed} | variant | {"seconds": result["seconds"][variant["name"]]}
        for spec, result in found(specs)
        for variant in result["variants"]
    )
