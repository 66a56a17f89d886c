"""D7, D8 and D16: rules of restricted families, tested on lower constrainedness k and on unrestricted rules (chapter 05).

A table of this chapter is `with_lower_k(records.frame(specs), records.slices(specs))`.
"""

from ..claims.ledger import LOW, Finding, Scale, claim, sentence
from ..claims.paired import NEGLIGIBLE, REACHED, SEEDS, TRAINED, above, accuracy, below, change, trained

SOURCE = "arXiv 2410.04717, semantic diversity; summarised in arXiv 2405.19787"
UNRESTRICTED = ("uniform",)
SCALE = Scale(SEEDS, (("x_len", 9),))
"""With 9 letters, k = 3 or 4 leaves three free ones: a family then has 17,576 words, more than there are rules. With fewer, training
can exhaust the words, which the paper's 60 letters rule out. (Raised after runs with 6 letters, which violate D7 and D8.)"""
FREE = 3
"""A range of k counts, for or against D8, where the words of its largest k have so many free letters, for the same reason."""
METRIC = "exact match on unseen rules, mean over seeds with its 95 % bootstrap interval; changes are taken seed by seed"


# ---- what was measured -----------------------------------------------------------------------------------------------


def ends(value) -> tuple[int, int]:
    """A range of k as it stands in a table, as (smallest, largest).

    >>> ends(3), ends((3, 4))
    ((3, 3), (3, 4))
    """
    return (int(value), int(value)) if not isinstance(value, tuple) else value


def mix_of(value) -> tuple[str, ...]:
    """The families as they stand in a table, as a tuple.

    >>> mix_of("repeated"), mix_of(("repeated", "periodic"))
    (('repeated',), ('repeated', 'periodic'))
    """
    return (value,) if isinstance(value, str) else value


def with_lower_k(frame, slices):
    """A table of runs with one more evaluation set of each run, "lower k".

    It holds those unseen rules of the set "families" whose k is below every k that a run of restricted families was trained
    on: the same examples for all runs of a seed that were tested on the same k.
    """
    import pandas

    if frame.empty:
        return frame
    lowest = min((ends(k)[0] for k, mix in zip(frame["k"], frame["families"]) if mix_of(mix) != UNRESTRICTED), default=0)
    rows = slices[(slices["eval"] == "families") & (slices["slice"] == "k")]
    rows = rows[rows["value"].astype(int) < lowest]
    sums = rows.assign(right=rows["exact_match"] * rows["n"]).groupby("key")[["right", "n"]].sum()
    new = frame[frame["eval"] == "families"]
    new = new.assign(eval="lower k", exact_match=new["key"].map(sums["right"] / sums["n"]), n=new["key"].map(sums["n"]))
    out = pandas.concat([frame, new.dropna(subset=["exact_match"])], ignore_index=True)
    out.attrs = frame.attrs
    return out


def cells(frame) -> dict[tuple, object]:
    """The rows of each training set: {(mix, range of k, number of rules): rows}; of unrestricted rules the range is (1, 1)."""
    kinds = list(zip(map(mix_of, frame["families"]), map(ends, frame["k"]), map(int, frame["n_rules"])))
    return {kind: frame[[kind == one for one in kinds]] for kind in dict.fromkeys(kinds)}


def common(frame) -> tuple[tuple[int, int], int] | None:
    """The range of k and the number of rules that most restricted mixes were trained with; of several the one with most rules."""
    places = [cell[1:] for cell in cells(frame) if cell[0] != UNRESTRICTED]
    return max(places, key=lambda place: (places.count(place), place[1]), default=None)


def compared(frame) -> dict[tuple[str, ...], object]:
    """The rows of each restricted mix at this range of k and number of rules, those of fewer families first."""
    found = {cell[0]: rows for cell, rows in cells(frame).items() if cell[1:] == common(frame)}
    return {mix: found[mix] for mix in sorted(found, key=len) if mix != UNRESTRICTED}


def reach(rows, name: str = "lower k") -> str:
    """Whether the models reach rules of a kind that they were not trained on: "yes", "no" or "open"."""
    found = accuracy(rows, name)
    return "yes" if above(found, REACHED) else "no" if below(found, REACHED) and trained(rows) else "open"


def said(mix: tuple[str, ...], rows, name: str) -> str:
    """One mix in words."""
    own = "" if trained(rows) else f" (not trained: {accuracy(rows, 'seen')} on seen rules)"
    return f"{' + '.join(mix)}: {accuracy(rows, name)}{own}"


# ---- claims ----------------------------------------------------------------------------------------------------------


@claim(
    "D7",
    statement="Models trained on one restricted family of rules do not reach rules of lower constrainedness k, nor do those trained on two; those trained on three do.",
    source=SOURCE,
    metric=METRIC,
    rule=(
        f"Looks at unseen rules of all three families with k below the trained ones, at the range of k and the number of rules at which most mixes were trained. A mix reaches them where "
        f"the lower bound is above {REACHED}; it does not where the upper bound is below {REACHED} in models that are {TRAINED}. Holds where the mix of three reaches them and "
        f"no mix of one or two does, at least one of each being tried. Fails where the mix of three does not, or one of the others does. Fewer than {SEEDS} seeds decide nothing."
    ),
    smallest_scale=SCALE,
)
def d7(frame) -> Finding:
    found = compared(frame)
    reached = {mix: reach(rows) for mix, rows in found.items()}
    three, fewer = [v for mix, v in reached.items() if len(mix) == 3], [v for mix, v in reached.items() if len(mix) < 3]
    text = sentence(["accuracy on lower k", *(said(mix, rows, "lower k") for mix, rows in found.items())]) + "."
    if "no" in three or "yes" in fewer:
        return Finding("fails", text)
    whole = {len(mix) for mix in found} == {1, 2, 3}
    return Finding("holds" if whole and three == ["yes"] and set(fewer) == {"no"} else "open", text)


def free_letters(length: int, k: int) -> int:
    """How many letters of a word of a family are free: the others repeat them k times, the last ones as far as the word goes.

    >>> free_letters(9, 3), free_letters(6, 4)
    (3, 2)
    """
    return -(-length // k)


def varied(frame) -> tuple[list, list]:
    """Of the largest mix: its rows by number of rules at its smallest k, and by range of k at its largest number of rules,
    [(number or range, rows)], ascending."""
    found = cells(frame)
    mix = max((mix for mix, _, _ in found if mix != UNRESTRICTED), key=len, default=None)
    places = sorted((k, n) for m, k, n in found if m == mix)
    if not places:
        return [], []
    narrow, most = places[0][0], max(n for _, n in places)
    by_rules = [(n, found[mix, k, n]) for k, n in places if k == narrow]
    return by_rules, [(k, found[mix, k, n]) for k, n in places if n == most]


@claim(
    "D8",
    statement="With at most 500 rules lower k is never reached; more rules help; larger k in training hurts.",
    source=SOURCE,
    metric=METRIC,
    rule=(
        f"Looks at the largest mix and at unseen rules of lower k. The smallest number of rules tried stands for the paper's 500. Holds where at this number they are not reached (upper bound "
        f"below {REACHED}), the change from it to the largest number is an increase (lower bound above {NEGLIGIBLE}), and the change from the narrowest to the widest range of training k a "
        f"decrease (upper bound below -{NEGLIGIBLE}). Fails where they are reached (lower bound above {REACHED}) with the smallest number; where the largest number is no help (upper bound below "
        f"{NEGLIGIBLE}); or where the widest range is no harm (lower bound above -{NEGLIGIBLE}) although the narrowest leaves something to lose (lower bound of the accuracy above {LOW}). "
        f"The widest range counts only where words of its largest k have at least {FREE} free letters. Low accuracy counts only in models that are {TRAINED}. Fewer than {SEEDS} seeds decide nothing."
    ),
    smallest_scale=SCALE,
)
def d8(frame) -> Finding:
    by_rules, by_k = varied(frame)
    if len(by_rules) < 2 or len(by_k) < 2:
        return Finding("open", "It takes two numbers of rules and two ranges of training k.")
    (fewest, few), (most, many), (narrowest, narrow), (widest, wide) = by_rules[0], by_rules[-1], by_k[0], by_k[-1]
    more, wider, at_few = change(few, many, "lower k"), change(narrow, wide, "lower k"), reach(few)
    text = f"Accuracy on lower k with {fewest:,} rules: {accuracy(few, 'lower k')}; change from {fewest:,} to {most:,} rules: {more}; "
    text += f"change from training k {narrowest[0]} to {narrowest[1]} to training k {widest[0]} to {widest[1]}: {wider}."
    free = free_letters(ends(wide["x_len"].iloc[0])[0], widest[1])
    text += f" Words of k = {widest[1]} have {free} free letters{'' if free >= FREE else ': too few for the range to count'}."
    useless = below(more, NEGLIGIBLE) and trained(many)
    harmless = free >= FREE and above(wider, -NEGLIGIBLE) and trained(wide) and above(accuracy(narrow, "lower k"), LOW)
    if at_few == "yes" or useless or harmless:
        return Finding("fails", text)
    holds = at_few == "no" and above(more, NEGLIGIBLE) and free >= FREE and below(wider, -NEGLIGIBLE) and trained(wide)
    return Finding("holds" if holds else "open", text)


@claim(
    "D16",
    statement="A more diverse semantic space of the training rules improves following instructions of another kind.",
    source="arXiv 2405.19787, abstract; semantic diversity: arXiv 2410.04717",
    metric=METRIC,
    rule=(
        f"Looks at mixes of restricted families of which one holds the other, at the same range of k, number of rules and budget, tested on unrestricted rules: words that none of them is about. "
        f"Holds where the change from every single family to the largest mix that holds it is an increase (lower bound above {NEGLIGIBLE}) and no step to a mix that holds more is a decrease (upper bound "
        f"below -{NEGLIGIBLE}). Fails where one is, or where the change from every single family to the largest mix is no help (upper bound below {NEGLIGIBLE}). "
        f"Low accuracy counts only in models that are {TRAINED}. Fewer than {SEEDS} seeds decide nothing."
    ),
    smallest_scale=SCALE,
)
def d16(frame) -> Finding:
    found = compared(frame)
    steps = {(a, b): change(found[a], found[b], "uniform") for a in found for b in found if {*a} < {*b}}
    ascents = {(a, b): step for (a, b), step in steps.items() if len(a) == 1 and len(b) == max(map(len, found))}
    if not ascents:
        return Finding("open", "No family was trained both alone and with others.")
    text = sentence(["accuracy on unrestricted rules", *(said(mix, rows, "uniform") for mix, rows in found.items())])
    text += ". Change to the largest mix, " + "; ".join(f"from {a[0]}: {step}" for (a, _), step in ascents.items()) + "."
    harm = any(below(step, -NEGLIGIBLE) and trained(found[b]) for (_, b), step in steps.items())
    if harm or all(below(step, NEGLIGIBLE) and trained(found[b]) for (_, b), step in ascents.items()):
        return Finding("fails", text)
    return Finding("holds" if all(above(step, NEGLIGIBLE) and trained(found[a]) for (a, _), step in ascents.items()) else "open", text)
