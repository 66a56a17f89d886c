"""04: how often x occurs in the training inputs: one number of occurrences, or a mix (D9).

Source: table 1 of arXiv 2402.10891, the first version of Zhang et al. 2024. A kind of training is the tuple of the
numbers of occurrences that its inputs have; all kinds are tested on every number from 1 to the largest.
"""

from dataclasses import replace

from ..report import plots, stats, tables
from ..report.ledger import LEARNT, LOW, NEGLIGIBLE, Claim, Finding, compared
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, by_seed, decide, interval
from ..rewriting.specs import RunSpec
from ..store import records
from .common import by_rules, cells, listed, pooled, tuples, without

PAPER_TABLE = {
    (1,): {2000: 0.71, 1000: 0.41, 500: 0.0, 200: 0.0},
    (10,): {2000: 0.88, 1000: 0.71, 500: 0.0, 200: 0.0},
    (20,): {2000: 0.73, 1000: 0.28, 500: 0.07, 200: 0.0},
    (1, 5, 10, 15, 20): {2000: 0.94, 1000: 0.94, 500: 0.62, 200: 0.0},
}
"""Accuracy on unseen rules by kind of training and number of rules, tested on 1 to 20 occurrences; one value each."""
FEW = 0.5
"""The share of the threshold that counts as few rules: the paper's 200 are half of its about 400."""


def runs(occurrences, n_rules, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """A training for each list of numbers of occurrences, number of rules and seed."""
    task = without("task", task, "n_rules", "occurrences")
    kinds = [listed("occurrences", kind, int) for kind in listed("occurrences", occurrences, list)]
    whole, shared = {"occurrences": list(range(1, max(map(max, kinds)) + 1))}, (n_rules, first_seed, n_seeds, n_test)
    return [run for kind in kinds for run in by_rules(*shared, task | {"occurrences": kind}, model, train, whole)]


def frame(chapter):
    """The runs with their kind, and met, the accuracy on the numbers of occurrences that training had."""
    rows, numbers = records.frame(chapter.specs), by_number(chapter)
    met = pooled(numbers[numbers["had"]]).rename("met")
    return rows.assign(kind=tuples(rows["occurrences"])).join(met, on=["key", "eval"])


def by_number(chapter):
    """A row for each run, evaluation set and tested number of occurrences; had: whether training had that number."""
    rows = chapter.slices[chapter.slices["slice"] == "occurrences"]
    rows = rows.assign(kind=tuples(rows["occurrences"]), tested=rows["value"].astype(int))
    return rows.assign(had=[number in kind for number, kind in zip(rows["tested"], rows["kind"])])


def words(kind: tuple[int, ...]) -> str:
    """A kind in words.

    >>> words((1,)), words((3,)), words((1, 2, 3))
    ('1 occurrence', '3 occurrences', '1, 2, 3 mixed')
    """
    end = "mixed" if len(kind) > 1 else "occurrence" if kind == (1,) else "occurrences"
    return f"{', '.join(map(str, kind))} {end}"


def by_kind(frame) -> dict:
    """The rows by kind in words: single numbers ascending, then mixes."""
    kinds = sorted(set(frame["kind"]), key=lambda kind: (len(kind) > 1, kind))
    return {words(kind): frame[frame["kind"] == kind] for kind in kinds}


def mix_is_better(frame) -> Finding:
    """D9: each mix against each single number, wherever the mix works at all."""
    rows, outcomes, shown = cells(frame, "kind", "n_rules"), [], {}
    mix = max(frame["kind"], key=len)
    works_at = [n for kind, n in rows if kind == mix and len(mix) > 1 and accuracy(rows[mix, n]).low > LOW]
    singles = [kind for kind in dict.fromkeys(frame["kind"]) if len(kind) == 1]
    for one in singles:
        works = {n: stats.differences(rows[one, n], rows[mix, n]) for n in works_at if (one, n) in rows}
        level = stats.holm(len(singles))[0]
        better = [decide(interval(v), NEGLIGIBLE) == HOLDS and learnt(rows[one, n]) for n, v in works.items()]
        beaten = [decide(interval(v, level), NEGLIGIBLE) == FAILS and learnt(rows[mix, n]) for n, v in works.items()]
        outcomes.append(HOLDS if works and all(better) else FAILS if len(works) > 1 and all(beaten) else OPEN)
        shown |= {(one, n): values for n, values in works.items()}
    if not shown:
        return Finding(OPEN, "There is no mix that works, or no single number to compare it with.", n_seeds=0)
    text = "; ".join(f"{words(mix)} less {words(one)}, {n:,} rules: {interval(v)}" for (one, n), v in shown.items())
    slow = list(dict.fromkeys(words(one) for one, n in shown if not learnt(rows[one, n])))
    text += f". Training on {' or on '.join(slow)} has not learnt its own rules" if slow else ""
    _, found = compared(shown)
    return replace(found, outcome=stats.every(outcomes), text=f"{text}.")


def learnt(rows) -> bool:
    """Whether seen rules are learnt, on the numbers of occurrences that training had."""
    return accuracy(rows, "seen", "met").low >= LEARNT


def nothing_works(frame) -> Finding:
    """D9b: all kinds of training where rules are few."""
    once = frame[frame["kind"] == (1,)]
    if once.empty:
        return Finding(OPEN, "There is no training on one occurrence, from which few rules are told.", n_seeds=0)
    place = stats.threshold(once.assign(exact_match=once["met"]))
    low = place.interval.low if place.interval else min(low for low, _ in place.by_seed.values())
    rows = {(kind, n): own for (kind, n), own in cells(frame, "kind", "n_rules").items() if n <= FEW * low}
    if not rows:
        return Finding(OPEN, f"No number of rules is few beside the {place} that one occurrence needs.", n_seeds=0)
    found, level = {cell: accuracy(own) for cell, own in rows.items()}, stats.holm(len(rows))[0]
    works = [decide(interval(by_seed(own), level), LOW) for own in rows.values()].count(HOLDS)
    none = all(found[cell].high <= LOW and learnt(own) for cell, own in rows.items())
    (kind, n), highest = max(found.items(), key=lambda item: item[1].mean)
    few = ", ".join(f"{n:,}" for n in sorted({n for _, n in rows}))
    text = f"One occurrence needs {place} rules. Of {few}, the highest is {words(kind)} at {n:,}: {highest}."
    outcome, n_seeds = HOLDS if none else FAILS if works > 1 else OPEN, min(one.n for one in found.values())
    return Finding(outcome, text, highest, stats.smallest(by_seed(rows[kind, n])), n_seeds)


SOURCE = "arXiv 2402.10891, table 1"
MEASURE = "exact match on unseen rules over the whole range of occurrences"
BETTER = f"""Holds where the mix, at all numbers of rules at which it works (above {LOW}), is better by more than
{NEGLIGIBLE} than each single number, seen rules learnt ({LEARNT}). Does not hold where at all of them, two at least, it
is not that much better than some single number, although it has learnt its seen rules. Changed after three seeds, by
which it failed: a single cell decided then."""
NOTHING = f"""Few are at most {FEW} times the number at which training on one occurrence, tested on one, passes 0.5.
Holds where all kinds have learnt their seen rules there ({LEARNT}) and lie below {LOW}. Does not hold where two or
more lie above. Part of D9 until three seeds had been seen."""
CLAIMS = (
    Claim("D9", "At the same number of rules a mix of numbers of occurrences beats each single number.", SOURCE,
          f"{MEASURE}; differences seed by seed", BETTER,
          f"{NEGLIGIBLE} is what counts as a change; the paper's smallest difference is 0.06.", mix_is_better),
    Claim("D9b", "Where rules are few, training fails whatever the numbers of occurrences.", SOURCE, MEASURE, NOTHING,
          "The paper's 200 are half of its about 400.", nothing_works),
)  # fmt: skip


def answer(chapter) -> str:
    """The answer in a sentence, at the largest number of rules."""
    frame, n = chapter.frame, chapter.frame["n_rules"].max()
    rows = {kind: own for (kind,), own in cells(frame[frame["n_rules"] == n], "kind").items()}
    best = sorted(rows, key=lambda kind: accuracy(rows[kind]).mean, reverse=True)
    single, mix = (next(kind for kind in best if (len(kind) > 1) == several) for several in (False, True))
    better = f"{stats.change(rows[single], rows[mix])} more than {words(single)}, the best single number"
    return f"**With {n:,} rules, inputs with {words(mix)} give {accuracy(rows[mix])} over the whole range, {better}.**"


def figure_accuracy(chapter):
    """Accuracy on unseen rules over the whole range, a curve for each kind of training, the paper's in grey."""
    figure, (ax,) = plots.panels(1, height=3.6)
    plots.curves(ax, by_kind(chapter.frame[chapter.frame["eval"] == "unseen"]), chapter.again)
    *singles, mix = PAPER_TABLE.values()
    plots.paper(ax, mix, "paper, mixed")
    plots.paper(ax, {n: max(row[n] for row in singles) for n in mix}, "paper, best single", marker="+", markersize=6)
    return plots.signed(figure, [ax], chapter.frame)


def figure_tested(chapter):
    """Accuracy on unseen rules by the tested number of occurrences, at the two largest numbers of rules."""
    rows = by_number(chapter)
    rows, largest = rows[rows["eval"] == "unseen"], sorted(set(rows["n_rules"]))[-2:]
    figure, axes = plots.panels(len(largest), height=2.5, sharex=True)
    for ax, n in zip(axes, largest):
        plots.curves(ax, by_kind(rows[rows["n_rules"] == n]), chapter.again, x="tested", log=False)
        ax.set_title(f"{n:,} training rules")
    axes[-1].set(xlabel="tested number of occurrences", xticks=sorted(set(rows["tested"])))
    plots.legend(figure, axes)
    return plots.finished(figure, rows)


def table_accuracy(chapter) -> str:
    """Accuracy by kind of training and number of rules, on the whole range and on the numbers that training had."""
    found = {(kind, n): own for kind, rows in by_kind(chapter.frame).items() for n, own in rows.groupby("n_rules")}
    measures = {"unseen rules": ("unseen",), "numbers had": ("unseen", "met"), "seen, numbers had": ("seen", "met")}
    caption = "Exact match, mean with 95 % t-interval: on the whole range, and on the numbers that training had"
    return tables.by_cell(found, ["training", "rules"], measures, caption, "tab-occurrences")
