"""What the chapters on the symbolic pool share (9 to 11): parameters, joins of records and pool, the test of the pool.

Source: Kung et al. 2023 (arXiv 2311.00288). A table of runs has a row a run and round; `strategy` selected the tasks of
rounds 1, 2, ...; round 0 is the first model, which all strategies of a seed share. `median_u` is the median prompt
uncertainty over the tasks of the seed's map. A difference is taken seed by seed: a seed stands for the same pool, test,
initial tasks and weights.
"""

import functools
import math

from ..active.specs import PoolSpec, SelectSpec
from ..report import tables
from ..report.ledger import NEGLIGIBLE, Finding
from ..report.stats import OPEN, Interval, interval, smallest
from ..rewriting.specs import FAMILIES
from ..store import records
from .common import literal
from .selecting import METHOD, SHARE, beats, named

SOURCE = "arXiv 2311.00288"
FAIR = 0.1
"""Where the ambiguous tasks of the paper's map begin."""
PAPER_MEDIAN = 0.038
"""Median prompt uncertainty of the 466 of the paper's 620 tasks that can be told apart in its map."""
SEEDS = 12
"""By the spread of the runs recorded first, so many seeds see a gain of the paper's share."""
MEASURE = "exact match on clean test tasks of unseen rules, equally many of each family; differences seed by seed"
RULE = (
    f"Nothing is decided where the median prompt uncertainty of the pool is above {FAIR}, or where the accuracy under "
    f"random selection does not rise by {NEGLIGIBLE} (lower bound)."
)
WHY = (
    f"Half of the tasks must lie below {FAIR}, where the paper's ambiguous tasks begin: where most lie above, dropped "
    "letters ruin answers."
)


def parts_of(pool, model, train, fields: dict) -> dict:
    """The fields of a spec of the loop, with those of its parts; a part of which nothing is set is the study's."""
    parts = {"pool": pool, "model": model, "train": train}
    parts = {name: literal(name, values, dict) for name, values in parts.items()}
    return {name: values for name, values in parts.items() if values} | fields


# ---- records and pool ------------------------------------------------------------------------------------------------


@functools.lru_cache(32)
def known(pool: PoolSpec, seed: int):
    """What is known of each task of a pool: task, family, kind, noise; indexed by the task's number."""
    import pandas

    from ..active.pool import pool_tasks

    return pandas.DataFrame(pool_tasks(pool, seed).columns()).set_index("task", drop=False)


def frame(chapter):
    """The table of runs, with `median_u`."""
    rows = records.frame(chapter.specs)
    medians = task_map(chapter.records).groupby("seed")["uncertainty"].median() if len(rows) else None
    return rows if medians is None else rows.assign(median_u=rows["seed"].map(medians))


def task_map(found: list[records.Record]):
    """The map of each seed by its first model, a row a task that was left: seed, task, family, kind, noise,
    uncertainty, probability, perplexity; group: "ambiguous", "difficult", "easy", or "" for the others. A group holds
    the tasks that its strategy would take; a task in two of them is named by the first, in this order."""
    import pandas

    maps = {}
    for record in found:
        spec, measured = record.spec, record.result.get("map")
        if measured and spec.seed not in maps:
            values = {name: value for name, value in measured.items() if name != "task"}
            rows = known(spec.pool, spec.seed).loc[measured["task"]].assign(seed=spec.seed, **values)
            maps[spec.seed] = rows.assign(group=rows["task"].map(group_of(spec, rows)).fillna(""))
    columns = ("seed", "task", "family", "kind", "noise", "uncertainty", "probability", "perplexity", "group")
    return pandas.concat(maps.values(), ignore_index=True) if maps else pandas.DataFrame(columns=columns)


def group_of(spec: SelectSpec, rows) -> dict[int, str]:
    """The group of each task that is in one."""
    import torch

    from ..active.selection import Candidates, groups

    measured = {name: torch.tensor(rows[name].to_numpy()) for name in ("uncertainty", "probability", "perplexity")}
    decision = torch.tensor((rows["kind"] == "decision").to_numpy())
    tasks = Candidates(torch.tensor(rows["task"].to_numpy()), decision, **measured)
    named = groups(tasks, spec.n_select, spec.pool.decision_share, spec.seed, "selection/1")
    return {number: group for group in reversed(named) for number in named[group].tolist()}


# ---- differences -----------------------------------------------------------------------------------------------------


def last_round(rows) -> int:
    """The last round of the runs."""
    return int(rows["round"].max())


def rounds_of(rows) -> range:
    """All rounds that follow a selection."""
    return range(1, last_round(rows) + 1)


def by_seed(rows, strategy: str, rounds, measure: str = "exact_match"):
    """A measure under a strategy, the mean over these rounds, a Series over the seeds that have all of them."""
    one = rows[(rows["strategy"] == strategy) & rows["round"].isin(list(rounds))]
    groups = one.groupby("seed")[measure]
    return groups.mean()[groups.count() == len(list(rounds))]


def rise(rows, strategy: str, rounds):
    """How much higher the accuracy is than that of the first model, the mean over these rounds, by seed."""
    return (by_seed(rows, strategy, rounds) - by_seed(rows, strategy, [0])).dropna()


def signed(found: Interval) -> str:
    """A difference with its interval, with three digits.

    >>> signed(interval([0.01, 0.02, 0.03])), signed(interval([0.5]))
    ('+0.020 [-0.005, +0.045]', '+0.500')
    """
    mean, low, high = (f"{round(value, 3) + 0.0:+.3f}" for value in (found.mean, found.low, found.high))
    return "–" if not found.n else f"{mean} [{low}, {high}]" if found.n > 1 else mean


# ---- rules -----------------------------------------------------------------------------------------------------------


def lacking(rows, names) -> Finding | None:
    """That nothing is found where runs of these strategies lack."""
    there = set(rows["strategy"]) if "strategy" in rows else set()
    missing = [name for name in names if name not in there]
    return Finding(OPEN, f"There are no runs of {', '.join(missing)}.") if missing else None


def unfair(rows, taught: Interval) -> str:
    """Why a pool decides nothing, in a sentence; empty where it can. taught: what is learnt under random selection."""
    middle = rows.drop_duplicates("seed")["median_u"].mean() if "median_u" in rows else math.nan
    if not middle <= FAIR:
        seen = "not measured" if math.isnan(middle) else f"{middle:.2f}, above {FAIR}"
        return f"Not decided in this pool: its median prompt uncertainty is {seen}."
    few = f"Not decided: under random selection only {signed(taught)} of accuracy is learnt."
    return "" if taught.low > NEGLIGIBLE else few


def gated(rows, finding: Finding, taught: Interval | None = None) -> Finding:
    """The finding, which decides nothing in a pool that is no fair test. taught: the rise of random selection to the
    last round where it is not given."""
    why = unfair(rows, taught or interval(rise(rows, "random", [last_round(rows)])))
    return Finding(OPEN, f"{finding.text} {why}", finding.effect, finding.smallest, finding.n_seeds) if why else finding


def uncertain_beats(rows, others, rounds, what: str) -> Finding:
    """Whether prompt uncertainty beats each of the others, averaged over rounds, by `selecting.beats`; the margin is
    SHARE of what random selection adds in these rounds."""
    if nothing := lacking(rows, dict.fromkeys((METHOD, "random", *others))):
        return nothing
    ours, added = by_seed(rows, METHOD, rounds), interval(rise(rows, "random", rounds))
    gains = {name: (ours - by_seed(rows, name, rounds)).dropna() for name in others}
    found = {name: interval(values) for name, values in gains.items()}
    least = min(found, key=lambda name: found[name].mean)
    each = ", over ".join(f"{named(name)} {signed(value)}" for name, value in found.items())
    text = f"{what} gains, averaged over {len(rounds)} rounds, over {each}. Random selection adds {signed(added)}."
    return gated(rows, Finding(beats(gains, SHARE * added.mean), text, found[least], smallest(gains[least])))


# ---- settings --------------------------------------------------------------------------------------------------------

SETTINGS = {
    "tasks to choose from, initial ones included": ("688", lambda s: f"{s.pool.n_tasks:,}"),
    "initial tasks": ("68", lambda s: s.n_initial),
    "rounds, tasks of each": ("4, 68", lambda s: f"{s.n_rounds}, {s.n_select}" if hasattr(s, "n_select") else "–"),
    "share of one kind": ("24 of 68 classification", lambda s: f"{s.pool.decision_share:.0%} decision"),
    "instances of a task": ("200", lambda s: s.pool.n_instances),
    "test tasks": ("119", lambda s: s.pool.n_test),
    "model": ("T5-large, pretrained", lambda s: f"{s.model.n_layer} × {s.model.n_embd}, from random weights"),
    "training": ("8 passes, batch 128", lambda s: f"{s.train.n_steps} steps, batch {s.train.batch_size}"),
    "instances n, copies k, drop rate": ("10, 10, 0.2", lambda s: f"{s.n}, {s.k}, {s.drop_rate:g}"),
    "what is dropped": ("words", lambda s: f"letters, of {s.pool.alphabet_size}"),
    "families": ("not known", lambda s: ", ".join(f"{share:.0%} {f}" for share, f in zip(s.pool.shares, FAMILIES))),
    "noisy, contradictory": ("not known", lambda s: f"{s.pool.noisy_share:.0%}, {s.pool.contradictory_share:.0%}"),
}
"""Setting: the paper's, ours of a spec."""


def settings(chapter) -> str:
    """The paper's settings beside those of the runs, folded."""
    rows = [[name, theirs, ours(chapter.specs[0])] for name, (theirs, ours) in SETTINGS.items()]
    rows.append(["seeds (paper: splits)", "5", len({spec.seed for spec in chapter.specs})])
    caption, header = "The paper's settings and those of these runs", ["setting", "paper", "here"]
    text = tables.table(caption, f"tab-settings-{chapter.name[:2]}", header, rows)
    return tables.folded("Settings, beside the paper's", text)


def training(specs) -> str:
    """Steps and optimiser of a training, as in "180 steps of Muon a training"."""
    train = specs[0].train
    return f"{train.n_steps:,} steps of {tables.shown(train.optimizer)} a training"
