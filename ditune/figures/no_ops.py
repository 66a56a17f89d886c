"""No-ops among the training examples (chapter 03): tables of runs, figures and tables.

A condition is a label with its runs. Runs without no-ops on fewer examples are the control: as many examples that hold x, in all and in
each step, as the largest share of no-ops leaves.
"""

from ..claims.ledger import LEARNT
from ..claims.no_ops import with_inputs
from ..claims.number_of_rules import PLACE
from ..claims.paired import accuracy
from ..figures.intervals import bounds, differences, interval
from ..figures.plotting import made_by, table
from ..figures.shared import grouped_panels, split, title
from ..store import records
from .thresholds import unlearnt

ABOUT_400 = (*PLACE, "paper: about 400,\nwhatever the share")
"""The paper's threshold, as a range of the numbers of rules: its own words place it at 300 and at 500."""


# ---- tables of runs --------------------------------------------------------------------------------------------------


def answers(specs, folders=None) -> tuple:
    """The tables (`claims.no_ops.with_inputs`) of the runs on the whole budget of examples, and of those of the control."""
    specs = list(dict.fromkeys(specs))
    found = with_inputs(records.frame(specs, folders), records.slices(specs, folders))
    most = max(spec.task.n_examples for spec in specs)
    out = []
    for whole in (True, False):
        keys = [spec.key for spec in specs if (spec.task.n_examples == most) == whole]
        out.append(found[found["key"].isin(keys)])
        out[-1].attrs = {"runs": len(keys)}
    return tuple(out)


def in_words(share: float) -> str:
    """A share of no-ops.

    >>> in_words(0.0), in_words(0.5)
    ('no no-ops', '50 % no-ops')
    """
    return f"{100 * share:g} % no-ops" if share else "no no-ops"


def by_share(frame, evaluation: str = "unseen") -> dict:
    """The rows of one evaluation set by share of no-ops in training."""
    return split(frame[frame["eval"] == evaluation], "no_op_share", in_words)


def conditions(frame, control) -> dict:
    """All evaluation sets of the runs without no-ops, of the control if there is one, and of those with the largest share."""
    shares = split(frame, "no_op_share", in_words)
    none, most = list(shares)[0], list(shares)[-1]
    out = {none: shares[none]}
    if len(control):
        kept = 100 * control["n_examples"].iloc[0] / frame["n_examples"].iloc[0]
        out[f"{none}, {kept:g} % of the examples"] = control
    return out | {most: shares[most]}


# ---- figures ---------------------------------------------------------------------------------------------------------


def in_order(frames) -> list[str]:
    """The labels of all shares, ascending."""
    return [in_words(share) for share in sorted({share for frame in frames for share in frame["no_op_share"]})]


def accuracy_by_share(tables: dict):
    """Accuracy on inputs of unseen rules that hold x, a curve for each share: one panel a table, {"profile laptop": table}."""
    panels = {title(frame, name): by_share(frame) for name, frame in tables.items()}
    origins = [made_by(frame, name) for name, frame in tables.items()]
    return grouped_panels(panels, origins, order=in_order(tables.values()), band=ABOUT_400)


def kinds_of_answers(frame, origin: str):
    """What the models do with unseen rules: no-ops that are right, their mean with the inputs that hold x, and of the latter
    those that are copied."""
    shares = by_share(frame)
    tested = {label: rows[rows["no_op"].notna()] for label, rows in shares.items()}
    panels = {
        "No-ops: right": {label: rows.assign(shown=rows["no_op"]) for label, rows in tested.items()},
        "Mean of no-ops and inputs that hold x: right": {label: rows.assign(shown=rows["mean"]) for label, rows in tested.items()},
        "Inputs that hold x: copied, which is wrong": {label: rows.assign(shown=rows["copied"]) for label, rows in shares.items()},
    }
    return grouped_panels(panels, [made_by(frame, origin)], y="shown", ylabel="share", order=in_order([frame]))


def with_control(tables: dict):
    """Accuracy on inputs of unseen rules that hold x, without no-ops, in the control, and with the largest share: a panel for
    each pair of tables, {"profile laptop": (table, control)}."""
    panels, origins = {}, []
    for name, (frame, control) in tables.items():
        panels[title(frame, name)] = {label: rows[rows["eval"] == "unseen"] for label, rows in conditions(frame, control).items()}
        origins += [made_by(frame, name), made_by(control, f"control of {name}")]
    return grouped_panels(panels, origins)


# ---- tables ----------------------------------------------------------------------------------------------------------


def results_table(frame, caption: str, name: str) -> str:
    """By share and number of rules: accuracies on unseen rules by kind of input, copies, and what was learnt."""
    rows = []
    for (share, n), group in frame.groupby(["no_op_share", "n_rules"]):
        unseen, seen = (group[group["eval"] == e].sort_values("seed") for e in ("unseen", "seen"))
        raw = ", ".join(f"{value:.2f}" for value in unseen["exact_match"])
        with_no_ops = [interval(unseen[column]) if share else "–" for column in ("no_op", "mean")]
        rows.append([in_words(share), f"{n:,}", interval(unseen["exact_match"]), raw, *with_no_ops, interval(unseen["copied"]), interval(seen["exact_match"])])
    header = ["training", "rules I", "unseen rules, x in the input", "by seed", "no-ops", "mean", "copied though x is there", "seen rules, x in the input"]
    return table(caption, name, header, rows)


def threshold_table(frame, control, caption: str, name: str) -> str:
    """The threshold of each share and of the control, and its ratio to that without no-ops."""
    found = split(frame, "no_op_share", in_words) | conditions(frame, control)
    places = {label: bounds(rows) for label, rows in found.items()}
    first = next(iter(places))
    rows = [[label, place, "1" if label == first else place.over(places[first]) or "–"] for label, place in places.items()]
    return table(caption, name, ["training", "threshold: rules at which 0.5 is passed", f"ratio to {first}"], rows)


def control_table(found: dict, caption: str, name: str) -> str:
    """Accuracies of the conditions on unseen rules by number of rules, the last less each of the others, and what they reach on seen rules."""
    *others, last = found
    changes = {label: differences(found[label], found[last]) for label in others}
    rows = []
    for n in sorted(set(found[last]["n_rules"])):
        reached = [accuracy(found[label][found[label]["n_rules"] == n], "unseen") for label in (*others, last)]
        seen = " / ".join(f"{accuracy(found[label][found[label]['n_rules'] == n], 'seen').mean:.2f}" for label in (*others, last))
        rows.append([f"{n:,}", *reached, *(changes[label].get(n, "–") for label in others), seen])
    return table(caption, name, ["rules I", *others, last, *(f"{last} less {label}" for label in others), "seen rules, in the same order"], rows)


# ---- words -----------------------------------------------------------------------------------------------------------


def few_in_words(frame) -> str:
    """What the models do with unseen rules at the smallest number of rules, with the largest share of no-ops."""
    share, n = frame["no_op_share"].max(), frame["n_rules"].min()
    rows = frame[(frame["no_op_share"] == share) & (frame["n_rules"] == n) & (frame["eval"] == "unseen")]
    right, no_op, copied = (interval(rows[column]) for column in ("exact_match", "no_op", "copied"))
    other = interval(1 - rows["exact_match"] - rows["copied"])
    none = frame[(frame["no_op_share"] == 0) & (frame["n_rules"] == n) & (frame["eval"] == "unseen")]
    never = f" Models that met no no-op in training copy {interval(none['copied'])}." if len(none) else ""
    return (
        f"With {n:,} rules and {in_words(share)} in training, {no_op} of the no-ops of unseen rules are answered right. Of the inputs of unseen rules that hold x, {right} are answered right, {copied} "
        f"are copied, and {other} get another answer.{never}"
    )


def untrained(found: dict) -> str:
    """Which conditions have not learnt their own rules just below their threshold, so that it may move with more training."""
    named = [label for label, rows in found.items() if unlearnt(rows)]
    return f" Below the threshold the seen rules are not learnt (below {LEARNT}) with {'; '.join(f'“{label}”' for label in named)}: there it may be a matter of more training." if named else ""


def control_in_words(found: dict) -> str:
    """What the control says of the threshold."""
    if len(found) < 3:
        return "There is no control among these runs."
    places = {label: bounds(rows) for label, rows in found.items()}
    none, fewer, most = places.values()
    where = "; ".join(f"{label}: {place}" for label, place in places.items())
    return (
        f"The accuracy on inputs of unseen rules that hold x passes one half at these numbers of rules: {where}. The ratio of the last to the first is {most.over(none) or 'not known'}; to the "
        f"second, which has as many examples that hold x, it is {most.over(fewer) or 'not known'}.{untrained(found)}"
    )
