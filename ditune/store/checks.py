"""Recorded runs that were computed again on this machine, compared with their records.

A run that is recorded in `results/` and has a local record as well was computed again here. The two agree if they are
equal to the last bit; on another processor, with other versions or from other sources, if they differ by no more than
two seeds of that cell do.
"""

import datetime
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..specs import Spec
from . import records

NIGHTS = 28
"""In so many nights everything is computed again."""
LEAST = 0.02
"""A smaller difference is none: about the standard error of a share of 500 test answers."""
ALIKE = 0.01
"""Trainings of one spec are alike if their first recorded losses differ by at most this share; by rounding it is
1e-4."""


@dataclass(frozen=True)
class Check:
    """A run computed again."""

    spec: Spec
    equal: bool
    """To the last bit."""
    comparable: bool
    """Made by the same processor, versions and sources: then it must be equal."""
    difference: float
    """The largest difference of a measure."""
    allowed: float
    """The largest difference that two seeds of the cell would show."""
    first_loss: float = 0.0
    """The difference of the first recorded losses, as a share; 0 where none are recorded."""

    @property
    def agrees(self) -> bool:
        return self.equal or (not self.comparable and self.difference <= self.allowed and self.first_loss <= ALIKE)


def of(specs: list[Spec]) -> list[Check]:
    """The checks of those specs that were computed again here."""
    both = [(spec, records.find(spec, [records.results()]), records.find(spec, [records.local()])) for spec in specs]
    done = [(spec, old, new) for spec, old, new in both if old and new and new.state != "failed"]
    return [compared(spec, old.data, new.data, spread(spec, specs)) for spec, old, new in done]


def compared(spec: Spec, old: dict, new: dict, allowed: float) -> Check:
    """The check of two records of a spec."""
    same = (
        all(old[name] == new[name] for name in ("libraries", "sources"))
        and old["machine"]["cpu"] == new["machine"]["cpu"]
    )
    before, after = measured(old["result"]), measured(new["result"])
    difference = max((abs(after.get(name, math.inf) - value) for name, value in before.items()), default=0.0)
    losses = [data["result"]["curve"][0].get("loss") if data["result"].get("curve") else None for data in (old, new)]
    first_loss = abs(losses[1] / losses[0] - 1) if all(losses) else 0.0
    return Check(spec, records.repeatable(old) == records.repeatable(new), same, difference, allowed, first_loss)


def measured(result: dict) -> dict[str, float]:
    """The measures of each evaluation set."""
    return {f"{e}/{m}": metrics[m] for e, metrics in result["metrics"].items() for m in records.MEASURES if m in metrics}


def spread(spec: Spec, specs: list[Spec]) -> float:
    """What two seeds of a cell may differ by: 2.8 standard deviations, over the specs that differ in the seed alone."""
    cell = [records.find(other) for other in specs if cell_of(other) == cell_of(spec)]
    values = [measured(record.result) for record in cell if record and record.state != "failed"]
    names = set.intersection(*map(set, values)) if values else set()
    deviations = [np.std([value[name] for value in values], ddof=1) for name in names if len(values) > 1]
    return max(LEAST, 2.8 * max(deviations, default=0.0))


def cell_of(spec: Spec) -> str:
    """What specs that differ in the seed alone have in common."""
    return spec.replace(seed=0).key if hasattr(spec, "seed") else spec.key


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
    largest, first = (max(getattr(check, name) for check in checks) for name in ("difference", "first_loss"))
    how = f"{equal} to the last bit, first losses within a share of {first:.1g}, results within {largest:.2g}"
    how = "to the last bit" if equal == len(checks) else how
    text = f"Computed again here: {agree} of {len(checks)} agree, {how}."
    wrong = [f"{c.spec.key} (difference {c.difference:.2g}, allowed {c.allowed:.2g})" for c in checks if not c.agrees]
    return text + (f" **These do not agree: {', '.join(wrong)}.**" if wrong else "")


def summary(checks: list[Check]) -> Counter:
    """How many agree and how many do not."""
    return Counter("agree" if check.agrees else "differ" for check in checks)
