"""How often x occurs in the inputs (chapter 04): tables of runs, figures and tables.

A kind of training is the tuple of the numbers of occurrences that its inputs have. All kinds are tested on the same range of numbers; the slices of a
test set are the numbers.
"""

import pandas

from ..claims.occurrences import PAPER_TABLE, kind_of, with_kinds, words
from ..figures.intervals import Interval, interval
from ..figures.plotting import made_by, number, table
from ..figures.shared import group_styles, grouped_panels, title
from ..store import records

# ---- tables of runs --------------------------------------------------------------------------------------------------


def answers(specs, folders=None) -> tuple:
    """The table of the runs (`claims.occurrences.with_kinds`), and one with a row for each tested number: column `tested`."""
    specs = list(dict.fromkeys(specs))
    frame, slices = records.frame(specs, folders), records.slices(specs, folders)
    out = with_kinds(frame, slices)
    out.attrs = {"runs": len(specs)}
    tested = slices[slices["slice"] == "occurrences"] if len(slices) else frame.assign(value=1, slice="occurrences")
    return out, tested.assign(tested=tested["value"].astype(int), kind=[kind_of(value) for value in tested["occurrences"]])


def paper_rows():
    """The paper's table as rows of one seed."""
    return pandas.DataFrame({"kind": kind, "n_rules": n, "exact_match": value, "seed": 0} for kind, row in PAPER_TABLE.items() for n, value in row.items())


def role(kind: tuple[int, ...], most: int) -> str:
    """What a kind of training is among those tested up to a number.

    >>> role((1,), 3), role((3,), 3), role((10,), 20), role((1, 2, 3), 3)
    ('1 occurrence', 'the most', 'in between', 'mixed')
    """
    if len(kind) > 1:
        return "mixed"
    return "1 occurrence" if kind == (1,) else "the most" if kind == (most,) else "in between"


def kinds_in(frame) -> list[tuple[int, ...]]:
    """The kinds of training in a table: single numbers ascending, then mixes."""
    return sorted(set(frame["kind"]), key=lambda kind: (len(kind) > 1, kind))


def by_role(frame) -> dict:
    """The rows by role; roles that two kinds have are told apart by their numbers."""
    kinds = kinds_in(frame)
    most = max(map(max, kinds))
    roles = [role(kind, most) for kind in kinds]
    labels = [name if roles.count(name) == 1 else words(kind) for name, kind in zip(roles, kinds)]
    return {label: frame[frame["kind"] == kind] for label, kind in zip(labels, kinds)}


# ---- figures ---------------------------------------------------------------------------------------------------------


def accuracy_by_kind(tables: dict):
    """Accuracy on unseen rules over the whole range of occurrences, a curve for each kind of training: a panel a table,
    {"profile laptop": table}, and the paper's."""
    panels = {f"{title(frame, name)}; x occurs {span(frame)}": by_role(frame[frame["eval"] == "unseen"]) for name, frame in tables.items()}
    panels["Paper, table 1: x occurs 1 to 20 times\none value each, without an interval"] = by_role(paper_rows())
    return grouped_panels(panels, [made_by(frame, name) for name, frame in tables.items()])


def span(frame) -> str:
    """The range of the tested numbers of occurrences in words."""
    return f"1 to {max(map(max, frame['kind']))} times"


def accuracy_by_tested(tested, frame, origin: str):
    """Accuracy on unseen rules by the tested number of occurrences: a panel a number of rules, a curve a kind of training; filled
    marks: numbers that training had."""
    rows = tested[tested["eval"] == "unseen"]
    panels = {f"{n:,} training rules": by_role(group) for n, group in rows.groupby("n_rules")}
    figure = grouped_panels(panels, [made_by(frame, origin)], x="tested", xlabel="tested number of occurrences of x (logarithmic)")
    styles = group_styles([label for groups in panels.values() for label in groups])
    for ax, groups in zip(figure.axes, panels.values()):
        if rows["tested"].nunique() < 6:
            ax.set_xticks(sorted(set(rows["tested"])))
        for label, group in groups.items():
            had = group[[number in kind for number, kind in zip(group["tested"], group["kind"])]]
            means = had.groupby("tested")["exact_match"].mean()
            ax.plot(means.index, means, **styles[label] | {"linestyle": "", "markersize": 8, "zorder": 2.5})
    return figure


# ---- the control -----------------------------------------------------------------------------------------------------


def gains(tested, mix, single) -> dict[tuple[int, bool], tuple[Interval, Interval, Interval]]:
    """By number of rules, and whether the single kind was trained on the tested numbers: its accuracy on them on unseen
    rules, that of the mix on the same numbers, and the second less the first, over the seeds of both."""
    rows = tested[(tested["eval"] == "unseen") & tested["kind"].isin([mix, single])]
    rows = rows.assign(had=rows["tested"].isin(single), right=rows["exact_match"] * rows["n"])
    sums = rows.groupby(["n_rules", "had", "seed", "kind"])[["right", "n"]].sum()
    shares = (sums["right"] / sums["n"]).unstack("kind").reindex(columns=[single, mix]).dropna()
    out = {}
    for (n, had), group in shares.groupby(["n_rules", "had"]):
        out[int(n), bool(had)] = (interval(group[single]), interval(group[mix]), interval(group[mix] - group[single]))
    return out


def pairs(frame) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each mix with each single number."""
    kinds = kinds_in(frame)
    return [(mix, single) for mix in kinds for single in kinds if len(mix) > 1 and len(single) == 1]


def gains_table(tested, caption: str, name: str) -> str:
    """The gain of each mix over each single number, on the number which that had and on the others."""
    rows = []
    for mix, single in pairs(tested):
        for (n, had), (alone, mixed, gain) in sorted(gains(tested, mix, single).items(), key=lambda item: (item[0][0], not item[0][1])):
            on = f"{words(single)}, which it had" if had else "the others"
            rows.append([f"{n:,}", words(single), on, alone, mixed, gain])
    return table(caption, name, ["rules I", "trained on", "tested on", "accuracy", "the mix on the same", "gain"], rows)


def gains_in_words(tested) -> str:
    """Where the mix gains, at the largest number of rules."""
    lines = []
    for mix, single in pairs(tested):
        found = gains(tested, mix, single)
        n = max((n for n, _ in found), default=None)
        parts = {True: f"on {words(single)}", False: "on the other tested numbers"}
        said = [f"{where} by {found[n, had][2]}" for had, where in parts.items() if (n, had) in found]
        if said:
            lines.append(f"With {n:,} rules, training on {words(mix)} instead of {words(single)} alone changes the accuracy {' and '.join(said)}.")
    return " ".join(lines)


# ---- tables ----------------------------------------------------------------------------------------------------------


def results_table(frame, caption: str, name: str) -> str:
    """By kind of training and number of rules: accuracy on unseen rules over the whole range, on the numbers that training
    had and on the others, and on seen rules at those that training had."""
    rows = []
    for kind in kinds_in(frame):
        for n, group in frame[frame["kind"] == kind].groupby("n_rules"):
            unseen, seen = (group[group["eval"] == e].sort_values("seed") for e in ("unseen", "seen"))
            raw = ", ".join(f"{value:.2f}" for value in unseen["exact_match"])
            other = "–" if unseen["not_met"].isna().any() else interval(unseen["not_met"])
            rows.append([words(kind), f"{n:,}", interval(unseen["exact_match"]), raw, interval(unseen["met"]), other, interval(seen["met"])])
    header = ["x occurs in training", "rules I", "unseen rules, whole range", "by seed", "numbers that training had", "other numbers", "seen rules, numbers that training had"]
    return table(caption, name, header, rows)


def paper_table(caption: str, name: str) -> str:
    """The paper's values."""
    numbers = sorted({n for row in PAPER_TABLE.values() for n in row})
    rows = [[words(kind), *(f"{row[n]:.2f}" for n in numbers)] for kind, row in PAPER_TABLE.items()]
    return table(caption, name, ["x occurs in training", *(f"I = {number(n)}" for n in numbers)], rows)


def scale_in_words(runs: dict) -> str:
    """How many occurrences of x the runs have, {"profile laptop": specs}, and how much of an input they fill at most."""
    lines = []
    for name, specs in runs.items():
        task = max((spec.task for spec in specs), key=lambda task: max(task.occurrences))
        most = max(task.occurrences)
        lines.append(f"In {name} the largest number is {most}; these occurrences make up {most * task.x_len[1]} of the {task.z_len[0]} letters of an input.")
    return " ".join(lines)
