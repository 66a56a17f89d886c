"""Figures and tables of the chapter on families of rules, from its tables (`claims.families.with_lower_k`).

A cell is a training set of rules: a mix of families, a range of k, a number of rules. In figures the families are called
by their first letters, R, P, M, and U for unrestricted words.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, stats

from ..claims.families import UNRESTRICTED, cells, common, compared, free_letters, mix_of, varied
from ..claims.ledger import sentence
from ..claims.paired import accuracy, by_seed, change
from ..figures import plotting
from ..figures.intervals import Interval, interval
from ..figures.plotting import made_by, number, sign, table
from ..figures.shared import group_styles, legend
from ..rewriting import diversity
from ..rewriting.specs import FAMILIES

SETS = {
    "unseen": ("own families and k", {"color": plotting.VERMILION, "marker": "s"}),
    "lower k": ("lower k", {"color": plotting.BLUE, "marker": "o"}),
    "uniform": ("unrestricted", {"color": plotting.GREEN, "marker": "D"}),
}
"""The sets of unseen rules that are drawn."""
MEASURES = {
    "vendi": "effective number of dissimilar words (Vendi score)",
    "forms": "effective number of forms",
    "different_words": "different words",
    "different_rules": "different rules",
}
"""The measures of `diversity.of_rules`."""
ROW = 0.4  # inches
ALIKE = 0.9  # share of the other's different words from which on two training sets count as about equal


# ---- names of cells --------------------------------------------------------------------------------------------------


def dashed(k: tuple[int, int]) -> str:
    """A range of k: 3, 3–4."""
    return str(k[0]) if k[0] == k[1] else f"{k[0]}–{k[1]}"


def letters(mix) -> str:
    """A mix by first letters: R, R+P+M, U."""
    return "+".join(family[0].upper() for family in mix)


def label(cell) -> str:
    """A cell in a few signs: R+P, k 3–4, 3k rules."""
    mix, k, n = cell
    return f"{letters(mix)}{'' if mix == UNRESTRICTED else f', k {dashed(k)}'}, {number(n)} rules"


def words(mix) -> str:
    """A mix in words."""
    return "unrestricted" if mix == UNRESTRICTED else " + ".join(mix)


def sections(frame) -> dict[str, list]:
    """The cells by what is compared: {heading: [cell]}; a cell can be in several sections."""
    k, n = common(frame) or ((1, 1), 0)
    largest = max((cell[0] for cell in cells(frame) if cell[0] != UNRESTRICTED), key=len, default=None)
    by_rules, by_range = varied(frame)
    unrestricted = [cell for cell in cells(frame) if cell[0] == UNRESTRICTED]
    ranges = [(largest, own, max(n for n, _ in by_rules)) for own, _ in by_range]
    numbers = [(largest, by_range[0][0], own) for own, _ in by_rules]
    out = {"By mix of families": [(mix, k, n) for mix in compared(frame)] + unrestricted}
    return out | {heading: group for heading, group in (("By range of training k", ranges), ("By number of rules", numbers)) if len(group) > 1}


# ---- accuracy by cell ------------------------------------------------------------------------------------------------


def dots(ax, y: float, values, style: dict):
    """One condition on a line of its own: an open point for each seed, the interval of the mean as a bar, a stroke at the mean."""
    found = interval(values)
    ax.plot([found.low, found.high], [y, y], color=style["color"], linewidth=1.8, solid_capstyle="butt", zorder=3)
    ax.plot([found.mean], [y], color=style["color"], marker="|", markersize=9, markeredgewidth=1.8, linestyle="", zorder=3)
    ax.plot(values, [y] * len(values), linestyle="", marker=style["marker"], markersize=4, markerfacecolor="white", markeredgecolor=style["color"], markeredgewidth=0.9, zorder=4)


def by_cell(tables: dict):
    """Accuracy on the sets of unseen rules for each cell, a line a cell, in sections; one panel a table."""
    tables = {name: frame for name, frame in tables.items() if len(frame)}
    grouped = {name: sections(frame) for name, frame in tables.items()}
    lines = [sum(len(group) + 1 for group in found.values()) for found in grouped.values()]
    figure, axes = plt.subplots(
        len(tables), 1, figsize=(plotting.WIDTH, ROW * sum(lines) + 1.0 * len(tables) + 0.6), sharex=True, squeeze=False, height_ratios=lines
    )
    for ax, (name, frame), n_lines in zip(axes[:, 0], tables.items(), lines):
        draw_sections(ax, grouped[name], cells(frame))
        ax.set(ylim=(n_lines - 0.3, -0.5), xlim=(-0.03, 1.03))
        ax.set_title(f"{sentence([name])}: {plotting.training(frame)}\n{plotting.sizes(frame)}")
        ax.grid(axis="y", visible=False)
    axes[-1, 0].set_xlabel("exact match (share)")
    legend(figure, axes[:, 0], [text for text, _ in SETS.values()])
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


def draw_sections(ax, groups: dict, found: dict):
    """The lines of one panel, with a heading above each section."""
    y, places = 0.0, {}
    for heading, group in groups.items():
        ax.text(0.0, y, heading, transform=ax.get_yaxis_transform(), fontsize=10, fontweight="bold", va="center")
        for i, cell in enumerate(group, start=1):
            places[y + i] = label(cell)
            for shift, (name, (_, style)) in zip((-0.24, 0, 0.24), SETS.items()):
                if len(values := by_seed(found[cell], name)):
                    dots(ax, y + i + shift, values, style)
        y += len(group) + 1
    ax.set_yticks(list(places), list(places.values()))
    for text, style in SETS.values():
        ax.plot([], [], label=text, markersize=4, markerfacecolor="white", linestyle="-", **style)


def results_table(frame, caption: str, name: str) -> str:
    """Mean and interval of the accuracy on each set for each cell."""
    rows = [
        [words(mix), "–" if mix == UNRESTRICTED else dashed(k), f"{n:,}", *(shown(accuracy(rows, e)) for e in ("seen", "unseen", "lower k", "uniform"))]
        for (mix, k, n), rows in cells(frame).items()
    ]
    return table(caption, name, ["families", "k", "rules I", "seen rules", "own families and k", "lower k", "unrestricted"], rows)


def in_words(tables: dict) -> str:
    """The accuracy on lower k and on unrestricted rules by mix, in sentences."""
    text = []
    for name, frame in tables.items():
        own = {words(mix): rows for mix, rows in compared(frame).items()}
        own |= {words(cell[0]): rows for cell, rows in cells(frame).items() if cell[0] == UNRESTRICTED}
        for tested, on in (("lower k", "unseen rules of lower k"), ("uniform", "unrestricted rules")):
            found = "; ".join(f"{mix}: {shown(accuracy(rows, tested))}" for mix, rows in own.items())
            text.append(f"{sentence([name])}, accuracy on {on} by mix: {found}.")
    return " ".join(text)


def base_letters(specs) -> str:
    """How many letters of a word are free at each trained and lower k, in a sentence."""
    tasks = [spec.task for spec in specs if spec.task.families != UNRESTRICTED]
    tested = {n for spec in specs for e in spec.evals if e.name == "families" for n in range(e.task.k[0], e.task.k[1] + 1)}
    if not tasks or not tested:
        return "No restricted families were trained on."
    length, trained = tasks[0].x_len[0], {n for task in tasks for n in range(task.k[0], task.k[1] + 1)}
    low, own = ({free_letters(length, n) for n in ks} for ks in (tested - trained, trained))
    text = f"A word of {length} letters is made of {spanned(own)} base letters at the k that were trained on"
    return f"{text}, and of {spanned(low)} at lower k." if low else f"{text}; no lower k was tested."


def spanned(values) -> str:
    """The range of some numbers: 2, 10 to 20."""
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def shown(found: Interval) -> str:
    """A mean with its interval; of one seed the mean alone; a dash where there is none."""
    return "–" if found.n == 0 else f"{found.mean:.2f}" if found.n == 1 else str(found)


# ---- by slice --------------------------------------------------------------------------------------------------------


def by_k(frame, slices, origin: str):
    """Accuracy on unseen rules of all restricted families against the k that is tested, a curve a mix."""
    rows = slices[(slices["eval"] == "families") & (slices["slice"] == "k")] if len(slices) else slices
    mixes = {letters(mix): set(group["key"]) for mix, group in compared(frame).items()}
    mixes |= {letters(mix): set(group["key"]) for (mix, _, _), group in cells(frame).items() if mix == UNRESTRICTED}
    figure, ax = plt.subplots(figsize=(plotting.WIDTH, plotting.PANEL + 0.7))
    styles = group_styles(mixes)
    for i, (name, keys) in enumerate(mixes.items()):
        own = rows[rows["key"].isin(keys)] if len(rows) else rows
        points = {int(k): group["exact_match"].to_numpy() for k, group in own.groupby("value")} if len(own) else {}
        for k, values in points.items():
            beside = k + 0.05 * (i - (len(mixes) - 1) / 2)
            found, color = interval(values), styles[name]["color"]
            ax.plot([beside] * len(values), values, linestyle="", marker=styles[name]["marker"], markersize=4, markerfacecolor="white", markeredgecolor=color, zorder=4)
            ax.plot([beside, beside], [found.low, found.high], color=color, zorder=3)
        ks = sorted(points)
        ax.plot(ks, [points[k].mean() for k in ks], color=styles[name]["color"], linewidth=1.2)
        ax.plot([], [], label=name, markersize=4, markerfacecolor="white", **styles[name])
    plotting.accuracy_axes(ax)
    drawn = rows[rows["key"].isin(set().union(*mixes.values()))] if len(rows) else rows
    ax.set(xlabel="constrainedness k of the tested rules", xticks=sorted(set(drawn["value"].astype(int))) if len(drawn) else [])
    legend(figure, [ax], list(mixes))
    sign(figure, [made_by(frame, origin)])
    return figure


def lower_by_family(frame, slices) -> dict[tuple, dict[str, Interval]]:
    """By cell, the accuracy on lower k within each family that was trained on: {cell: {family: interval}}.

    Families and k are recorded each for itself. Within a family the tested k are equally frequent, so that its mean over
    the k of training, known from the set "unseen", and that over all tested k leave that over the lower k. It is an
    estimate from different examples, and can lie outside 0 to 1.
    """
    out = {}
    for cell, rows in cells(frame).items():
        mix, k, _ = cell
        tested = slices[slices["key"].isin(rows["key"])] if len(slices) else slices
        k_tested = sorted({int(v) for v in tested[(tested["slice"] == "k") & (tested["eval"] == "families")]["value"]}) if len(tested) else []
        n_low, n_own = len([n for n in k_tested if n < k[0]]), len([n for n in k_tested if k[0] <= n <= k[1]])
        if mix != UNRESTRICTED and n_low and n_low + n_own == len(k_tested):
            own, everything = (family_means(tested, rows, name) for name in ("unseen", "families"))
            out[cell] = {f: interval([(everything[f][s] * (n_low + n_own) - own[f][s] * n_own) / n_low for s in own[f]]) for f in mix}
    return out


def family_means(slices, rows, name: str) -> dict[str, dict[int, float]]:
    """Accuracy on an evaluation set by family and seed; of a set of one family, that on the set."""
    own = slices[(slices["slice"] == "family") & (slices["eval"] == name)]
    if own.empty:
        (family,) = mix_of(rows["families"].iloc[0])
        return {family: by_seed(rows, name).to_dict()}
    return {FAMILIES[int(value)]: group.set_index("seed")["exact_match"].to_dict() for value, group in own.groupby("value")}


def family_table(frame, slices, caption: str, name: str) -> str:
    """Accuracy on lower k within each family that a cell was trained on, and on all k within the families that it was not."""
    found, rows = lower_by_family(frame, slices), []
    for cell, own in found.items():
        of_all = family_means(slices[slices["key"].isin(cells(frame)[cell]["key"])], cells(frame)[cell], "families")
        others = {f: interval(list(values.values())) for f, values in of_all.items() if f not in own}
        in_words = [", ".join(f"{f} {shown(v)}" for f, v in part.items()) or "–" for part in (own, others)]
        rows.append([words(cell[0]), dashed(cell[1]), f"{cell[2]:,}", *in_words])
    return table(caption, name, ["trained on", "k", "rules I", "lower k of these families (derived)", "other families, all k"], rows)


# ---- diversity -------------------------------------------------------------------------------------------------------


def with_diversity(frame, specs):
    """The table with the measures of `diversity.of_rules` of each run's training rules as columns."""
    measured = {spec.key: diversity.of_rules(spec.task, spec.seed) for spec in specs if len(frame) and spec.key in set(frame["key"])}
    out = frame.assign(**{name: [measured[key][name] for key in frame["key"]] for name in MEASURES}) if measured else frame
    out.attrs = frame.attrs
    return out


def rules_table(frame, caption: str, name: str) -> str:
    """What the cells have in common and in what they differ: budget, steps, different rules and words, diversity."""
    rows = []
    for (mix, k, n), group in cells(frame).items():
        runs = group.drop_duplicates("key")
        measured = [f"{runs[m].mean():,.{places}f}" for m, places in (("different_rules", 0), ("different_words", 0), ("forms", 1), ("vendi", 1))]
        rows.append([words(mix), "–" if mix == UNRESTRICTED else dashed(k), f"{n:,}", f"{runs['n_examples'].iloc[0]:,}", f"{runs['train_n_steps'].iloc[0]:,}", *measured])
    header = ["families", "k", "rules I", "examples N", "steps", "different rules", "different words", "forms", "Vendi score"]
    return table(caption, name, header, rows)


def against_diversity(tables: dict, measure: str = "vendi"):
    """Accuracy on lower k (above) and on unrestricted rules (below) against a measure of the training rules, a column a table;
    with the best curve that never falls."""
    tables = {name: frame for name, frame in tables.items() if len(frame)}
    figure, axes = plt.subplots(2, len(tables), figsize=(plotting.WIDTH, 1.7 * plotting.PANEL + 0.6), sharex="col", sharey=True, squeeze=False)
    styles = group_styles([letters(cell[0]) for frame in tables.values() for cell in cells(frame)])
    for column, (name, frame) in zip(axes.T, tables.items()):
        for ax, tested in zip(column, ("lower k", "uniform")):
            rows = frame[frame["eval"] == tested].sort_values(measure)
            for mix, own in rows.groupby(rows["families"].map(mix_of), sort=False):
                style = styles[letters(mix)] | {"linestyle": "", "markersize": 5, "markerfacecolor": "white"}
                ax.plot(own[measure], own["exact_match"], label=letters(mix), markeredgecolor=style["color"], **style)
            if len(rows) > 1:
                ax.plot(rows[measure], rising(rows[measure], rows["exact_match"]), color=plotting.QUIET, linestyle=":", linewidth=1.2, zorder=1, label="best rising curve")
            plotting.accuracy_axes(ax, f"On {SETS[tested][0]}" + (f"\n{name}" if len(tables) > 1 else ""))
            ax.label_outer()
        column[-1].set_xlabel("Vendi score of words" if measure == "vendi" else MEASURES[measure])
    legend(figure, axes.flat, list(styles))
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


def rising(x, y) -> np.ndarray:
    """The values of the curve that never falls with x and is closest to y in squares, at each x; equal x have one value."""
    where, first, n = np.unique(np.asarray(x, dtype=float), return_inverse=True, return_counts=True)
    means = np.bincount(first, weights=np.asarray(y, dtype=float)) / n
    return optimize.isotonic_regression(means, weights=n).x[first]


def rank_correlation(rows, measure: str) -> Interval | None:
    """Spearman's rank correlation of a measure and the accuracy over the cells, by seed: mean and interval over the seeds; None
    where there are fewer than 3 cells or one of the two does not vary."""
    by_cell = [own for _, own in rows.groupby("seed")]
    if any(len(own) < 3 or own[measure].nunique() < 2 or own["exact_match"].nunique() < 2 for own in by_cell) or not by_cell:
        return None
    return interval([stats.spearmanr(own[measure], own["exact_match"]).statistic for own in by_cell])


def unexplained(rows, measure: str) -> float | None:
    """The share of the accuracy's variance over all runs that the best rising curve of a measure leaves; None if there is none."""
    y = rows["exact_match"].to_numpy()
    if len(y) < 3 or y.var() == 0:
        return None
    return float(((y - rising(rows[measure], y)) ** 2).mean() / y.var())


def explanation_table(frame, caption: str, name: str) -> str:
    """For each measure and test: rank correlation with the accuracy over the cells, with and without unrestricted training, and
    the share of the variance that the best rising curve leaves."""
    rows = []
    restricted = frame[[mix_of(mix) != UNRESTRICTED for mix in frame["families"]]]
    for tested in ("lower k", "uniform"):
        for measure, in_words in MEASURES.items():
            both = [part[part["eval"] == tested] for part in (frame, restricted)]
            ranks = [rank_correlation(part, measure) for part in both]
            left = [unexplained(part, measure) for part in both]
            rows.append([SETS[tested][0], in_words, *("–" if r is None else shown(r) for r in ranks), *("–" if v is None else f"{v:.0%}" for v in left)])
    header = ["tested on", "measure", "rank correlation", "restricted only", "variance left", "restricted only"]
    return table(caption, name, header, rows)


def explained(frame, name: str) -> str:
    """How far the Vendi score alone explains the accuracy, in a sentence."""
    text = []
    for tested in ("lower k", "uniform"):
        rows = frame[frame["eval"] == tested]
        rank, left = rank_correlation(rows, "vendi"), unexplained(rows, "vendi")
        if rank is not None and left is not None:
            text.append(f"on {SETS[tested][0]} the rank correlation is {shown(rank)}, and the best rising curve leaves {left:.0%} of the variance")
    return f"Of the accuracy with the Vendi score of the training words, over the training sets of {name}: {'; '.join(text)}." if text else f"The training sets of {name} are too few for a correlation."


def same_words(frame) -> str:
    """The comparison of two cells with about equally many different words, in a sentence: a single family at its number of rules, and the
    largest mix at the number of rules at which it comes closest."""
    singles = {mix: rows for mix, rows in compared(frame).items() if len(mix) == 1}
    by_rules, _ = varied(frame)
    if not singles or len(by_rules) < 2:
        return "There are no two training sets of different mixes and about equally many different words in these runs."
    n_words = {mix: rows["different_words"].mean() for mix, rows in singles.items()}
    mix, (n, rows) = min(((m, cell) for m in singles for cell in by_rules), key=lambda pair: abs(np.log(pair[1][1]["different_words"].mean() / n_words[pair[0]])))
    if n == common(frame)[1] and n_words[mix] > ALIKE * rows["different_words"].mean():
        return (
            f"Here there is no need of it: {mix[0]} alone has {n_words[mix]:,.0f} different words, and the largest mix with as many rules has {rows['different_words'].mean():,.0f}, so that words are no rival "
            "to families in the comparison above."
        )
    sizes = f"{mix[0]} alone has {n_words[mix]:,.0f} different words, the largest mix with {n:,} rules has {rows['different_words'].mean():,.0f}"
    found = [f"{shown(change(singles[mix], rows, e))} on {SETS[e][0]}" for e in ("lower k", "uniform") if len(by_seed(rows, e))]
    return sentence([f"{sizes}; from the first to the second the accuracy changes by {' and by '.join(found)}."])
