"""05: rules whose words have a form, tested on words with fewer constraints and with none (D7, D8, D16).

A word of a restricted family is k copies of a shorter word; k is its constrainedness. A cell is a training set of
rules: a mix of families, a range of k, a number of rules.
Source: Zhang et al. 2024 (arXiv 2410.04717), semantic diversity, summarised in arXiv 2405.19787.
"""

from dataclasses import replace

import numpy as np

from ..report import plots, stats, tables
from ..report.ledger import HIGH, LEARNT, LOW, NEGLIGIBLE, Claim, Finding, compared
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, differences, interval
from ..rewriting.specs import RunSpec, TaskSpec
from ..store import records
from .common import REACHED, by_rules, cells, listed, literal, means_of, pooled, tuples, without

FAMILIES = ["repeated", "periodic", "mirrored"]
"""The restricted families, which the tests are drawn from."""
FREE_WORDS = ("uniform",)
"""The mix of unrestricted rules."""
FREE = 3
"""A range of k is compared where words of its largest k have so many free letters: with 26 letters a family then has
17,576 words, more than there are rules. Training can exhaust fewer words, which the paper's 60 letters rule out."""
SETS = {"lower k": "lower k, all families", "unseen": "own families and k", "uniform": "unrestricted words"}
STYLES = {"lower k": plots.UNSEEN, "unseen": plots.SEEN, "uniform": {"color": plots.GREEN, "marker": "D"}}


def runs(mixes, k_ranges, n_rules, lowest_k, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """A training for each set of rules and seed (the paper: k = 3-4 to 3-60, tested on k < 3).

    Each of the mixes of families is trained at the first k range and the largest number of rules, the last also at all
    others; "uniform" alone is the unrestricted task. Beside "seen" and "unseen" there are the sets "families", unseen
    rules of all three families with k from lowest_k to the largest trained, and "uniform", rules of random words.
    """
    task, lowest = without("task", task, "n_rules", "families", "k"), literal("lowest_k", lowest_k, int)
    mixes, ranges = listed("mixes", mixes, list), listed("k_ranges", k_ranges, list)
    numbers = listed("n_rules", n_rules, int)
    places = [(mix, ranges[0], max(numbers)) for mix in mixes]
    places += [(mixes[-1], k, max(numbers)) for k in ranges] + [(mixes[-1], ranges[0], n) for n in numbers]
    found = []
    for mix, k, n in places:
        free = mix == list(FREE_WORDS)
        own = task | {"families": mix, "k": 1 if free else k}
        largest = ranges[0][1] if free else TaskSpec.of(**own | {"n_rules": n}).k[1]
        more = {"families": {"families": FAMILIES, "k": [lowest, largest]}, "uniform": {"families": FREE_WORDS, "k": 1}}
        found += by_rules([n], first_seed, n_seeds, n_test, own, model, train, more=more)
    return list(dict.fromkeys(found))


def frame(chapter):
    """The runs with their mix and range of k as tuples, and one more evaluation set, "lower k": the unseen rules of the
    set "families" whose k is below every k that a run of restricted families was trained on."""
    import pandas

    rows, slices = records.frame(chapter.specs), chapter.slices
    rows = rows.assign(mix=tuples(rows["families"]), range=tuples(rows["k"], 2))
    lowest = min((k[0] for mix, k in zip(rows["mix"], rows["range"]) if mix != FREE_WORDS), default=0)
    by_k = slices[(slices["eval"] == "families") & (slices["slice"] == "k")]
    right = pooled(by_k[by_k["value"].astype(int) < lowest]).rename("right")
    lower = rows.join(right, on=["key", "eval"]).dropna(subset=["right"])
    lower = lower.assign(eval="lower k", exact_match=lower.pop("right"))
    return pandas.concat([rows, lower], ignore_index=True)


def by_cell(frame) -> dict[tuple, object]:
    """The rows by (mix, range of k, number of rules), mixes of fewer families first and unrestricted rules last."""
    found = cells(frame, "mix", "range", "n_rules")
    return {cell: found[cell] for cell in sorted(found, key=lambda cell: (cell[0] == FREE_WORDS, len(cell[0])))}


def compared_cells(frame) -> tuple[dict, dict, dict]:
    """The rows of restricted families by mix, and those of the largest mix by number of rules and by range of k: each
    at the range and the number of rules that most were trained with."""
    found = {cell: rows for cell, rows in by_cell(frame).items() if cell[0] != FREE_WORDS}
    if not found:
        return {}, {}, {}
    mixes, ranges, numbers = (list(values) for values in zip(*found))
    whole, k = max(mixes, key=len), max(ranges, key=ranges.count)
    n = max(numbers, key=lambda n: (numbers.count(n), n))
    by_mix = {mix: rows for (mix, *place), rows in found.items() if place == [k, n]}
    by_rules = {own: rows for (mix, at, own), rows in found.items() if (mix, at) == (whole, k)}
    return by_mix, by_rules, {at: rows for (mix, at, own), rows in found.items() if (mix, own) == (whole, n)}


def label(mix) -> str:
    """A mix in a few words."""
    return "unrestricted" if mix == FREE_WORDS else "all three" if len(mix) == len(FAMILIES) else " + ".join(mix)


def trained(rows) -> bool:
    """Whether the models have learnt their own rules, or apply unseen rules of the kind that they were trained on."""
    return accuracy(rows, "seen").low >= LEARNT or accuracy(rows, "unseen").low >= HIGH


def said(found: dict, name: str) -> str:
    """Each mix with its accuracy on a set of rules, in words."""
    return f"On {SETS[name]}: " + "; ".join(f"{label(mix)} {accuracy(rows, name)}" for mix, rows in found.items()) + "."


def further(frame, name: str) -> Finding:
    """D7 and D16: whether the mix of all families gets further than each mix of fewer, on a set of rules."""
    found, *_ = compared_cells(frame)
    whole = max(found, key=len, default=())
    fewer = {label(mix): mix for mix in found if len(mix) < len(whole)}
    if not fewer:
        return Finding(OPEN, "It takes a family alone and a mix that holds it.")
    gains = {by: differences(found[mix], found[whole], name) for by, mix in fewer.items()}
    outcomes, finding = compared(gains, NEGLIGIBLE)
    fair = [o if trained(found[whole if o == FAILS else fewer[by]]) else OPEN for by, o in outcomes.items()]
    if not set(FAMILIES) <= set(fewer):
        fair.append(OPEN)  # not every family was trained alone
    text = f"{said(found, name)} Gain of {label(whole)} over {finding.text}."
    return replace(finding, outcome=stats.every(fair), text=text)


def only_three(frame) -> Finding:
    """D7n: whether lower k is reached by three families and by no fewer."""
    found, numbers, _ = compared_cells(frame)
    groups = found | numbers  # by mix, and the largest of them by number of rules
    values = {cell: accuracy(rows, "lower k") for cell, rows in groups.items()}
    outcomes = stats.decisions(values, REACHED)
    reached = {cell: o if o != FAILS or trained(groups[cell]) else OPEN for cell, o in outcomes.items()}
    three = reached.get(tuple(FAMILIES), OPEN)
    fewer = [reached[mix] for mix in found if len(mix) < len(FAMILIES)]
    never = three == FAILS and len(numbers) > 1 and {reached[n] for n in numbers} == {FAILS}
    holds = three == HOLDS and fewer == [FAILS] * 6
    outcome = FAILS if fewer.count(HOLDS) > 1 or never else HOLDS if holds else OPEN
    return Finding(outcome, said(found, "lower k"), n_seeds=min((value.n for value in values.values()), default=0))


def step(found: dict, sign: int) -> Finding:
    """D8 and D8k: the change on lower k from the first to the last cell, which a statement says to go up (sign 1) or
    down (-1). It is not said to do no harm where there is nothing to lose."""
    if len(found) < 2:
        return Finding(OPEN, f"There are too few cells to compare: {', '.join(found) or 'none'}.")
    (first, before), *_, (last, after) = found.items()
    change = differences(before, after, "lower k")
    outcome = stats.decide(interval(sign * change), NEGLIGIBLE)
    low = sign < 0 or outcome == FAILS  # a low accuracy is what decides
    if low and not trained(after) or sign < 0 and outcome == FAILS and accuracy(before, "lower k").low <= LOW:
        outcome = OPEN
    text = f"On lower k {accuracy(before, 'lower k')} with {first}; change to {last}: {interval(change)}."
    return Finding.of(outcome, text, change)


def more_rules(frame) -> Finding:
    """D8."""
    return step({f"{n:,} rules": rows for n, rows in compared_cells(frame)[1].items()}, 1)


def larger_k(frame) -> Finding:
    """D8k, of ranges whose words have enough free letters."""
    found = compared_cells(frame)[2].items()
    free = {k: rows for k, rows in found if -(-np.min(rows["x_len"].iloc[0]) // k[1]) >= FREE}
    return step({f"k = {tables.shown(k)}": rows for k, rows in free.items()}, -1)


SOURCE = "arXiv 2410.04717, semantic diversity; summarised in arXiv 2405.19787"
MEASURE = "exact match on unseen rules of all three families with k below every trained one; changes seed by seed"
TRAINED = f"Low accuracy counts where a model's own rules are learnt ({LEARNT} on seen or {HIGH} on unseen ones)."
MARGIN = f"{NEGLIGIBLE}, a twentieth of the way from no answer to all."
WIDER = f"""Holds where the mix of three gains more than {NEGLIGIBLE} over every mix of fewer, each family alone among
them. Does not hold where one gain is less. Holm's levels over the gains. {TRAINED}"""
ONLY_THREE = f"""Holds where the mix of three lies above {REACHED} and all six mixes of fewer lie below. Does not hold
where two of these lie above, or the mix of three lies below at several numbers of rules. Holm's levels. {TRAINED}"""
MORE_RULES = f"""Looks at the mix of all families. Holds where the change from the fewest to the most rules is above
{NEGLIGIBLE}, does not hold where it is below. {TRAINED}"""
LARGER_K = f"""Looks at the mix of all families and at ranges of k whose words have at least {FREE} free letters. Holds
where the widest lies more than {NEGLIGIBLE} below the narrowest. Does not hold where it lies less below, although the
narrowest is above {LOW}. {TRAINED}"""
CLAIMS = (
    Claim("D7", "More families of words in training carry further to lower constrainedness k.", SOURCE, MEASURE, WIDER,
          MARGIN, lambda frame: further(frame, "lower k")),
    Claim("D7n", "One family or two do not reach lower k; three do.", SOURCE, MEASURE, ONLY_THREE,
          "One half, where thresholds are placed in all chapters.", only_three),
    Claim("D8", "More rules of the same families carry further to lower k.", SOURCE, MEASURE, MORE_RULES, MARGIN,
          more_rules),
    Claim("D8k", "Larger k in training carries less far.", SOURCE, MEASURE, LARGER_K, MARGIN, larger_k),
    Claim("D16", "More families of words in training improve rules whose words belong to no family.", SOURCE,
          "exact match on unseen rules of unrestricted words; changes seed by seed", WIDER, MARGIN,
          lambda frame: further(frame, "uniform")),
    Claim("D16g", "A more diverse semantic space of instructions improves following instructions of any other kind.",
          "arXiv 2405.19787, abstract", "exact match on other kinds of instructions", "", "", None,
          "kinds of instructions beyond one rewriting step; D16 asks it of forms of words alone"),
)  # fmt: skip


def answer(chapter) -> str:
    """The answer in a sentence."""
    import pandas

    rows = pandas.concat(compared_cells(chapter.frame)[0].values())
    words = ("after training on one family of forms", "on two", "on three")
    found = [f"{accuracy(own, 'uniform')} {words[n - 1]}" for n, own in rows.groupby(rows["mix"].map(len))]
    return f"**On new rules whose words have no form, exact match is {', '.join(found)}.**"


def figure_mixes(chapter):
    """Accuracy on three kinds of unseen rules, a line for each training set."""
    found = {
        f"{label(mix)}\n{plots.number(n)} rules" + f", k = {tables.shown(k)}" * (mix != FREE_WORDS): rows
        for (mix, k, n), rows in by_cell(chapter.frame).items()
    }
    values = {text: {words: plots.of_runs(rows, name) for name, words in SETS.items()} for text, rows in found.items()}
    figure, (ax,) = plots.panels(1, height=0.5 * len(values) + 0.6)
    plots.grouped(ax, values, {SETS[name]: style for name, style in STYLES.items()}, chapter.again)
    ax.set(xlim=(-0.03, 1.03), xlabel=plots.ACCURACY)
    return plots.signed(figure, [ax], chapter.frame)


def table_mixes(chapter) -> str:
    """Every training set: how diverse its rules are (`diversity.of_rules`), and the accuracy on each set."""
    from ..rewriting.diversity import of_rules

    measured, found = {spec.key: of_rules(spec.task, spec.seed) for spec in chapter.specs}, {}
    for (mix, k, n), rows in by_cell(chapter.frame).items():
        counts = [means_of(measured, rows, *count) for count in (("different_words", 0), ("forms", 1), ("vendi", 0))]
        found[(label(mix), "–" if mix == FREE_WORDS else k, n, *counts)] = rows
    header = ["families", "k", "rules", "different words", "forms", "Vendi score"]
    measures = {text: (name,) for name, text in SETS.items()} | {"seen rules": ("seen",)}
    caption = "Exact match by training set: means with 95 % t-intervals, and the seeds' values on lower k"
    return tables.by_cell(found, header, measures, caption, "tab-families")
