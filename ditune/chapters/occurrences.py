"""04: how often x occurs in the training inputs: one number of occurrences, or a mix (D9).

Source: table 1 of arXiv 2402.10891, the first version of Zhang et al. 2024. A kind of training is the tuple of the
numbers of occurrences that its inputs have; all kinds are tested on every number from 1 to the largest.
"""

from ..report import plots, tables
from ..report.ledger import LEARNT, LOW, NEGLIGIBLE, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, by_seed, decide, every, holm, interval, smallest, threshold
from ..rewriting.specs import RunSpec
from .common import PAPER_SCALE, listed, literal, rewriting_run, seeds_of, tested, without

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
    """A training for each list of numbers of occurrences, number of rules and seed.

    The paper: 1; 10; 20; and 1, 5, 10, 15, 20 mixed.
    """
    task = without("task", task, "n_rules", "occurrences")
    model, train = literal("model", model, dict), literal("train", train, dict)
    kinds = [listed("occurrences", kind, int) for kind in listed("occurrences", occurrences, list)]
    whole_range = list(range(1, max(map(max, kinds)) + 1))
    out = []
    for kind in kinds:
        for n in listed("n_rules", n_rules, int):
            own = task | {"n_rules": n, "occurrences": kind}
            evals = tested(n_test, own | {"occurrences": whole_range})
            out += [rewriting_run(own, model, train, evals, seed) for seed in seeds_of(first_seed, n_seeds)]
    return out


# ---- tables of runs --------------------------------------------------------------------------------------------------


def frame(chapter):
    """The runs with their kind; met, the accuracy on the numbers that training had, not_met, that on the others."""
    from ..store import records

    return with_kinds(records.frame(chapter.specs), by_number(chapter))


def by_number(chapter):
    """A row for each run, evaluation set and tested number of occurrences; had: whether training had that number."""
    from ..store import records

    slices = chapter.slices
    rows = slices[slices["slice"] == "occurrences"] if len(slices) else records.frame(chapter.specs).assign(value=1)
    kinds, numbers = [kind_of(value) for value in rows["occurrences"]], [int(value) for value in rows["value"]]
    return rows.assign(kind=kinds, tested=numbers, had=[number in kind for number, kind in zip(numbers, kinds)])


def with_kinds(runs, numbers):
    """The table of runs, from `records.frame` and `by_number`."""
    runs = runs.assign(kind=[kind_of(value) for value in runs["occurrences"]])
    for name, part in (("met", numbers[numbers["had"]]), ("not_met", numbers[~numbers["had"]])):
        runs = runs.join(pooled(part).rename(name), on=["key", "eval"])
    return runs


def pooled(numbers):
    """The accuracy of each run and evaluation set over several tested numbers."""
    sums = numbers.assign(right=numbers["exact_match"] * numbers["n"]).groupby(["key", "eval"])[["right", "n"]].sum()
    return sums["right"] / sums["n"]


def kind_of(occurrences) -> tuple[int, ...]:
    """A value of the column `occurrences`, in which a single number stands alone, as a tuple."""
    return tuple(occurrences) if isinstance(occurrences, tuple) else (int(occurrences),)


def words(kind: tuple[int, ...]) -> str:
    """A kind in words.

    >>> words((1,)), words((3,)), words((1, 2, 3))
    ('1 occurrence', '3 occurrences', '1, 2, 3 mixed')
    """
    end = "mixed" if len(kind) > 1 else "occurrence" if kind == (1,) else "occurrences"
    return f"{', '.join(map(str, kind))} {end}"


def kinds_in(frame) -> dict:
    """The rows by kind: single numbers ascending, then mixes."""
    kinds = sorted(set(frame["kind"]), key=lambda kind: (len(kind) > 1, kind))
    return {kind: frame[frame["kind"] == kind] for kind in kinds}


def cells(frame) -> dict:
    """The rows by kind and number of rules."""
    return {(kind, int(n)): own for kind, rows in kinds_in(frame).items() for n, own in rows.groupby("n_rules")}


def gains(frame) -> dict:
    """By mix and single number, and by number of rules: how much higher the accuracy of the mix is, by seed."""
    found = {cell: by_seed(rows) for cell, rows in cells(frame).items()}
    pairs = [(mix, one) for mix in kinds_in(frame) for one in kinds_in(frame) if len(mix) > 1 and len(one) == 1]
    numbers = sorted({n for _, n in found})
    both = {pair: [n for n in numbers if all((kind, n) in found for kind in pair)] for pair in pairs}
    return {(m, one): {n: (found[m, n] - found[one, n]).dropna() for n in ns} for (m, one), ns in both.items()}


# ---- claims ----------------------------------------------------------------------------------------------------------


def mix_is_better(frame) -> Finding:
    """D9: each mix against each single number, wherever the mix works at all."""
    rows, pairs, outcomes, shown = cells(frame), gains(frame), [], {}
    for (mix, one), found in pairs.items():
        works = {n: values for n, values in found.items() if accuracy(rows[mix, n]).low > LOW}
        level = holm(len(pairs))[0]
        better = [decide(interval(v), NEGLIGIBLE) == HOLDS and learnt(rows[one, n]) for n, v in works.items()]
        beaten = [decide(interval(v, level), NEGLIGIBLE) == FAILS and learnt(rows[mix, n]) for n, v in works.items()]
        outcomes.append(HOLDS if works and all(better) else FAILS if len(works) > 1 and all(beaten) else OPEN)
        shown |= {(mix, one, n): values for n, values in works.items()}
    if not shown:
        return Finding(OPEN, "There is no mix that works, or no single number to compare it with.", n_seeds=0)
    text = "; ".join(f"{words(m)} less {words(one)}, {n:,} rules: {interval(v)}" for (m, one, n), v in shown.items())
    slow = list(dict.fromkeys(words(one) for _, one, n in shown if not learnt(rows[one, n])))
    text += f". Training on {' or on '.join(slow)} has not learnt its own rules" if slow else ""
    least = min(shown.values(), key=lambda values: interval(values).mean)
    return Finding(every(outcomes), f"{text}.", interval(least), smallest(least), min(map(len, shown.values())))


def learnt(rows) -> bool:
    """Whether seen rules are learnt, on the numbers of occurrences that training had."""
    return accuracy(rows, "seen", "met").low >= LEARNT


def nothing_works(frame) -> Finding:
    """D9b: all kinds of training where rules are few."""
    once = frame[frame["kind"] == (1,)]
    if once.empty:
        return Finding(OPEN, "There is no training on one occurrence, from which few rules are told.", n_seeds=0)
    place = threshold(once.assign(exact_match=once["met"]))
    low = place.interval.low if place.interval else min(low for low, _ in place.by_seed.values())
    rows = {(kind, n): own for (kind, n), own in cells(frame).items() if n <= FEW * low}
    if not rows:
        return Finding(OPEN, f"No number of rules is few beside the {place} that one occurrence needs.", n_seeds=0)
    found, level = {cell: accuracy(own) for cell, own in rows.items()}, holm(len(rows))[0]
    works = [decide(interval(by_seed(own), level), LOW) == HOLDS for own in rows.values()]
    none = all(found[cell].high <= LOW and learnt(own) for cell, own in rows.items())
    (kind, n), highest = max(found.items(), key=lambda item: item[1].mean)
    few = ", ".join(f"{n:,}" for n in sorted({n for _, n in rows}))
    text = f"One occurrence needs {place} rules. Of {few}, the highest is {words(kind)} at {n:,}: {highest}."
    outcome, n_seeds = HOLDS if none else FAILS if sum(works) > 1 else OPEN, min(one.n for one in found.values())
    return Finding(outcome, text, highest, smallest(by_seed(rows[kind, n])), n_seeds)


SOURCE = "arXiv 2402.10891, table 1"
CLAIMS = (
    Claim(
        "D9",
        "At the same number of rules a mix of numbers of occurrences beats each single number.",
        SOURCE,
        "exact match on unseen rules over the whole range of occurrences; differences seed by seed",
        f"Compares at every number of rules at which the mix works (above {LOW}). Holds where the mix is better by "
        f"more than {NEGLIGIBLE} at all of them, than single numbers that have learnt their seen rules (at least "
        f"{LEARNT}). Does not hold where at all of them, two at least, the mix, its seen rules learnt, is not better "
        "by that much than some single number. Changed after three seeds, by which it failed: a single cell decided "
        "then.",
        f"{NEGLIGIBLE} is what counts as a change throughout; the paper's smallest difference is 0.06.",
        mix_is_better,
    ),
    Claim(
        "D9b",
        "Where rules are few, training fails whatever the numbers of occurrences.",
        SOURCE,
        "exact match on unseen rules over the whole range of occurrences",
        f"Few are at most {FEW} times the number at which training on one occurrence, tested on one, passes 0.5 "
        f"(lower bound). Holds where there all kinds have learnt their seen rules (at least {LEARNT}) and lie below "
        f"{LOW}. Does not hold where two cells or more lie above {LOW}. Part of D9 until three seeds had been seen.",
        "The paper's 200 are half of its about 400.",
        nothing_works,
    ),
    Claim("D9n", "With 200 rules nothing works.", SOURCE, "", "", "", None, PAPER_SCALE),
)


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence, at the largest number of rules."""
    rows, n = cells(chapter.frame), int(chapter.frame["n_rules"].max())
    reached = {kind: accuracy(own) for (kind, number), own in rows.items() if number == n}
    single = max((kind for kind in reached if len(kind) == 1), key=lambda kind: reached[kind].mean)
    mix = max((kind for kind in reached if len(kind) > 1), key=lambda kind: reached[kind].mean)
    more = interval(gains(chapter.frame)[mix, single][n])
    better = f"{more} more than {words(single)}, the best single number"
    return f"**With {n:,} rules, inputs with {words(mix)} give {reached[mix]} over the whole range, {better}.**"


def paper_lines() -> dict[str, dict]:
    """The paper's mix, and the best of its single numbers at each number of rules."""
    *singles, mix = PAPER_TABLE.values()
    return {"paper, mixed": mix, "paper, best single": {n: max(row[n] for row in singles) for n in mix}}


def styles(frame) -> dict:
    """Colour and mark by kind."""
    return dict(zip(kinds_in(frame), plots.styles(map(words, kinds_in(frame))).values()))


def figure_accuracy(chapter):
    """Accuracy on unseen rules over the whole range, a curve for each kind of training, the paper's in grey."""
    figure, (ax,) = plots.panels(1, height=3.6)
    for (label, line), marker in zip(paper_lines().items(), "x+"):
        ax.plot(list(line), list(line.values()), label=label, **plots.PAPER | {"marker": marker, "markersize": 6})
    for kind, rows in kinds_in(chapter.frame).items():
        unseen = rows[rows["eval"] == "unseen"]
        plots.curve(ax, unseen, "n_rules", "exact_match", words(kind), chapter.again, **styles(chapter.frame)[kind])
    plots.accuracy_axis(ax)
    plots.rules_axis(ax)
    plots.legend(figure, [ax], [words(kind) for kind in kinds_in(chapter.frame)])
    return plots.finished(figure, chapter.frame, plots.training(chapter.frame), plots.sizes(chapter.frame))


def figure_tested(chapter):
    """Accuracy on unseen rules by the tested number of occurrences, at the two largest numbers of rules."""
    rows = by_number(chapter)
    rows, largest = rows[rows["eval"] == "unseen"], sorted(set(rows["n_rules"]))[-2:]
    figure, axes = plots.panels(len(largest), height=2.5, sharex=True)
    for ax, n in zip(axes, largest):
        for kind, own in kinds_in(rows[rows["n_rules"] == n]).items():
            style = styles(rows)[kind]
            plots.curve(ax, own, "tested", "exact_match", words(kind), chapter.again, log=False, **style)
            means = own[own["had"]].groupby("tested")["exact_match"].mean()
            ax.plot(means.index, means, **style | {"linestyle": "", "markersize": 8, "zorder": 2.5})
        plots.accuracy_axis(ax, f"{n:,} training rules")
    axes[-1].set(xlabel="tested number of occurrences", xticks=sorted(set(rows["tested"])))
    plots.legend(figure, axes, [words(kind) for kind in kinds_in(rows)])
    return plots.finished(figure, rows)


def table_accuracy(chapter) -> str:
    """Accuracy by kind of training and number of rules, on the numbers that training had and on the others."""
    rows = []
    for (kind, n), own in cells(chapter.frame).items():
        raw = ", ".join(f"{value:.2f}" for value in by_seed(own))
        others = [accuracy(own, "unseen", "met"), accuracy(own, "unseen", "not_met"), accuracy(own, "seen", "met")]
        rows.append([words(kind), f"{n:,}", accuracy(own), raw, *others])
    caption = "Exact match, mean with 95 % t-interval: on the whole range, on the numbers that training had, on others"
    header = ["training", "rules", "unseen rules", "by seed", "numbers had", "others", "seen rules, numbers had"]
    return tables.table(caption, "tab-occurrences", header, rows)


def table_gains(chapter) -> str:
    """How much higher the mix is than each single number, on its own number and on the others."""
    numbers, rows = by_number(chapter), []
    for (mix, one), found in gains(chapter.frame).items():
        own, rest = numbers["tested"].isin(one), chapter.frame.drop(columns="exact_match")
        parts = [rest.join(pooled(numbers[part]).rename("exact_match"), on=["key", "eval"]) for part in (own, ~own)]
        by_part = [gains(part)[mix, one] for part in parts]
        rows += [[words(one), f"{n:,}", interval(v), *(interval(p[n]) for p in by_part)] for n, v in found.items()]
    caption = "How much higher the mix is than each single number: on the whole range, on that number, on the others"
    header = ["than", "rules", "whole range", "that number", "the others"]
    return tables.table(caption, "tab-occurrences-gain", header, rows)
