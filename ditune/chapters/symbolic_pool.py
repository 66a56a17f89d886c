"""What the chapters on the symbolic pool share (9 to 11): parameters, what is known of a task, when the pool is a test.

Source: Kung et al. 2023 (arXiv 2311.00288). A table of runs is that of `selecting`, with `median_u`, the median prompt
uncertainty over the tasks of the seed's map.
"""

import functools
import hashlib

import numpy as np

from ..active.specs import NOISE, PoolSpec
from ..report import tables
from ..report.ledger import NEGLIGIBLE
from ..report.stats import interval
from ..rewriting.specs import FAMILIES
from ..store import records
from .common import literal
from .selecting import GROUPS, World, grouped, rise

FAIR = 0.1
"""Where the ambiguous tasks of the paper's map begin."""
APART = 0.1
"""Groups that differ by less than this share of the mean learnability of all tasks are alike."""
PAPER_MEDIAN = 0.038
"""Median prompt uncertainty of the 466 of the paper's 620 tasks that can be told apart in its map."""


def parts_of(pool, model, train, fields: dict) -> dict:
    """The fields of a spec of the loop, with those of its parts; a part of which nothing is set is the study's."""
    parts = {"pool": pool, "model": model, "train": train}
    parts = {name: literal(name, values, dict) for name, values in parts.items()}
    return {name: values for name, values in parts.items() if values} | fields


def frame(chapter):
    """The table of runs."""
    rows = records.frame(chapter.specs)
    median = {r.spec.seed: float(np.median(r.result["map"]["uncertainty"])) for r in chapter.records if r.result["map"]}
    return rows if rows.empty else rows.assign(
        value=rows["exact_match"], likelihood=-rows["nll"], median_u=rows["seed"].map(median)
    )  # fmt: skip


# ---- what is known of tasks ------------------------------------------------------------------------------------------


@functools.lru_cache(32)
def known(pool: PoolSpec, seed: int):
    """Family and noise of each task of a pool, as `active.pool` draws them (a test compares them), without torch."""
    import pandas

    clean = 1 - pool.noisy_share - pool.contradictory_share
    shares = {"family": pool.shares, "noise": (clean, pool.noisy_share, pool.contradictory_share)}
    names = {"family": np.array(FAMILIES), "noise": np.array(NOISE)}
    drawn = {what: names[what][shared_out(pool.n_tasks, of, seed, f"pool/{what}")] for what, of in shares.items()}
    return pandas.DataFrame(drawn)


def shared_out(n: int, shares, seed: int, name: str) -> np.ndarray:
    """`active.pool.shared_out` of a stream in numpy: (n,) indices into `shares`."""
    digest, bits = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), max(1, (n - 1).bit_length())
    key = [int.from_bytes(digest[i : i + 4], "little", signed=True) for i in (0, 4)]

    def scattered(v):  # as in `hashing.permute`
        for turn, odd in enumerate((0x2C1B3C6D, 0x297A2D39, 0x1B56C4E9, 0x7FEB352D)):
            v = (v * odd + (key[turn % 2] >> turn)) & ((1 << bits) - 1)
            v = v ^ (v >> (bits + 1) // 2)
        return v

    place = scattered(np.arange(n))
    while (outside := place >= n).any():
        place[outside] = scattered(place[outside])
    return np.searchsorted((np.cumsum(shares) * n).round()[:-1], place, side="right")


def task_map(chapter):
    """The map of each seed by its first model, a row a task that was left: seed, task, family, noise, uncertainty,
    probability, perplexity; group (`selecting.grouped`)."""
    import pandas

    selected, maps = {(r.spec.strategy, r.spec.seed): r.result["selected"][1] for r in chapter.records}, {}
    for record in chapter.records:
        spec, measured = record.spec, record.result["map"]
        if measured and spec.seed not in maps:
            tasks = pandas.DataFrame(measured).join(known(spec.pool, spec.seed), on="task").assign(seed=spec.seed)
            maps[spec.seed] = grouped(tasks, {name: selected.get((name, spec.seed), ()) for name in GROUPS.values()})
    return pandas.concat(maps.values(), ignore_index=True)


def groups(chapter):
    """What is known of each group, a row a seed and group ("all": every task of the map): shares of clean, noisy and
    contradictory tasks; value, the mean learnability, and its margin; median_u of the map; key and state of a run.

    A task is as learnable as the exact match on test tasks of its family is after the last round of random selection;
    one with planted noise has 0."""
    import pandas

    rows, of_seed = [], chapter.frame.drop_duplicates("seed").set_index("seed")
    slices = chapter.slices[(chapter.slices["slice"] == "family") & (chapter.slices["strategy"] == "random")]
    last = slices["eval"] == f"round {chapter.frame['round'].max()}"
    slices = slices[last].set_index(["seed", "value"])["exact_match"]
    for seed, tasks in task_map(chapter).groupby("seed"):
        learnable = tasks["family"].map(slices[seed]).where(tasks["noise"] == "clean", 0.0)
        for group in (*GROUPS, "all"):
            one = tasks["group"] == group if group != "all" else tasks["task"] >= 0
            row = {"seed": seed, "group": group, "value": learnable[one].mean(), "margin": APART * learnable.mean()}
            row |= {name: (tasks["noise"][one] == name).mean() for name in NOISE}
            rows.append(row | of_seed.loc[seed, ["key", "state", "median_u"]].to_dict())
    return pandas.DataFrame(rows)


def unfair(table) -> str:
    """Why a pool decides nothing: it is no test of prompt uncertainty, or nothing is learnt."""
    middle = table.drop_duplicates("seed")["median_u"].mean()
    if not middle <= FAIR:
        return f"Not decided in this pool: its median prompt uncertainty is {middle:.2f}; at most {FAIR} is asked for."
    taught = interval(rise(table, rounds=[table["round"].max()])) if "round" in table else None
    few = taught and not taught.low > NEGLIGIBLE
    return f"Not decided: under random selection only {taught:+.3f} of accuracy is learnt." if few else ""


WORLD = World(
    "On symbolic tasks", "",
    "exact match on clean test tasks of unseen rules, equally many of each family; differences seed by seed",
    "learnability of a task, which only the pool knows: 0 where noise is planted in it, otherwise the exact match on "
    "test tasks of its family after the last round of random selection; mean of each group, seed by seed; margin: "
    f"{APART:.0%} of the mean over all tasks",
    f"Nothing is decided where the median prompt uncertainty of the pool is above {FAIR}, where the paper's ambiguous "
    f"tasks begin, or where random selection does not add {NEGLIGIBLE} in all.",
    unfair, groups, n_seeds=12,
)  # fmt: skip
"""By the spread of the runs recorded first, twelve seeds see a gain of the paper's share."""


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


def settings(chapter) -> str:
    """The paper's settings beside those of the runs, folded."""
    return tables.settings(chapter, chapter.specs[0], SETTINGS, "5 splits")
