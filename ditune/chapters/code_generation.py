"""13: a pretrained model tuned on mixtures of instructions, and how likely it finds right programs (D12 to D15).

Source: Zhang et al. 2024 (arXiv 2405.19787 and its sister 2410.04717), code generation. Measured here is the
likelihood of the canonical solutions and of held-out answers. A *gain* is by how much more likely answers are after
one tuning than after another, in hundredths of a nat a token (about percent of the perplexity); a table of gains has
a row a seed and a column an answer. The sets of a mixture come in the order code, general, reasoning.
"""

from dataclasses import dataclass

from ..language.catalogue import BENCHMARKS, DOMAINS, described, first_here
from ..language.pretrained import TuneSpec
from ..language.specs import LanguageSpec
from ..report import plots, tables
from ..report.ledger import Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, crossed, decide, holm, smallest, wilson
from ..specs import SpecError
from .common import listed, literal, seeds_of, without

SHARE = 0.1
"""A gain counts from this share of what tuning on code alone gains on the solutions."""
ABOUT, MORE = 0.1, 3.75
"""The share of general instructions at the paper's best, and its 75K beside 20K instructions."""
PAPER = {
    "DeepSeek-Coder": ({0: 64.2, 5: 66.2, 10: 67.1, 15: 66.2, 20: 66.0, 25: 64.5}, "x"),
    "CodeQwen": ({0: 65.4, 5: 67.2, 10: 68.1, 20: 66.0}, "o"),
    "CodeQwen, three": ({0: 65.4, 10: 68.5, 20: 67.7}, "s"),
}
"""Mean pass@1 of HumanEval, HumanEval+, MBPP, MBPP+ by percent not about code, of 20,000 in all (2410.04717)."""
STYLES = {
    2: ("two domains", {"color": plots.BLUE, "marker": "o"}),
    3: ("three domains", {"color": plots.VERMILION, "marker": "s"}),
}


def runs(
    model, dtype, sets, mixtures, total, larger_total, passes, tune, benchmarks, n_held_out, n_generate, most_letters,
    most_written, first_seed, n_seeds,
) -> list[LanguageSpec]:  # fmt: skip
    """A tuning for each mixture and seed, one on more code alone, and the model untuned.

    sets: of code, general and reasoning instructions, by name, or by domain for those at hand
    (`catalogue.first_here`); mixtures: the shares of the first one, two or three of them, a mixture each, of `total`
    examples; larger_total: examples of one more run on code alone, 0 for none; passes: how often each run passes over
    its examples; tune: fields of `TuneSpec`; benchmarks: {name: number of problems}; n_held_out: rows of each set
    that are tested on.
    """
    names = [first_here(name) if name in DOMAINS else name for name in listed("sets", sets, str)]
    tune = without("tune", tune, "n_steps")
    evals = [{"name": name, "n_examples": n} for name, n in literal("benchmarks", benchmarks, dict).items()]
    evals += [{"name": name, "n_examples": n_held_out} for name in names if literal("n_held_out", n_held_out, int)]
    shared = {"model": model, "dtype": dtype, "evals": evals, "n_generate": n_generate}
    shared |= {"most_letters": most_letters, "most_written": most_written}
    parts = [(listed("mixtures", one, (int, float)), total) for one in listed("mixtures", mixtures, list)]
    if not {1, 2} <= {len(shares) for shares, _ in parts}:
        raise SpecError(f"mixtures = {mixtures!r}; allowed: [1.0], which is code alone, one of two sets, and others")
    parts += [([1.0], larger_total)] * (literal("larger_total", larger_total, int) > 0)
    seeds = seeds_of(first_seed, n_seeds)
    specs = [LanguageSpec.of(**shared, sets=[], shares=[], total=0, seed=seeds[0])]
    for shares, n in parts:
        if len(shares) > len(names):
            raise SpecError(f"mixtures: {shares!r}; allowed: at most a share for each of {', '.join(names)}")
        per_step = TuneSpec.of(**tune).batch_size
        n_steps = max(1, round(literal("passes", passes, (int, float)) * literal("total", n, int) / per_step))
        own = {"sets": names[: len(shares)], "shares": shares, "total": n, "tune": TuneSpec.of(**tune, n_steps=n_steps)}
        specs += [LanguageSpec.of(**shared, **own, seed=seed) for seed in seeds]
    return specs


# ---- gains -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arms:
    """The rows of a table by what the model was tuned on; None where there are no such runs."""

    untuned: object
    mixtures: dict[tuple[float, ...], object]
    """Those at the common number of examples, by shares, by the number of domains and then from most to least code."""
    larger: object
    """More code alone."""
    solutions: list[str]
    """The benchmarks tested on."""

    @property
    def alone(self):
        return self.mixtures.get((1.0,))

    @property
    def two(self) -> list[tuple[float, ...]]:
        """The mixtures of code and general instructions, from the least to the most general."""
        return [shares for shares in self.mixtures if len(shares) == 2]


def as_tuple(value, n: int = 1) -> tuple:
    """A tuple as it was before a table made it one value, where all n are equal."""
    return value if isinstance(value, tuple) else (value,) * n


def arms(frame) -> Arms:
    """The runs of a table, by what the model was tuned on."""
    named = [(int(n), as_tuple(p, len(as_tuple(s)))) for n, s, p in zip(frame["total"], frame["sets"], frame["shares"])]
    order = sorted(set(named), key=lambda one: (one[0], len(one[1]), [-share for share in one[1]]))
    found = {one: frame[[other == one for other in named]] for one in order}
    totals = [n for n, shares in found if len(shares) > 1]
    total = totals[0] if totals else max(n for n, _ in found)
    larger = [rows for (n, shares), rows in found.items() if shares == (1.0,) and n >= MORE * total > 0]
    mixtures = {shares: rows for (n, shares), rows in found.items() if n and n == total}
    solutions = [name for name in BENCHMARKS if name in set(frame["eval"])]
    return Arms(found.get((0, ())), mixtures, larger[0] if larger else None, solutions)


def likelihoods(rows, evals: list[str]):
    """Log-likelihoods of all answers of the evaluation sets, a row a seed."""
    import pandas

    by_seed = {seed: own.set_index("eval")["nll_each"] for seed, own in rows.groupby("seed")}
    whole = {seed: [each[e] for e in evals] for seed, each in by_seed.items() if set(evals) <= set(each.index)}
    return -pandas.DataFrame({seed: sum(map(list, parts), []) for seed, parts in whole.items()}).T


def gains(before, after, evals: list[str]):
    """How much more likely answers are after than before, over the seeds of both; what was not tuned is the same for
    all seeds."""
    import pandas

    if before is None or after is None:
        return pandas.DataFrame()
    first, second = likelihoods(before, evals), likelihoods(after, evals)
    first = pandas.concat([first] * len(second)).set_axis(second.index) if int(before["total"].iloc[0]) == 0 else first
    return 100 * (second - first).dropna()


def mean(tables: list):
    """The mean of tables of gains, answer by answer, over the seeds that all have."""
    return (sum(tables[1:], tables[0]) / len(tables)).dropna()


def controls(a: Arms) -> dict[str, tuple]:
    """{control: (its gains, the rows that gain)}; each must be above 0, or the runs can show nothing."""
    found = {"solutions: code alone, over no tuning": (gains(a.untuned, a.alone, a.solutions), a.alone)}
    code = as_tuple(a.alone["sets"].iloc[0])
    found["held-out code: more code, over less"] = (gains(a.alone, a.larger, list(code)), a.larger)
    for domain in (1, 2):
        having = [shares for shares in a.mixtures if len(shares) > domain]
        if having:  # the mixture with the largest share of the domain
            rows = a.mixtures[max(having, key=lambda shares: (shares[domain], -len(shares)))]
            name = as_tuple(rows["sets"].iloc[0])[domain]
            label = f"held-out {DOMAINS[domain]}: a mixture with it, over code alone"
            found[label] = (gains(a.alone, rows, [name]), rows)
    return found


def failed(a: Arms) -> list[str]:
    """The controls that do not show what they must."""
    return [f"{label}: {crossed(values)}" for label, (values, _) in controls(a).items() if not crossed(values).low > 0]


def named(shares: tuple[float, ...]) -> str:
    """A mixture in words.

    >>> named((1.0,)), named((0.9, 0.05, 0.05))
    ('code alone', '5 % general + 5 % reasoning')
    """
    return " + ".join(f"{100 * s:g} % {domain}" for s, domain in zip(shares[1:], DOMAINS[1:])) or "code alone"


# ---- claims ----------------------------------------------------------------------------------------------------------


def controlled(rule):
    """The rule of a claim, which settles nothing where a control fails; the margin is SHARE of what tuning on code
    alone gains."""

    def decided(frame) -> Finding:
        a = arms(frame)
        if a.untuned is None or a.alone is None or not a.two:
            return Finding(OPEN, "It takes the model untuned, tuned on code alone and on a mixture of two domains.")
        found = rule(a, SHARE * crossed(gains(a.untuned, a.alone, a.solutions)).mean)
        return found.unless("These runs can show nothing, as a control fails." if failed(a) else "")

    return decided


def settled(values, margin: float, text: str) -> Finding:
    """Whether gains lie above the margin."""
    effect = crossed(values)
    text = f"{text}: {effect}; margin {margin:.2f}."
    return Finding(decide(effect, margin), text, effect, smallest(values.to_numpy()))


@controlled
def mixing(a: Arms, margin: float) -> Finding:
    """D12."""
    found = mean([gains(a.alone, a.mixtures[shares], a.solutions) for shares in a.two])
    return settled(found, margin, "Mean gain of the mixtures of two domains over code alone")


@controlled
def between(a: Arms, margin: float) -> Finding:
    """D13: of each mixture but the most general, the smaller of its gains over code alone and over that one."""
    *inner, most = a.two
    both = {s: [gains(a.mixtures[end], a.mixtures[s], a.solutions) for end in ((1.0,), most)] for s in inner}
    if not both:
        return Finding(OPEN, "It takes two shares of general instructions.")
    level = holm(len(inner))[0]
    holds = any(min(crossed(values, level).low for values in ends) > margin for ends in both.values())
    fails = all(min(crossed(values).high for values in ends) < margin for ends in both.values())
    weaker = {shares: min(ends, key=lambda values: crossed(values).mean) for shares, ends in both.items()}
    best = max(weaker, key=lambda shares: crossed(weaker[shares]).mean)
    alone, over = map(crossed, both[best])
    text = f"Best is {named(best)}: gain {alone} over code alone, {over} over {named(most)}; margin {margin:.2f}."
    outcome = HOLDS if holds else FAILS if fails else OPEN
    return Finding(outcome, text, crossed(weaker[best]), smallest(weaker[best].to_numpy()))


@controlled
def beats_more(a: Arms, margin: float) -> Finding:
    """D14."""
    if a.larger is None:
        return Finding(OPEN, f"It takes {MORE} times as many instructions about code alone.")
    some = min(a.two, key=lambda shares: abs(shares[1] - ABOUT))
    text = f"Gain of {named(some)} over {int(a.larger['total'].iloc[0]):,} instructions about code alone"
    return settled(gains(a.larger, a.mixtures[some], a.solutions), margin, text)


@controlled
def three_domains(a: Arms, margin: float) -> Finding:
    """D15."""
    pairs = [(two, s) for two in a.two for s in a.mixtures if len(s) == 3 and abs(two[0] - s[0]) < 1e-6]
    if not pairs:
        return Finding(OPEN, "It takes a mixture of two domains and one of three with the same share of code.")
    found = mean([gains(a.mixtures[two], a.mixtures[three], a.solutions) for two, three in pairs])
    return settled(found, margin, "Mean gain of three domains over two")


def claim(id: str, statement: str, looks_at: str, decided_by=None) -> Claim:
    """One of the claims; they share measure, margin and rule."""
    rule = f"{looks_at}{'.' if id == 'D13' else RULE} Nothing is settled where a control is not above 0."
    return Claim(id, statement, SOURCE, MEASURE, rule, MARGIN, decided_by, "" if decided_by else PAPER_SCALE)


SOURCE = "arXiv 2405.19787 and 2410.04717, code generation"
MEASURE = "gain on the canonical solutions, by problem and seed; t-interval over seeds and problems"
MARGIN = f"{SHARE:g} times what tuning on code alone gains over no tuning; a smaller gain is no help."
RULE = ": holds where its interval lies above the margin, does not hold where it lies below."
PAPER_SCALE = "the paper's models of about 7 billion parameters and 20,000 instructions, at each share, with six seeds"
CLAIMS = (
    claim(
        "D12",
        "At a fixed number of instructions, general ones in the place of some about code improve code generation.",
        "Mean gain over code alone of the mixtures of two domains", mixing,
    ),
    claim(
        "D13", "The best share of general instructions lies in between: more than the best undoes the gain.",
        "Holds where a mixture with less than the largest share of general instructions gains more than the margin "
        "both over code alone and over the largest share (Bonferroni over the mixtures). Does not hold where each of "
        "these mixtures gains less than the margin over one of the two", between,
    ),
    claim("D13n", "The best share is about 10 %, and at 25 % the gain is gone.", ""),
    claim(
        "D14", "A mixture beats almost four times as many instructions about code alone.",
        f"Gain of the mixture whose share of general instructions is nearest to {100 * ABOUT:g} % over {MORE} times as "
        "many instructions about code, with as many passes", beats_more,
    ),
    claim(
        "D15", "Three domains beat two: reasoning in the place of some general instructions improves code generation.",
        "Mean gain of mixtures of three domains over those of two with the same share of code", three_domains,
    ),
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence: what the mixtures gain, or which control fails."""
    a = arms(chapter.frame)
    if missing := failed(a):
        which = "; ".join(missing)
        return f"**These runs can show nothing about mixtures, as a control fails ({which} hundredths of a nat).**"
    found = crossed(mean([gains(a.alone, a.mixtures[shares], a.solutions) for shares in a.two]))
    return f"**General instructions in the place of some about code gain {found} hundredths of a nat a token.**"


def by_run(values, rows):
    """The mean gain of each run, a Series by its key."""
    keys = rows.drop_duplicates("seed").set_index("seed")["key"]
    return values.mean(axis=1).rename(index=keys)


def figure_controls(chapter):
    """What the tunings have taught, a line a control."""
    found = controls(arms(chapter.frame))
    figure, (ax,) = plots.panels(1, height=0.42 * len(found) + 0.5)
    plots.lines(ax, found, [label.replace(": ", ":\n") for label in found])
    for y, (values, rows) in enumerate(found.values()):
        if len(values):
            plots.dots(ax, y, by_run(values, rows), chapter.again, found=crossed(values))
    ax.axvline(0, color=plots.QUIET, linewidth=1.2)
    ax.set_xlabel("gain (0.01 nats a token)")
    return plots.finished(figure, chapter.frame, chapter.frame["model"].iloc[0])


def figure_gains(chapter):
    """The gain of each mixture over code alone against what is not about code; beside it the paper's, in points of
    pass@1."""
    a = arms(chapter.frame)
    figure, (ours, paper) = plots.panels(2, height=2.2, sharex=True)
    for shares, rows in a.mixtures.items():
        values = gains(a.alone, rows, a.solutions)
        if len(shares) > 1 and len(values):
            (label, style), own, found = STYLES[len(shares)], by_run(values, rows), crossed(values)
            x = 100 * (1 - shares[0]) + 0.7 * (len(shares) - 2.5)
            plots.points(ours, [x] * len(own), own, own.index.isin(list(chapter.again)), **style)
            plots.bars(ours, [x], [found], **style)
            ours.plot([x], [found.mean], marker="_", markersize=9, markeredgewidth=1.8, color=style["color"])
            ours.plot([], [], label=label, linestyle="", markerfacecolor="white", **style)
    if len(values := gains(a.alone, a.larger, a.solutions)):
        more = f"{MORE} × the code"
        ours.axhline(crossed(values).mean, color=plots.GREEN, linestyle="--", linewidth=1.2, label=more)
    margin = abs(SHARE * crossed(gains(a.untuned, a.alone, a.solutions)).mean)
    ours.axhspan(-margin, margin, color="#eeeeee", zorder=0, label="within the margin")
    for name, (points, marker) in PAPER.items():
        above = {share: score - points[0] for share, score in points.items()}
        plots.paper(paper, above, name, marker=marker, markerfacecolor="white")
    for ax, title, unit in ((ours, "Here", "0.01 nats a token"), (paper, "The paper", "points of pass@1")):
        ax.set(title=title, ylabel=f"gain over code alone\n({unit})")
        ax.axhline(0, color=plots.QUIET, linewidth=0.8)
    paper.set_xlabel("instructions not about code (%)")
    plots.legend(figure, [ours, paper])
    return plots.finished(figure, chapter.frame)


def table_mixtures(chapter) -> str:
    """By mixture: gains on the solutions over code alone and over no tuning, on held-out answers, and pass@1."""
    a = arms(chapter.frame)
    held_out = [[name] for name in dict.fromkeys(chapter.frame["eval"]) if name not in a.solutions]
    rows = [["not tuned", 0, *["–"] * (3 + len(held_out)), passed(a.untuned)]]
    for shares, own in [*a.mixtures.items(), ((1.0,), a.larger)]:
        if own is not None:
            over = gains(None if own is a.alone else a.alone, own, a.solutions)
            raw = ", ".join(f"{value:.2f}" for value in over.mean(axis=1)) or "–"
            others = [crossed(gains(a.untuned, own, evals)) for evals in (a.solutions, *held_out)]
            rows.append([named(shares), int(own["total"].iloc[0]), crossed(over), raw, *others, passed(own)])
    sets = [f"held-out {name}" for (name,) in held_out]
    header = ["mixture", "examples", "solutions, over code alone", "by seed", "solutions", *sets, "pass@1"]
    caption = "Gains over no tuning unless said, in 0.01 nats a token: mean and 95 % t-interval over seeds and answers"
    return tables.table(caption, "tab-mixtures", header, rows)


def passed(rows) -> str:
    """pass@1 of greedy answers over all benchmarks and seeds, or why there is none. The Wilson interval counts each
    problem once, however many seeds answered it."""
    answered = rows.dropna(subset=["passed"]) if "passed" in rows else rows.iloc[:0]
    if answered.empty:
        why = rows["not_tested"].dropna() if "not_tested" in rows else ()
        return f"not tested: {why.iloc[0]}" if len(why) else "not generated"
    each = [one for value in answered["passed"] for one in value]
    low, high = wilson(sum(each) / len(each), sum(map(len, answered.drop_duplicates("eval")["passed"])))
    return f"{sum(each)} of {len(each)}: {sum(each) / len(each):.2f} [{low:.2f}, {high:.2f}]"


def licensed(n: int):
    """The n-th set of a spec, with its licence and origin."""
    return lambda s: f"{s.sets[n]} ({described(s.sets[n]).licence}; {described(s.sets[n]).origin})"


SETTINGS = {
    "model, weights": ("DeepSeek-Coder-6.7B, CodeQwen-7B; 8 bits", lambda s: f"{s.model}; {s.dtype}"),
    "code": ("OSS-Instruct", licensed(0)), "general": ("Alpaca", licensed(1)),
    "reasoning": ("CoT-Collection", licensed(2)),
    "instructions": ("20,000; 75,000", lambda s: f"{s.total:,}"),
    "longest, in letters": ("–", lambda s: f"{s.most_letters:,}"),
    "passes": ("3", lambda s: f"{s.tune.n_steps * s.tune.batch_size / s.total:.2g}"),
    "adapters: rank, α": ("not stated", lambda s: f"{s.tune.rank}, {s.tune.alpha}"),
    "batch; peak rate": ("4; 1e-05", lambda s: f"{s.tune.batch_size}; {s.tune.lr:g}"),
    "problems": ("all, and EvalPlus", lambda s: ", ".join(
        f"{e.n_examples} of {e.name} ({BENCHMARKS[e.name].licence})" for e in s.evals if e.is_benchmark)),
}  # fmt: skip


def table_settings(chapter) -> str:
    """The paper's settings beside those of the runs on most domains, with the sets' licences."""
    spec = max(chapter.specs, key=lambda spec: len(spec.sets))
    rows = {name: row for name, row in SETTINGS.items() if name not in DOMAINS[len(spec.sets) :]}
    return tables.settings(chapter, spec, rows, "1")
