"""06: rules with unequal numbers of examples, and half of the examples left out (D6, D11).

Each rule draws a weight U^(1/alpha), and examples are drawn in proportion: the smaller alpha, the longer the tail.
Source: Zhang et al. 2024 (arXiv 2405.19787), long tail; the paper: alpha 2 to 0.03; 1,000, 10,000 and 100,000 rules.
"""

import numpy as np

from ..report import plots, stats, tables
from ..report.ledger import NEGLIGIBLE, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, change, differences, interval
from ..rewriting.specs import RunSpec
from ..specs import SpecError
from .common import PAPER_SCALE, REACHED, by_rules, listed, literal, without

WIDE = 10
"""Many rules are so many times the few: the paper's 10,000 and 1,000."""
PEAKED = 0.2
"""The paper's 1,000 rules suffer from tails of a smaller alpha."""
CURVE = (10, 30, 100, 200, 300, 400, 600, 1000, 3000)
"""Numbers of rules without a tail in chapter 02, which few effective rules are compared with."""
COUNTS = {
    "n_rules": "all rules",
    "met": "rules with an example",
    "half": "effective number of order ½",
    "entropy": "effective number of order 1",
    "simpson": "effective number of order 2",
}
"""Counts of rules (`diversity.of_examples`), from the one in which rare rules count most to the one in which least."""
SETS = {"unseen": "unseen rules", "seen": "seen rules"}


def runs(
    tail_alphas, n_rules, kept_share, halved_rules, first_seed, n_seeds, n_test, task, model, train
) -> list[RunSpec]:
    """A training for each number of rules, tail and seed; without a tail it is chapter 02.

    tail_alphas: of the weights of the rules. Halving: kept_share of the examples of halved_rules rules, evenly over the
    rules or with the longest of these tails; and all of the examples.
    """
    task = without("task", task, "n_rules", "tail_alpha")
    alphas, numbers = listed("tail_alphas", tail_alphas, (int, float)), listed("n_rules", n_rules, int)
    shared, halved = (first_seed, n_seeds, n_test), [literal("halved_rules", halved_rules, int)]
    found = by_rules(numbers, *shared, task, model, train)
    for alpha in alphas:
        found += by_rules(numbers, *shared, task | {"tail_alpha": float(alpha)}, model, train)
    if not 0 < literal("kept_share", kept_share, (int, float)) <= 1:
        raise SpecError(f"kept_share = {kept_share!r}; allowed: a number above 0, at most 1")
    half = task | {"n_examples": round(kept_share * RunSpec.of(task=task).task.n_examples)}
    for tail in (None, float(min(alphas))):
        found += by_rules(halved, *shared, half | {"tail_alpha": tail}, model, train)
    return list(dict.fromkeys(found + by_rules(halved, *shared, task, model, train)))


def borrowed(n_rules, first_seed, n_seeds, n_test, task, model, train, **_) -> list[RunSpec]:
    """The runs without a tail of chapter 02 at fewer rules, for the curve that tails are compared with."""
    task, most = without("task", task, "n_rules", "tail_alpha"), max(listed("n_rules", n_rules, int))
    return by_rules([n for n in CURVE if n < most] or [most], first_seed, n_seeds, n_test, task, model, train)


def sample(specs: list[RunSpec]) -> list[RunSpec]:
    """One seed of the longest tail at the most rules."""
    tailed = [spec for spec in specs if spec.task.tail_alpha]
    key = {spec: (-spec.task.n_examples, spec.task.tail_alpha, -spec.task.n_rules, spec.seed) for spec in tailed}
    return sorted(tailed, key=key.get)[:1]


# ---- the table -------------------------------------------------------------------------------------------------------


def whole(frame):
    """The runs on the whole budget of examples."""
    return frame[frame["n_examples"] == frame["n_examples"].max()]


def by_tail(rows) -> dict[float | None, object]:
    """The rows by alpha, None: without a tail, then from the mildest to the longest."""
    even, tailed = rows[rows["tail_alpha"].isna()], rows[rows["tail_alpha"].notna()]
    found = {None: even} if len(even) else {}
    return found | {
        float(a): tailed[tailed["tail_alpha"] == a] for a in sorted(set(tailed["tail_alpha"]), reverse=True)
    }


def tails(frame) -> dict[int, dict]:
    """The runs on the whole budget by number of rules and tail, where there are runs with and without one."""
    grid = {int(n): by_tail(rows) for n, rows in whole(frame).groupby("n_rules")}
    return {n: found for n, found in grid.items() if None in found and len(found) > 1}


def parts(frame) -> dict[str, object]:
    """The runs on all examples, on an even part and on a part with a tail, at one number of rules."""
    part, everything = frame[frame["n_examples"] < frame["n_examples"].max()], tails(frame)
    found = by_tail(part)
    if None not in found or len(found) < 2 or (n := int(part["n_rules"].iloc[0])) not in everything:
        return {}
    return {
        "all examples": everything[n][None],
        "an even part": found[None],
        "an uneven part": found[min(filter(None, found))],
    }


# ---- claims ----------------------------------------------------------------------------------------------------------

OPPOSITE = {HOLDS: FAILS, FAILS: HOLDS, OPEN: OPEN}


def harms(before, others: dict) -> dict[object, str]:
    """Whether each of several conditions lowers the accuracy on unseen rules, at Holm's levels; a fall counts where
    seen rules are answered no worse."""
    found = stats.decisions({name: interval(-differences(before, rows)) for name, rows in others.items()}, NEGLIGIBLE)
    lost = {name: change(before, rows, "seen").low < -NEGLIGIBLE for name, rows in others.items()}
    return {name: OPEN if outcome == HOLDS and lost[name] else outcome for name, outcome in found.items()}


def compared(before, others: dict, what: str) -> tuple[str, stats.Interval, float]:
    """The change that each condition makes, in words; the largest fall; the smallest that could have been seen."""
    found = {name: differences(before, rows) for name, rows in others.items()}
    text = f"{what}: {accuracy(before)} on unseen rules; change with "
    text += ", ".join(f"{name}: {interval(values)}" for name, values in found.items()) + "."
    worst = min(found.values(), key=lambda values: values.mean())
    return text, interval(worst), max(map(stats.smallest, found.values()))


def few_and_many(frame) -> tuple[int, int] | None:
    """The smallest and the largest number of rules with tails, where they are far enough apart."""
    found = tails(frame)
    return (min(found), max(found)) if found and max(found) >= WIDE * min(found) else None


def many_are_robust(frame) -> Finding:
    """D6."""
    if not (numbers := few_and_many(frame)):
        return Finding(OPEN, f"It takes two numbers of rules, one {WIDE} times the other, with and without tails.")
    found = tails(frame)[numbers[1]]
    before, tailed = found[None], {f"α = {alpha:g}": rows for alpha, rows in found.items() if alpha}
    outcome = stats.every(OPPOSITE[o] for o in harms(before, tailed).values())
    outcome = outcome if accuracy(before).low > REACHED else OPEN
    return Finding(outcome, *compared(before, tailed, f"{numbers[1]:,} rules"))


def few_are_not(frame) -> Finding:
    """D6f."""
    numbers = few_and_many(frame)
    found = tails(frame)[numbers[0]] if numbers else {}
    longest = min((alpha for alpha in found if alpha), default=PEAKED)
    if longest >= PEAKED:
        return Finding(OPEN, f"It takes a tail of α below {PEAKED}, and {WIDE} times as many rules beside the few.")
    before, tailed = found[None], {f"α = {longest:g}": found[longest]}
    outcome = stats.every(harms(before, tailed).values()) if accuracy(before).low > REACHED else OPEN
    return Finding(outcome, *compared(before, tailed, f"{numbers[0]:,} rules"))


def halving(frame) -> Finding:
    """D11."""
    if not (found := parts(frame)):
        return Finding(OPEN, "There are no runs on all examples, on an even and on an uneven part of them.")
    before, *_ = found.values()
    others = {name: rows for name, rows in found.items() if rows is not before}
    even, uneven = harms(before, others).values()
    outcome = stats.every([OPPOSITE[even], uneven]) if accuracy(before).low > REACHED else OPEN
    return Finding(outcome, *compared(before, others, "All examples"))


SOURCE = "arXiv 2405.19787, abstract and long tail"
MEASURE = "change of the exact match on unseen rules, seed by seed; seen rules are drawn as often as in training"
MARGIN = f"{NEGLIGIBLE}, a twentieth of the way from no answer to all."
HARM = f"""A condition harms where it lowers the accuracy by more than {NEGLIGIBLE} and seen rules lose less than that;
it does not where it lowers it by less. Without it more than {REACHED} must be right. Holm's levels over the conditions.
Changed after three seeds had been seen: before, seen rules had to be learnt to 0.9, which no condition surely is."""
MANY = f"""Looks at the largest number of rules, at least {WIDE} times the smallest. Holds where no tail harms, does not
hold where one does. {HARM}"""
FEW = f"""Looks at the smallest number of rules and the longest tail, its alpha below {PEAKED}. Holds where it harms,
does not hold where it does not. {HARM}"""
HALVES = f"""Holds where the even part does not harm and the uneven one does. Does not hold where the even part harms
or the uneven one does not. {HARM}"""
CLAIMS = (
    Claim("D6", "With many rules no long tail hurts.", SOURCE, MEASURE, MANY, MARGIN, many_are_robust),
    Claim("D6f", "With few rules, though enough of them, the longest tails hurt.", SOURCE, MEASURE, FEW, MARGIN,
          few_are_not),
    Claim("D6n", f"10,000 rules are enough for every tail; 1,000 are not where alpha is below {PEAKED}.", SOURCE,
          MEASURE, "", "", None, PAPER_SCALE),
    Claim("D11", "Of the examples of many rules half may be left out evenly over the rules, and not unevenly.",
          "arXiv 2405.19787, of a pretrained model, encrypted rewriting and 9,000 rules (D11e); here plain rewriting",
          MEASURE, HALVES, MARGIN, halving),
)  # fmt: skip


# ---- effective numbers -----------------------------------------------------------------------------------------------


def counted(chapter):
    """The unseen rules of the runs with a tail on the whole budget, with the counts of their rules as columns."""
    from ..rewriting.diversity import of_examples

    rows = whole(chapter.frame)
    rows = rows[rows["tail_alpha"].notna() & (rows["eval"] == "unseen")]
    specs = {spec.key: spec for spec in chapter.specs}
    found = [of_examples(specs[key].task, specs[key].seed) for key in rows["key"]]
    return rows.assign(**{name: [one[name] for one in found] for name in COUNTS if name != "n_rules"})


def even(chapter):
    """The unseen rules of the runs without a tail on the whole budget, those of chapter 02 among them."""
    import pandas

    from ..store import records

    own = whole(chapter.frame)
    both = pandas.concat([own[own["tail_alpha"].isna()], records.frame(borrowed(**chapter.parameters))])
    return both[both["eval"] == "unseen"].drop_duplicates("key").sort_values(["seed", "n_rules"])


def gaps(rows, curve, count: str):
    """For each run with a tail, its accuracy less what the curve without a tail of its seed says for as many rules,
    linear in their logarithm: a column `gap`, runs outside of the curve left out."""
    known = {seed: (np.log(own["n_rules"]), own["exact_match"]) for seed, own in curve.groupby("seed")}
    expected = [
        np.interp(np.log(n), *known[s], np.nan, np.nan) if s in known else np.nan
        for s, n in zip(rows["seed"], rows[count])
    ]
    return rows.assign(gap=rows["exact_match"] - expected).dropna(subset=["gap"])


def table_gaps(chapter) -> str:
    """How far the runs with a tail lie from the curve without one, drawn against each count of their rules."""
    rows, curve, lines = counted(chapter), even(chapter), []
    for count, words in COUNTS.items():
        found = gaps(rows, curve, count)
        by_seed = [found.assign(gap=gap).groupby("seed")["gap"].mean() for gap in (found["gap"].abs(), found["gap"])]
        lines.append([words, len(found), *map(interval, by_seed)])
    caption = (
        "Accuracy of the runs with a tail less that of runs without one of as many rules, by how rules are counted"
    )
    return tables.table(
        caption, "tab-long-tail-gaps", ["count of rules", "runs", "mean size of the gap", "mean gap"], lines
    )


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    found = tails(chapter.frame)
    longest = min(alpha for alpha in found[max(found)] if alpha)
    costs = [f"{change(own[None], own[longest])} with {n:,} rules" for n, own in sorted(found.items(), reverse=True)]
    return f"**The longest tail (α = {longest:g}) changes the accuracy on unseen rules by {', by '.join(costs)}.**"


def figure_tails(chapter):
    """Accuracy on unseen rules against alpha, a curve for each number of rules; no tail stands at the left."""
    rows = whole(chapter.frame)
    rows = rows[rows["eval"] == "unseen"]
    alphas = sorted(set(rows["tail_alpha"].dropna().astype(float)), reverse=True)
    beyond = 4 * alphas[0]  # no tail is alpha without bound
    rows = rows.assign(place=rows["tail_alpha"].astype(float).fillna(beyond))
    figure, (ax,) = plots.panels(1, height=3.2)
    for (n, own), style in zip(
        rows.groupby("n_rules"), plots.styles(sorted(set(rows["n_rules"])), ordered=True).values()
    ):
        plots.curve(ax, own, "place", "exact_match", f"{plots.number(n)} rules", chapter.again, **style)
    ax.axvline(
        PEAKED, color=plots.QUIET, linestyle=":", linewidth=1.2, zorder=1, label="paper: 1k rules fail from here"
    )
    plots.accuracy_axis(ax)
    ax.set(xscale="log", xlim=(1.6 * beyond, alphas[-1] / 1.6), xlabel="α (the smaller, the longer the tail)")
    ax.set_xticks([beyond, *alphas], ["no tail", *(f"{alpha:g}" for alpha in alphas)])
    ax.minorticks_off()
    plots.legend(figure, [ax])
    return plots.finished(figure, rows, plots.training(rows), plots.sizes(rows))


def figure_redrawn(chapter):
    """Accuracy of the runs with a tail against four counts of their rules; grey: runs without a tail, a line a seed."""
    rows, curve = counted(chapter), even(chapter)
    figure, axes = plots.panels(2, 2, height=2.2, sharex=True, sharey=True)
    styles = plots.styles(sorted(set(rows["n_rules"])), ordered=True)
    for ax, count in zip(axes, COUNTS):
        for _, own in curve.groupby("seed"):
            ax.plot(own["n_rules"], own["exact_match"], color="#b5b5b5", linewidth=1, zorder=1, label="no tail")
        for n, own in rows.groupby("n_rules"):
            plots.points(ax, own[count], own["exact_match"], own["key"].isin(chapter.again), size=5, **styles[n])
            ax.plot(
                [], [], label=f"{plots.number(n)} rules", **styles[n] | {"linestyle": "", "markerfacecolor": "white"}
            )
        plots.accuracy_axis(ax, COUNTS[count].replace(" of ", "\nof "))
        plots.rules_axis(ax, "rules (logarithmic)")
        ax.label_outer()
    plots.legend(figure, axes)
    return plots.finished(figure, rows)


def figure_halving(chapter):
    """Accuracy on unseen and on seen rules with all examples, with an even and with an uneven part."""
    found = parts(chapter.frame)
    values = {name: {SETS[e]: plots.of_runs(rows, e) for e in SETS} for name, rows in found.items()}
    figure, (ax,) = plots.panels(1, height=1.9)
    plots.grouped(ax, values, {"unseen rules": plots.UNSEEN, "seen rules": plots.SEEN}, chapter.again)
    ax.set(xlim=(-0.03, 1.03), xlabel=plots.ACCURACY)
    plots.legend(figure, [ax])
    rows = next(iter(found.values()), chapter.frame)
    return plots.finished(figure, rows, f"{rows['n_rules'].iloc[0]:,} rules")


def table_accuracy(chapter) -> str:
    """Accuracy by number of examples, of rules and tail, with the values of the seeds."""
    frame = chapter.frame.assign(tail=[f"{a:g}" if a == a and a else "none" for a in chapter.frame["tail_alpha"]])
    columns = {"n_examples": "examples", "n_rules": "rules", "tail": "α"}
    caption = (
        "Exact match by number of rules and tail: mean with 95 % t-interval, and the value of each seed on unseen rules"
    )
    return tables.by_cell(frame, columns, SETS, caption, "tab-long-tail")
