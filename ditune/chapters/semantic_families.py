"""05: rules whose words have a form, tested on words with fewer constraints and with none (D7, D8, D16).

A word of a restricted family is k copies of a shorter word; k is its constrainedness. A cell is a training set of
rules: a mix of families, a range of k, a number of rules.
Source: Zhang et al. 2024 (arXiv 2410.04717), semantic diversity, summarised in arXiv 2405.19787.
"""

from ..report import plots, stats, tables
from ..report.ledger import HIGH, LEARNT, LOW, NEGLIGIBLE, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, differences, interval
from ..rewriting.specs import EvalSpec, RunSpec, TaskSpec
from .common import REACHED, listed, literal, rewriting_run, seeds_of, tested, without

FAMILIES = ["repeated", "periodic", "mirrored"]
"""The restricted families, which the tests are drawn from."""
FREE_WORDS = ("uniform",)
"""The mix of unrestricted rules."""
FREE = 3
"""A range of k is compared where words of its largest k have so many free letters: with 26 letters a family then has
17,576 words, more than there are rules. Training can exhaust fewer words, which the paper's 60 letters rule out."""
SETS = {"unseen": "own families and k", "lower k": "lower k, all families", "uniform": "unrestricted words"}
STYLES = {"unseen": plots.SEEN, "lower k": plots.UNSEEN, "uniform": {"color": plots.GREEN, "marker": "D"}}


def runs(mixes, k_ranges, n_rules, lowest_k, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """A training for each set of rules and seed (the paper: k = 3-4 to 3-60, tested on k < 3).

    mixes: list of lists of families, each trained at the first k range and the largest number of rules; the last mix
    also at all k ranges and all numbers of rules; "uniform" alone is the unrestricted task. Sets: "seen" and "unseen"
    of the task trained on; "families", unseen rules of all three restricted families with k from lowest_k to the
    largest trained, told apart by slices; "uniform", unseen rules of random words.
    """
    task, lowest = without("task", task, "n_rules", "families", "k"), literal("lowest_k", lowest_k, int)
    model, train = literal("model", model, dict), literal("train", train, dict)
    mixes, ranges = listed("mixes", mixes, list), listed("k_ranges", k_ranges, list)
    numbers = listed("n_rules", n_rules, int)
    places = [(mix, ranges[0], max(numbers)) for mix in mixes]
    places += [(mixes[-1], k, max(numbers)) for k in ranges] + [(mixes[-1], ranges[0], n) for n in numbers]
    found = []
    for mix, k, n in places:
        restricted = mix != list(FREE_WORDS)
        own = task | {"n_rules": n, "families": mix, "k": k if restricted else 1}
        largest = TaskSpec.of(**own).k[1] if restricted else ranges[0][1]
        families = task | {"n_rules": n, "families": FAMILIES, "k": [lowest, largest]}
        others = {"families": families, "uniform": task | {"n_rules": n}}
        evals = tested(n_test) + [EvalSpec.of(name=e, n_examples=n_test, task=other) for e, other in others.items()]
        found += [rewriting_run(own, model, train, evals, seed) for seed in seeds_of(first_seed, n_seeds)]
    return list(dict.fromkeys(found))


# ---- the table -------------------------------------------------------------------------------------------------------


def frame(chapter):
    """The runs with one more evaluation set of each, "lower k"."""
    from ..store import records

    return with_lower_k(records.frame(chapter.specs), chapter.slices)


def with_lower_k(frame, slices):
    """A table of runs with the evaluation set "lower k": those unseen rules of the set "families" whose k is below
    every k that a run of restricted families was trained on, the same for all runs of a seed tested on the same k."""
    import pandas

    if frame.empty:
        return frame
    lowest = min((k[0] for mix, k, _ in cells(frame) if mix != FREE_WORDS), default=0)
    rows = slices[(slices["eval"] == "families") & (slices["slice"] == "k")]
    rows = rows[rows["value"].astype(int) < lowest]
    sums = rows.assign(right=rows["exact_match"] * rows["n"]).groupby("key")[["right", "n"]].sum()
    new = frame[frame["eval"] == "families"]
    new = new.assign(eval="lower k", exact_match=new["key"].map(sums["right"] / sums["n"]), n=new["key"].map(sums["n"]))
    return pandas.concat([frame, new.dropna(subset=["exact_match"])], ignore_index=True)


def cells(frame) -> dict[tuple, object]:
    """The rows of each training set, {(mix, range of k, number of rules): rows}, mixes of fewer families first and
    unrestricted rules last. A tuple of equal values stands in a table as that value."""
    kinds = [
        ((mix,) if isinstance(mix, str) else mix, k if isinstance(k, tuple) else (int(k), int(k)), int(n))
        for mix, k, n in zip(frame["families"], frame["k"], frame["n_rules"])
    ]
    order = sorted(dict.fromkeys(kinds), key=lambda cell: (cell[0] == FREE_WORDS, len(cell[0])))
    return {cell: frame[[kind == cell for kind in kinds]] for cell in order}


def restricted(frame) -> dict[tuple, object]:
    """The cells of restricted families."""
    return {cell: rows for cell, rows in cells(frame).items() if cell[0] != FREE_WORDS}


def compared(frame) -> dict[tuple[str, ...], object]:
    """The rows of each restricted mix at the range of k and the number of rules that most were trained with."""
    found = restricted(frame)
    places = [cell[1:] for cell in found]
    place = max(places, key=lambda place: (places.count(place), place[1]), default=None)
    return {cell[0]: rows for cell, rows in found.items() if cell[1:] == place}


def varied(frame) -> tuple[dict, dict]:
    """Of the largest mix its rows by number of rules, and by range of k at the most rules, narrow ranges first."""
    found = restricted(frame)
    mix = max((cell[0] for cell in found), key=len, default=None)
    places = sorted(cell[1:] for cell in found if cell[0] == mix)
    ranges, most = [k for k, _ in places], max((n for _, n in places), default=0)
    usual = max(ranges, key=ranges.count, default=None)
    by_rules = {n: found[mix, k, n] for k, n in places if k == usual}
    return by_rules, {k: found[mix, k, n] for k, n in places if n == most}


def label(mix) -> str:
    """A mix in a few words."""
    return "unrestricted" if mix == FREE_WORDS else "all three" if len(mix) == len(FAMILIES) else " + ".join(mix)


# ---- claims ----------------------------------------------------------------------------------------------------------


def trained(rows) -> bool:
    """Whether the models have learnt their own rules, or apply unseen rules of the kind that they were trained on."""
    return accuracy(rows, "seen").low >= LEARNT or accuracy(rows, "unseen").low >= HIGH


def said(found: dict, name: str) -> str:
    """Each mix with its accuracy on a set of rules, in words."""
    return f"On {SETS[name]}: " + "; ".join(f"{label(mix)} {accuracy(rows, name)}" for mix, rows in found.items()) + "."


def further(frame, name: str) -> Finding:
    """D7 and D16: whether the mix of all families gets further than each mix of fewer, on a set of rules."""
    found = compared(frame)
    whole = max(found, key=len, default=())
    fewer = [mix for mix in found if len(mix) < len(whole)]
    if not fewer:
        return Finding(OPEN, "It takes a family alone and a mix that holds it.")
    gains = [differences(found[mix], found[whole], name) for mix in fewer]
    outcomes = stats.decisions(dict(zip(fewer, map(interval, gains))), NEGLIGIBLE)
    fair = [o if trained(found[whole if o == FAILS else mix]) else OPEN for mix, o in outcomes.items()]
    if not {(family,) for family in FAMILIES} <= {*fewer}:
        fair.append(OPEN)  # not every family was trained alone
    gained = "; ".join(f"over {label(mix)} {interval(gain)}" for mix, gain in zip(fewer, gains))
    weakest = min(map(interval, gains), key=lambda gain: gain.mean)
    text = f"{said(found, name)} Gain of {label(whole)}: {gained}."
    return Finding(stats.every(fair), text, weakest, max(map(stats.smallest, gains)), min(map(len, gains)))


def only_three(frame) -> Finding:
    """D7n: whether lower k is reached by three families and by no fewer."""
    found = compared(frame)
    groups = found | varied(frame)[0]  # by mix, and the largest of them by number of rules
    values = {cell: accuracy(rows, "lower k") for cell, rows in groups.items()}
    outcomes = stats.decisions(values, REACHED)
    reached = {cell: o if o != FAILS or trained(groups[cell]) else OPEN for cell, o in outcomes.items()}
    three = reached.get(tuple(FAMILIES), OPEN)
    fewer = [reached[mix] for mix in found if len(mix) < len(FAMILIES)]
    at_any = [o for cell, o in reached.items() if isinstance(cell, int)]
    never = three == FAILS and len(at_any) > 1 and set(at_any) == {FAILS}
    holds = three == HOLDS and len(fewer) == 6 and set(fewer) == {FAILS}
    outcome = FAILS if fewer.count(HOLDS) > 1 or never else HOLDS if holds else OPEN
    return Finding(outcome, said(found, "lower k"), n_seeds=min((value.n for value in values.values()), default=0))


def step(found: dict, sign: int, fair) -> Finding:
    """The change on lower k from the first to the last cell, which a statement says to go up (sign 1) or down (-1)."""
    if len(found) < 2:
        return Finding(OPEN, f"There are too few cells to compare: {', '.join(found) or 'none'}.")
    (first, before), *_, (last, after) = found.items()
    change = sign * differences(before, after, "lower k")
    outcome = stats.decide(interval(change), NEGLIGIBLE)
    text = f"On lower k {accuracy(before, 'lower k')} with {first}; change to {last}: {interval(sign * change)}."
    outcome = outcome if fair(outcome, before, after) else OPEN
    return Finding(outcome, text, interval(change), stats.smallest(change))


def more_rules(frame) -> Finding:
    """D8."""
    found = {f"{n:,} rules": rows for n, rows in varied(frame)[0].items()}
    return step(found, 1, lambda outcome, few, many: outcome != FAILS or trained(many))


def larger_k(frame) -> Finding:
    """D8k; a range is not said to do no harm where the narrower one leaves nothing to lose."""
    free = {k: rows for k, rows in varied(frame)[1].items() if free_letters(rows["x_len"].iloc[0], k[1]) >= FREE}
    found = {f"k = {tables.shown(k)}": rows for k, rows in free.items()}

    def fair(outcome, narrow, wide):
        return trained(wide) and (outcome != FAILS or accuracy(narrow, "lower k").low > LOW)

    return step(found, -1, fair)


def free_letters(length, k: int) -> int:
    """How many letters of a word of a family are free: the others repeat them, the last copy as far as the word goes.

    >>> free_letters(9, 3), free_letters((6, 7), 4)
    (3, 2)
    """
    return -(-int(length[0] if isinstance(length, tuple) else length) // k)


SOURCE = "arXiv 2410.04717, semantic diversity; summarised in arXiv 2405.19787"
MEASURE = "exact match on unseen rules of all three families with k below every trained one; changes seed by seed"
TRAINED = (
    f"Low accuracy counts where a model's own rules are learnt (at least {LEARNT} on seen or {HIGH} on unseen ones)."
)
MARGIN = f"{NEGLIGIBLE}, a twentieth of the way from no answer to all."
WIDER = f"""Holds where the gain of the mix of all three over every mix of fewer lies above {NEGLIGIBLE}, each family
alone being among them. Does not hold where one gain lies below {NEGLIGIBLE}. Holm's levels over the gains. {TRAINED}"""
ONLY_THREE = f"""A mix reaches lower k where its accuracy lies above {REACHED}, and does not where it lies below. Holds
where the mix of three does and none of the six mixes of fewer does. Does not hold where two of these do, or where the
mix of three does not at any of several numbers of rules. Holm's levels over the mixes. {TRAINED}"""
MORE_RULES = f"""Looks at the mix of all families. Holds where the change from the fewest to the most rules lies above
{NEGLIGIBLE}. Does not hold where it lies below. {TRAINED}"""
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
    Claim("D8n", "With at most 500 rules lower k is never reached.", SOURCE, MEASURE, "", "", None,
          "the paper's words of 60 letters, its model and its number of steps"),
    Claim("D16", "More families of words in training improve rules whose words belong to no family.", SOURCE,
          "exact match on unseen rules of unrestricted words; changes seed by seed", WIDER, MARGIN,
          lambda frame: further(frame, "uniform")),
    Claim("D16g", "A more diverse semantic space of instructions improves following instructions of any other kind.",
          "arXiv 2405.19787, abstract", "exact match on other kinds of instructions", "", "", None,
          "kinds of instructions beyond one rewriting step; D16 asks it of forms of words alone"),
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    import pandas

    groups = {}
    for mix, rows in compared(chapter.frame).items():
        groups.setdefault(len(mix), []).append(rows)
    words = ("after training on one family of forms", "on two", "on three")
    found = [f"{accuracy(pandas.concat(rows), 'uniform')} {words[n - 1]}" for n, rows in groups.items()]
    return f"**On new rules whose words have no form, exact match is {', '.join(found)}.**"


def figure_mixes(chapter):
    """Accuracy on three kinds of unseen rules by mix of families."""
    free = {cell[0]: rows for cell, rows in cells(chapter.frame).items() if cell[0] == FREE_WORDS}
    return drawn(chapter, {label(mix): rows for mix, rows in (compared(chapter.frame) | free).items()})


def figure_amounts(chapter):
    """The same for the largest mix, by number of rules and by range of training k."""
    by_rules, by_k = varied(chapter.frame)
    conditions = {"Number of rules": None} | {f"{plots.number(n)} rules": rows for n, rows in by_rules.items()}
    return drawn(
        chapter, conditions | {"Training k": None} | {f"k = {tables.shown(k)}": rows for k, rows in by_k.items()}
    )


def drawn(chapter, conditions: dict):
    """A line for each training set, a colour for each kind of unseen rules."""
    values = {
        text: rows if rows is None else {words: plots.of_runs(rows, name) for name, words in SETS.items()}
        for text, rows in conditions.items()
    }
    figure, (ax,) = plots.panels(1, height=0.45 * len(values) + 0.6)
    plots.grouped(ax, values, {SETS[name]: style for name, style in STYLES.items()}, chapter.again)
    ax.set(xlim=(-0.03, 1.03), xlabel=plots.ACCURACY)
    plots.legend(figure, [ax], list(SETS.values()))
    return plots.finished(figure, chapter.frame, plots.training(chapter.frame), plots.sizes(chapter.frame))


def table_mixes(chapter) -> str:
    """Every training set: how diverse its rules are (`diversity.of_rules`), and the accuracy on each set."""
    from ..rewriting.diversity import of_rules

    measured, rows = {spec.key: of_rules(spec.task, spec.seed) for spec in chapter.specs}, []
    for (mix, k, n), own in cells(chapter.frame).items():
        words, forms, vendi = (
            sum(measured[key][name] for key in own["key"].unique()) / own["key"].nunique()
            for name in ("different_words", "forms", "vendi")
        )
        raw = ", ".join(f"{value:.2f}" for value in stats.by_seed(own, "lower k"))
        found = [accuracy(own, name) for name in ("seen", *SETS)]
        counts = [f"{words:,.0f}", f"{forms:.1f}", f"{vendi:.0f}"]
        rows.append([label(mix), "–" if mix == FREE_WORDS else tables.shown(k), f"{n:,}", *counts, *found, raw])
    header = ["families", "k", "rules", "different words", "forms", "Vendi score", "seen rules", *SETS.values()]
    caption = "Exact match by training set: means with 95 % t-intervals, and the seeds' values on lower k"
    return tables.table(caption, "tab-families", [*header, "lower k by seed"], rows)
