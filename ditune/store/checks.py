"""Recorded runs that were computed again on this machine, compared with their records.

A run that is recorded in `results/` and has a local record as well was computed again here. The two agree if they are
equal to the last bit; on another processor, with other versions or from other sources, if their first losses are
alike, before rounding has grown, and if at the end no measure differs by more than two seeds of that cell do. Where the
seeds of a cell differ by as much as WIDE, the end tells nothing, and the first losses decide alone.
"""

import datetime
import json
import math
from dataclasses import dataclass

import numpy as np

from ..specs import Spec
from . import records

NIGHTS = 28
"""In so many nights everything is computed again."""
LEAST = 0.02
"""A smaller difference is none: about the standard error of a share of 500 test answers."""
WIDE = 0.25
"""Of a share, a spread that nothing could be told by."""
ALIKE = 0.01
"""Trainings of one spec are alike if their first losses differ by at most this share; by rounding it is 1e-4."""


@dataclass(frozen=True)
class Check:
    """A run computed again."""

    spec: Spec
    equal: bool
    """To the last bit."""
    comparable: bool
    """Made by the same processor, versions and sources: then it must be equal."""
    differences: dict[str, float]
    """Of each measure of each evaluation set."""
    allowed: dict[str, float]
    """What two seeds of the cell would differ by."""
    first_loss: float = 0.0
    """The difference of the first recorded losses, as a share; 0 where none are recorded."""
    changed: tuple[str, ...] = ()
    """Libraries of another version, "torch 2.12 -> 2.13"."""

    @property
    def told(self) -> dict[str, float]:
        """The differences that tell something: of measures whose seeds lie close enough together."""
        wide = [name for name, most in self.allowed.items() if most >= WIDE and not name.endswith("nll")]
        return {name: value for name, value in self.differences.items() if name not in wide}

    @property
    def agrees(self) -> bool:
        alike = self.first_loss <= ALIKE and all(value <= self.allowed[name] for name, value in self.told.items())
        return self.equal or (not self.comparable and alike)

    def __str__(self) -> str:
        worst = max(self.differences, key=lambda name: self.differences[name] - self.allowed[name])
        how = f"{worst} differs by {self.differences[worst]:.2g}, allowed {self.allowed[worst]:.2g}"
        return f"{self.spec.key} ({', '.join([how, f'first loss by {self.first_loss:.1g}', *self.changed])})"


def of(specs: list[Spec]) -> list[Check]:
    """The checks of those specs that were computed again here."""
    both = [(spec, records.find(spec, [records.results()]), records.find(spec, [records.local()])) for spec in specs]
    done = [(spec, old, new) for spec, old, new in both if old and new and new.state != "failed"]
    return [compared(spec, old.data, new.data, spread(spec, specs)) for spec, old, new in done]


def compared(spec: Spec, old: dict, new: dict, spread: dict[str, float]) -> Check:
    """The check of two records of a spec, given the standard deviations of the cell's measures."""
    same = old["sources"] == new["sources"] and old["machine"]["cpu"] == new["machine"]["cpu"]
    pairs = {name: (old["libraries"].get(name), version) for name, version in new["libraries"].items()}
    changed = tuple(f"{name} {was} -> {now}" for name, (was, now) in pairs.items() if was != now)
    before, after = measured(old["result"]), measured(new["result"])
    differences = {name: abs(after.get(name, math.inf) - value) for name, value in before.items()}
    allowed = {name: max(LEAST, 2.8 * spread.get(name, 0.0)) for name in before}
    losses = [data["result"]["curve"][0].get("loss") if data["result"].get("curve") else None for data in (old, new)]
    first_loss = abs(losses[1] / losses[0] - 1) if all(losses) else 0.0
    equal = records.repeatable(old) == records.repeatable(new)
    return Check(spec, equal, same and not changed, differences, allowed, first_loss, changed)


def measured(result: dict) -> dict[str, float]:
    """The measures of each evaluation set."""
    sets = result["metrics"].items()
    return {f"{e} {m}": metrics[m] for e, metrics in sets for m in records.MEASURES if m in metrics}


def spread(spec: Spec, specs: list[Spec]) -> dict[str, float]:
    """The standard deviation of each measure over the specs that differ from this one in seeds alone."""
    cell = [records.find(other) for other in specs if cell_of(other) == cell_of(spec)]
    values = [measured(record.result) for record in cell if record and record.state != "failed"]
    names = set.intersection(*map(set, values)) if len(values) > 1 else set()
    return {name: float(np.std([value[name] for value in values], ddof=1)) for name in names}


def cell_of(spec: Spec) -> str:
    """What specs that differ in seeds alone have in common: all other fields, at every depth."""

    def seedless(data):
        return {n: seedless(v) for n, v in data.items() if n != "seed"} if isinstance(data, dict) else data

    return json.dumps([type(spec).__name__, seedless(spec.to_dict())], sort_keys=True)


def is_tonights(spec: Spec, date: datetime.date | None = None) -> bool:
    """Whether it is a run's turn to be computed again on that night (today's); every run has one in NIGHTS.

    >>> from ditune.rewriting.specs import RunSpec
    >>> sum(is_tonights(RunSpec(), datetime.date(2026, 1, 1) + datetime.timedelta(n)) for n in range(NIGHTS))
    1
    """
    return int(spec.key, 16) % NIGHTS == (date or datetime.date.today()).toordinal() % NIGHTS


def in_words(checks: list[Check], n_runs: int) -> str:
    """How far this machine agrees, in a sentence; what does not agree is named in bold."""
    if not checks:
        return f"None of the {n_runs} recorded runs was computed again here."
    agree, equal = sum(check.agrees for check in checks), sum(check.equal for check in checks)
    first = max(check.first_loss for check in checks)
    largest = max((v for check in checks for name, v in check.told.items() if not name.endswith("nll")), default=0)
    how = f"{equal} to the last bit; first losses within a share of {first:.1g}, results within {largest:.2g}"
    how = "to the last bit" if equal == len(checks) else how
    wrong = [str(check) for check in checks if not check.agrees]
    text = f"Computed again here: {agree} of {len(checks)} agree, {how}."
    return text + (f" **These do not agree: {'; '.join(wrong)}.**" if wrong else "")
