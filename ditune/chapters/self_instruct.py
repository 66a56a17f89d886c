"""16: which instructions to train on next (A2), after a control.

Source: Kung et al. 2023 (arXiv 2311.00288), on data made by Self-Instruct (arXiv 2212.10560); that code was never
released. The measure is the likelihood of answers that people wrote, in hundredths of a nat a token (about percent of
perplexity).
"""

import numpy as np

from ..language.catalogue import DOMAINS, described, first_here, human_here
from ..language.pretrained import TuneSpec
from ..language.specs import InstructSpec
from ..report import plots, tables
from ..report.ledger import Claim, Finding
from ..report.stats import HOLDS, OPEN, beats, crossed, decide, interval, smallest
from ..specs import Spec
from ..store import records
from .common import listed, literal, seeds_of, without
from .selecting import BASELINES, METHOD, named, style

HUMAN = "human"
STRATEGIES = (METHOD, *BASELINES)
DRAWS = 20
"""Random subsets of a seed among which a selection is ranked; a single one says more of itself than of the
selection."""
MARGIN = 0.1
"""A selection that beats fewer than 60 of 100 random subsets is as good as none."""
PAPER_BUDGETS = (1000, 2000, 4000, 8000, 16000)
PAPER_WINS = {"GPT-4": (11, 27, -19, 14, -5), "ChatGPT": (24, 21, 10, 10, 0), "people": (13, 8, 11, 9, -2)}
"""Wins minus losses of prompt uncertainty against random selection, by judge, as stored in the authors' repository."""
UNIT = "hundredths of a nat a token"


def runs(model, dtype, pool, test, measurement, strategies, budgets, passes, tune, first_seed, n_seeds) -> list[Spec]:
    """The measures of each seed, and its trainings, by strategy, with all budgets.

    pool: a set of instructions by name, or a domain for the one at hand (`catalogue.first_here`); test: names of sets,
    "human" for those at hand that people wrote; measurement: the other fields of `InstructionsSpec`; passes: how often
    a training passes over its instructions; tune: fields of `TuneSpec` but for the steps.
    """
    pool = first_here(pool) if pool in DOMAINS else literal("pool", pool, str)
    tests = [one for name in listed("test", test, str) for one in (human_here() if name == HUMAN else [name])]
    shared = without("measurement", measurement, "model", "dtype", "pool", "test", "seed")
    shared = {"model": model, "dtype": dtype, "pool": pool, "test": tests} | shared
    shared |= {"budgets": listed("budgets", budgets, int), "passes": literal("passes", passes, (int, float))}
    how = TuneSpec.of(**without("tune", tune, "n_steps"))
    trained = [
        InstructSpec.of(**shared, strategy=strategy, tune=how, seed=seed)
        for strategy in dict.fromkeys(listed("strategies", strategies, str))
        for seed in seeds_of(first_seed, n_seeds)
    ]
    return [*dict.fromkeys(run.first for run in trained), *trained]


# ---- tables ----------------------------------------------------------------------------------------------------------


def frame(chapter):
    """A row per run and budget, and per seed one of the model before tuning (`n_trained` 0), with `value`, the mean
    likelihood of all answers; `draw` tells apart the random subsets of a seed."""
    rows = records.frame(chapter.specs)
    if "strategy" not in rows:
        return rows.iloc[:0]
    draw = rows["draw"] if "draw" in rows else 0
    return rows.assign(draw=draw, value=[-100 * float(np.mean(each)) for each in rows["nll_each"]])


def budgets(frame) -> list[int]:
    """The numbers of instructions tuned on."""
    return sorted({int(n) for n in frame["n_trained"] if n > 0})


def answers(frame, strategy: str, budget: int) -> dict[int, np.ndarray]:
    """By seed, the likelihood of each answer (P,), of random selection the mean over its draws; before tuning with
    budget 0."""
    rows = frame[(frame["n_trained"] == budget) & ((frame["strategy"] == strategy) | (budget == 0))]
    return {int(seed): -100 * np.mean(one["nll_each"].tolist(), axis=0) for seed, one in rows.groupby("seed")}


def gains(frame, strategy: str, budget: int, over: str = "random", before: int | None = None) -> np.ndarray:
    """How much likelier each answer is under a strategy than under another, (S, P) over the seeds of both; before:
    the budget of the other, where it is not the same."""
    first, second = answers(frame, over, budget if before is None else before), answers(frame, strategy, budget)
    return np.array([second[seed] - first[seed] for seed in sorted(second) if seed in first])


def mean_gain(frame, strategy: str = METHOD) -> np.ndarray:
    """The gain over random selection, mean over the budgets: (S, P) over the seeds that have all of them."""
    each = [gains(frame, strategy, budget) for budget in budgets(frame)]
    return np.mean(each, axis=0) if len({values.shape for values in each}) == 1 else np.empty((0, 0))


def of_more(frame) -> tuple[int, int, np.ndarray]:
    """The fewest and the most random instructions, and how much likelier each answer is with the most."""
    few, *_, many = budgets(frame)
    return few, many, gains(frame, "random", many, before=few)


def beaten(frame, strategy: str):
    """The share of the random subsets of its seed that a selection beats, on average over budgets and answers, by
    seed."""
    mean = frame[frame["n_trained"] > 0].groupby(["strategy", "seed", "draw"])["value"].mean()
    random, own = mean["random"].unstack(), mean[strategy].groupby("seed").mean()
    above = random.lt(own, axis=0).sum(axis=1) + 0.5 * random.eq(own, axis=0).sum(axis=1)
    return (above / random.notna().sum(axis=1))[own.index].dropna()


def draws_of(frame) -> int:
    """The random subsets of the seed that has fewest."""
    return int(frame[frame["strategy"] == "random"].groupby("seed")["draw"].nunique().min())


# ---- claims ----------------------------------------------------------------------------------------------------------


def more_instructions(frame) -> Finding:
    """A0s."""
    few, many, values = of_more(frame)
    found = crossed(values)
    text = f"{many:,} random instructions rather than {few:,}: {found} {UNIT}."
    return Finding(decide(found), text, found, smallest(values))


def ranked(frame) -> Finding:
    """A2."""
    if missing := [named(name) for name in STRATEGIES if name not in set(frame["strategy"].dropna())]:
        return Finding(OPEN, f"There are no runs of {', '.join(missing)}.", n_seeds=0)
    share = {name: beaten(frame, name) for name in STRATEGIES if name != "random"}
    apart = {name: (share[METHOD] - share.get(name, 0.5)).dropna() for name in BASELINES}
    values, draws = mean_gain(frame), draws_of(frame)
    parts = ", ".join(f"{named(name)} {interval(shares)}" for name, shares in share.items())
    text = f"Share of the random subsets that are beaten: {parts}; gain over these {crossed(values)} {UNIT}."
    found = Finding(beats(apart, MARGIN), text, crossed(values), smallest(values), min(map(len, apart.values())))
    found = found.unless(f"By {draws} of {DRAWS} random subsets a seed." if draws < DRAWS else "")
    return found.unless("" if more_instructions(frame).outcome == HOLDS else "The control does not hold.")


MEASURE = f"likelihood of answers that people wrote to instructions that are not in the pool, {UNIT}"
CLAIMS = (
    Claim(
        "A0s", "Control: many random instructions beat few.", "this study",
        f"{MEASURE}; interval over seeds and answers",
        "Holds where the largest number of random instructions gives a higher likelihood than the smallest; does not "
        "hold where a lower one.", "0: a control asks for a direction.", more_instructions,
    ),
    Claim(
        "A2",
        "Selecting the instructions of the highest prompt uncertainty beats random selection and selection by "
        "perplexity.",
        "arXiv 2311.00288, abstract; judged there by GPT-4, ChatGPT and people",
        f"rank of a selection among {DRAWS} random subsets of its seed by the {MEASURE}, mean over their numbers",
        "Looks at the share of the random subsets that prompt uncertainty beats, less one half, and less the shares of "
        "high and low perplexity. Holds where each lies above 0; does not hold where one lies below the margin, at "
        f"Bonferroni's level. It takes {DRAWS} random subsets a seed and the control, A0s, to hold.",
        f"{MARGIN}: a selection that beats fewer than 60 of 100 random subsets is of no use.", ranked,
    ),
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    (few, many, control), draws = of_more(chapter.frame), draws_of(chapter.frame)
    return (
        f"**{many:,} random instructions beat {few:,} by {crossed(control)} {UNIT}; choosing those of high prompt "
        f"uncertainty gains {crossed(mean_gain(chapter.frame))} over {draws} random subset{'s' * (draws > 1)} a seed "
        "of the same size.**"
    )


def figure_gains(chapter):
    """How much likelier written answers become by tuning, against the number of instructions: the control and the
    selections."""
    frame = chapter.frame
    before = frame[frame["n_trained"] == 0].groupby("seed")["value"].mean()
    rows = frame[frame["n_trained"] > 0].assign(gain=lambda table: table["value"] - table["seed"].map(before))
    figure, (ax,) = plots.panels(1, height=3.6)
    for i, name in enumerate(name for name in STRATEGIES if name in set(rows["strategy"])):
        one = rows[rows["strategy"] == name]
        one = one.assign(n=one["n_trained"] * 1.09 ** (i - len(STRATEGIES) / 2))
        plots.curve(ax, one, "n", "gain", named(name), chapter.again, log=False, **style(name))
    ax.axhline(0, color=plots.QUIET, linewidth=0.8)
    ax.set(ylabel="likelihood above the untuned\nmodel (0.01 nats a token)", xscale="log")
    ax.set(xticks=budgets(frame), xticklabels=budgets(frame), xlabel="instructions tuned on (logarithmic)")
    ax.minorticks_off()
    plots.legend(figure, [ax])
    return plots.finished(figure, frame)


def table_wins(chapter) -> str:
    """The paper's counts."""
    caption = "The paper: wins minus losses of prompt uncertainty against random selection, by number of instructions"
    rows = [[judge, *counts] for judge, counts in PAPER_WINS.items()]
    return tables.table(caption, "tab-instructions-wins", ["judge", *map(plots.number, PAPER_BUDGETS)], rows)


def table_results(chapter) -> str:
    """By selection and number of instructions: tokens tuned on, gains over no tuning and over random selection."""
    rows, curves = [], chapter.curves.assign(tokens=lambda table: table["tokens"] / table["passes"])
    for (name, n), tokens in curves.groupby(["strategy", "budget"])["tokens"].mean().items():
        each = gains(chapter.frame, name, n)
        raw = ", ".join(f"{value:+.1f}" for value in each.mean(axis=1)) if each.any() else "–"
        over, before = crossed(each) if each.any() else "–", crossed(gains(chapter.frame, name, n, before=0))
        rows.append([named(name), n, f"{tokens:,.0f}", before, over, raw])
    header = ["selection", "instructions", "tokens", "over the untuned", "over random", "by seed"]
    return tables.table(f"Gains in {UNIT}, over seeds and answers", "tab-instructions-results", header, rows)


def licensed(name: str) -> str:
    """A set with its licence."""
    return f"{name} ({described(name).licence})"


SETTINGS = {
    "model": ("not established", lambda s: f"{s.model}, LoRA of rank {s.tune.rank}"),
    "rate, batch, passes": ("not established", lambda s: f"{s.tune.lr:g}, {s.tune.batch_size}, {s.passes:g}"),
    "selected from": ("52,000 of Alpaca", lambda s: f"{s.n_candidates:,} of {licensed(s.pool)}"),
    "instructions": ("1,000 to 16,000", lambda s: ", ".join(f"{n:,}" for n in s.budgets)),
    "tested on": (
        "answers to instructions, judged",
        lambda s: ", ".join(f"{s.n_test} of {t} ({described(t).licence})" for t in s.test),
    ),
    "perturbed prompts k, drop rate": ("not established", lambda s: f"{s.k}, {s.drop_rate:g}"),
    "longest instruction": ("not established", lambda s: f"{s.most_letters} letters"),
    "longest own answer": ("not established", lambda s: f"{s.max_tokens} tokens"),
}


def table_settings(chapter) -> str:
    """What is known of the paper's settings beside ours, folded."""
    spec = next(spec for spec in chapter.specs if isinstance(spec, InstructSpec))
    return tables.settings(chapter, spec, SETTINGS, "not established")
