"""13: a pretrained model tuned on mixtures of instructions, and how likely it finds right programs (D12 to D15).

Source: Zhang et al. 2024 (arXiv 2405.19787 and its sister 2410.04717), code generation. Measured here is the
likelihood of the canonical solutions and of held-out answers. A *gain* is by how much more likely answers are after
one tuning than after another, in hundredths of a nat a token (about percent of the perplexity); a table of gains has
a row a seed and a column an answer. The sets of a mixture come in the order code, general, reasoning.
"""

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
ABOUT, MANY = 0.1, 3.75
"""The share of general instructions at the paper's best, and its 75K beside 20K instructions."""
PAPER = {
    "DeepSeek-Coder": ({0: 64.2, 5: 66.2, 10: 67.1, 15: 66.2, 20: 66.0, 25: 64.5}, "x"),
    "CodeQwen": ({0: 65.4, 5: 67.2, 10: 68.1, 20: 66.0}, "o"),
    "CodeQwen, three": ({0: 65.4, 10: 68.5, 20: 67.7}, "s"),
}
"""Mean pass@1 of HumanEval, HumanEval+, MBPP, MBPP+ by percent not about code, of 20,000 in all (2410.04717)."""
UNTUNED, MORE, ALONE = "not tuned", "more code alone", (1.0,)
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
    if not 0 < literal("passes", passes, (int, float)) <= 1000:
        raise SpecError(f"passes = {passes!r}; allowed: above 0, up to 1000")
    seeds = seeds_of(first_seed, n_seeds)
    specs = [LanguageSpec.of(**shared, sets=[], shares=[], total=0, seed=seeds[0])]
    for shares, n in parts:
        if len(shares) > len(names):
            raise SpecError(f"mixtures: {shares!r}; allowed: at most a share for each of {', '.join(names)}")
        per_step = TuneSpec.of(**tune).batch_size
        n_steps = max(1, round(passes * literal("total", n, int) / per_step))
        own = {"sets": names[: len(shares)], "shares": shares, "total": n, "tune": TuneSpec.of(**tune, n_steps=n_steps)}
        specs += [LanguageSpec.of(**shared, **own, seed=seed) for seed in seeds]
    return specs


# ---- gains -----------------------------------------------------------------------------------------------------------


class Arms:
    """A table of runs by what the model was tuned on: UNTUNED, MORE, or the shares of a mixture of `total` examples,
    by the number of domains and then from most to least code."""

    def __init__(self, frame):
        import pandas

        runs = zip(frame["total"].astype(int), frame["sets"], frame["shares"])
        named = [(n, as_tuple(shares, len(as_tuple(sets)))) for n, sets, shares in runs]
        self.total = min((n for n, shares in named if len(shares) > 1), default=0)
        more = MANY * self.total
        names = [MORE if shares == ALONE and n >= more else shares if n else UNTUNED for n, shares in named]
        self.mixtures = sorted({*names} - {UNTUNED, MORE}, key=lambda s: (len(s), [-share for share in s]))
        order = [name for name in (UNTUNED, *self.mixtures, MORE) if name in names]
        self.rows = {name: frame[[one == name for one in names]] for name in order}
        self.sets = max(map(as_tuple, frame["sets"]), key=len)
        self.solutions = [name for name in BENCHMARKS if name in set(frame["eval"])]
        self.nats = {}
        for name, rows in self.rows.items():  # log-likelihoods: a row a seed, a column an answer (set, place)
            of = {e: pandas.DataFrame(dict(zip(own["seed"], own["nll_each"]))).T for e, own in rows.groupby("eval")}
            self.nats[name] = -pandas.concat(of, axis=1)

    @property
    def two(self) -> list[tuple[float, ...]]:
        """The mixtures of code and general instructions, from the least to the most general."""
        return [shares for shares in self.mixtures if len(shares) == 2]

    def gains(self, arm, over=ALONE, evals: list | None = None):
        """How much more likely answers are after one tuning than after another, over the seeds of both; the model that
        was not tuned is the same for all seeds."""
        import pandas

        if not {arm, over} <= set(self.rows):
            return pandas.DataFrame()
        after, before = self.nats[arm], self.nats[over]
        if over == UNTUNED:
            before = pandas.concat([before] * len(after)).set_axis(after.index)
        return 100 * (after - before)[evals or self.solutions].dropna()

    def mean(self, pairs: list[tuple]):
        """The mean of gains (arm, over), answer by answer, over the seeds that all have."""
        return (sum(self.gains(*pair) for pair in pairs) / len(pairs)).dropna()

    def of_two(self):
        """The mean gain of the mixtures of two domains over code alone."""
        return self.mean([(shares, ALONE) for shares in self.two])

    def by_key(self, arm, values):
        """The mean gain of each run, a Series by its key."""
        return values.mean(axis=1).rename(index=dict(zip(self.rows[arm]["seed"], self.rows[arm]["key"])))


def as_tuple(value, n: int = 1) -> tuple:
    """A tuple as it was before a table made it one value, where all n are equal."""
    return value if isinstance(value, tuple) else (value,) * n


def controls(a: Arms) -> dict[str, tuple]:
    """{control: (the tuning that must gain, its gains)}; each must be above 0, or the runs can show nothing."""
    found = {"solutions: code alone, over no tuning": (ALONE, a.gains(ALONE, UNTUNED))}
    found["held-out code: more code, over less"] = (MORE, a.gains(MORE, ALONE, [a.sets[0]]))
    for domain in range(1, len(a.sets)):
        having = [shares for shares in a.mixtures if len(shares) > domain]
        most = max(having, key=lambda shares: (shares[domain], -len(shares)))
        label = f"held-out {DOMAINS[domain]}: a mixture with it, over code alone"
        found[label] = (most, a.gains(most, ALONE, [a.sets[domain]]))
    return found


def failed(a: Arms) -> list[str]:
    """The controls that do not show what they must."""
    return [f"{label}: {crossed(values)}" for label, (_, values) in controls(a).items() if not crossed(values).low > 0]


def named(shares: tuple[float, ...]) -> str:
    """A mixture in words.

    >>> named((1.0,)), named((0.9, 0.05, 0.05))
    ('code alone', '5 % general + 5 % reasoning')
    """
    return " + ".join(f"{100 * s:g} % {domain}" for s, domain in zip(shares[1:], DOMAINS[1:])) or "code alone"


# ---- claims ----------------------------------------------------------------------------------------------------------


def settled(values, margin: float, text: str) -> Finding:
    """Whether gains lie above the margin."""
    effect = crossed(values)
    text = f"{text}: {effect}; margin {margin:.2f}."
    return Finding(decide(effect, margin), text, effect, smallest(values.to_numpy()))


def mixing(a: Arms, margin: float) -> Finding:
    """D12."""
    return settled(a.of_two(), margin, "Mean gain of the mixtures of two domains over code alone")


def between(a: Arms, margin: float) -> Finding:
    """D13: of each mixture but the most general, its gains over code alone and over that one."""
    *inner, most = a.two
    both = {shares: [a.gains(shares, over) for over in (ALONE, most)] for shares in inner}
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


def beats_more(a: Arms, margin: float) -> Finding:
    """D14."""
    if MORE not in a.rows:
        return Finding(OPEN, f"It takes {MANY} times as many instructions about code alone.")
    some = min(a.two, key=lambda shares: abs(shares[1] - ABOUT))
    text = f"Gain of {named(some)} over {MANY} times as many instructions about code alone"
    return settled(a.gains(some, MORE), margin, text)


def three_domains(a: Arms, margin: float) -> Finding:
    """D15."""
    pairs = [(s, two) for two in a.two for s in a.mixtures if len(s) == 3 and abs(two[0] - s[0]) < 1e-6]
    if not pairs:
        return Finding(OPEN, "It takes a mixture of two domains and one of three with the same share of code.")
    return settled(a.mean(pairs), margin, "Mean gain of three domains over two")


def claim(id: str, statement: str, looks_at: str, decided_by=None) -> Claim:
    """One of the claims; they share measure, margin and rule, and settle nothing where a control fails."""

    def decided(frame) -> Finding:
        a = Arms(frame)
        if not {UNTUNED, ALONE} <= set(a.rows) or not a.two:
            return Finding(OPEN, "It takes the model untuned, tuned on code alone and on a mixture of two domains.")
        found = decided_by(a, SHARE * crossed(a.gains(ALONE, UNTUNED)).mean)
        return found.unless("These runs can show nothing, as a control fails." if failed(a) else "")

    rule = f"{looks_at}{'.' if id == 'D13' else RULE} Nothing is settled where a control is not above 0."
    how = (decided, "") if decided_by else (None, PAPER_SCALE)
    return Claim(id, statement, SOURCE, MEASURE, rule, MARGIN, *how)


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
        f"Gain of the mixture whose share of general instructions is nearest to {100 * ABOUT:g} % over {MANY} times as "
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
    a = Arms(chapter.frame)
    if missing := failed(a):
        which = "; ".join(missing)
        return f"**These runs can show nothing about mixtures, as a control fails ({which} hundredths of a nat).**"
    found = crossed(a.of_two())
    return f"**General instructions in the place of some about code gain {found} hundredths of a nat a token.**"


def figure_controls(chapter):
    """What the tunings have taught, a line a control."""
    a = Arms(chapter.frame)
    found = controls(a)
    figure, (ax,) = plots.panels(1, height=0.42 * len(found) + 0.5)
    plots.lines(ax, found, [label.replace(": ", ":\n") for label in found])
    for y, (arm, values) in enumerate(found.values()):
        if len(values):
            plots.dots(ax, y, a.by_key(arm, values), chapter.again, found=crossed(values))
    ax.axvline(0, color=plots.QUIET, linewidth=1.2)
    ax.set_xlabel("gain (0.01 nats a token)")
    return plots.finished(figure, chapter.frame)


def figure_gains(chapter):
    """The gain of each mixture over code alone against what is not about code; beside it the paper's, in points of
    pass@1."""
    a = Arms(chapter.frame)
    figure, (ours, paper) = plots.panels(2, height=2.2, sharex=True)
    for shares in a.mixtures:
        values = a.gains(shares)
        if len(shares) > 1 and len(values):
            (label, style), own, found = STYLES[len(shares)], a.by_key(shares, values), crossed(values)
            x = 100 * (1 - shares[0]) + 0.7 * (len(shares) - 2.5)
            plots.points(ours, [x] * len(own), own, own.index.isin(list(chapter.again)), **style)
            plots.bars(ours, [x], [found], **style)
            ours.plot([x], [found.mean], marker="_", markersize=9, markeredgewidth=1.8, color=style["color"])
            ours.plot([], [], label=label, linestyle="", markerfacecolor="white", **style)
    if MORE in a.rows:
        more = crossed(a.gains(MORE)).mean
        ours.axhline(more, color=plots.GREEN, linestyle="--", linewidth=1.2, label=f"{MANY} × the code")
    margin = abs(SHARE * crossed(a.gains(ALONE, UNTUNED)).mean)
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
    a, rows = Arms(chapter.frame), []
    sets = [None, *([name] for name in a.sets if name in set(chapter.frame["eval"]))]
    for arm, own in a.rows.items():
        over = a.gains(arm) if arm not in (UNTUNED, ALONE) else a.gains(None)
        raw = ", ".join(f"{value:.2f}" for value in over.mean(axis=1)) or "–"
        others = [crossed(a.gains(arm, UNTUNED, evals)) if arm != UNTUNED else "–" for evals in sets]
        rows.append([arm if isinstance(arm, str) else named(arm), crossed(over), raw, *others, passed(own)])
    held_out = [f"held-out {name}" for (name,) in sets[1:]]
    header = ["mixture", "solutions, over code alone", "by seed", "solutions", *held_out, "pass@1"]
    caption = "Gains over no tuning unless said, in 0.01 nats a token: mean and 95 % t-interval over seeds and answers"
    return tables.table(caption, "tab-mixtures", header, rows)


def passed(rows) -> str:
    """pass@1 of greedy answers over all benchmarks and seeds, or why there is none. The Wilson interval counts each
    problem once, however many seeds answered it."""
    if "passed" not in rows or (answered := rows.dropna(subset=["passed"])).empty:
        why = [*rows["not_tested"].dropna()] if "not_tested" in rows else []
        return f"not tested: {why[0]}" if why else "not generated"
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
