"""Chapter 16: selection among instructions, in likelihood and in wins minus losses, beside the counts of the paper's judges.

A table of runs is one of `claims.natural`: a row per run and budget, and one for the model before any tuning. NAME: "profile laptop".
"""

import numpy as np

from ..claims import natural as rules
from ..claims.language import crossed
from ..claims.ledger import sentence
from ..claims.natural import METHOD, by_budget, gains
from ..claims.selection import precise
from ..figures import plotting
from ..figures.plotting import made_by, number, sign, table
from ..language.self_instruct import source_of
from ..language.specs import InstructionsSpec, InstructSpec
from ..specs import Spec
from .natural import UNIT
from .select_tables import found
from .selection import clear, named, style

PAPER_BUDGETS = (1000, 2000, 4000, 8000, 16000)
PAPER_WINS = {
    "GPT-4": {"uncertainty": (11, 27, -19, 14, -5), "high_perplexity": (-24, 2, -7, -8, -16), "low_perplexity": (-8, -18, -29, -31, -26), "all": (88, 74, 34, 28, 17)},
    "ChatGPT": {"uncertainty": (24, 21, 10, 10, 0), "high_perplexity": (-37, 14, -2, 1, -25), "low_perplexity": (-30, -8, -32, -26, -20), "all": (55, 54, 25, 22, 10)},
    "people": {"uncertainty": (13, 8, 11, 9, -2)},
}
"""Wins minus losses against random selection of as many instructions, as stored in the authors' repository; all: tuned on the whole 52,000."""


# ---- figures ---------------------------------------------------------------------------------------------------------


def strategies_of(frame) -> list[str]:
    """The strategies of a table, but for random selection."""
    return [name for name in dict.fromkeys(frame["strategy"].dropna()) if name != "random"] if "strategy" in frame else []


def gains_figure(tables: dict):
    """A panel for each table of runs: the gain of each strategy over random selection by budget."""
    tables = {name: frame for name, frame in tables.items() if len(frame)}
    figure, axes = plotting.plt.subplots(len(tables), 1, figsize=(plotting.WIDTH, plotting.PANEL * len(tables) + 0.8), squeeze=False)
    for ax, (name, frame) in zip(axes[:, 0], tables.items()):
        lines(ax, frame, lambda frame, strategy, budget: crossed(gains(frame, "random", strategy, budget)), lambda values: values.mean(axis=1))
        ax.set_title(f"{sentence([name])}: {answers_of(frame)} answers")
        ax.set_ylabel(f"gain over random\nselection ({UNIT})")
    axes[-1, 0].set_xlabel("instructions tuned on (logarithmic)")
    finish(figure, axes, tables)
    return figure


def wins_figure(tables: dict):
    """Wins minus losses against random selection, in a hundred answers: ours, and the paper's judges' counts below."""
    tables = {name: frame for name, frame in tables.items() if len(frame)}
    panels = len(tables) + len(PAPER_WINS)
    figure, axes = plotting.plt.subplots(panels, 1, figsize=(plotting.WIDTH, 2.4 * panels + 0.8), squeeze=False)
    for ax, (name, frame) in zip(axes[:, 0], tables.items()):
        lines(ax, frame, lambda frame, strategy, budget: rules.wins(frame, "random", strategy, budget), lambda values: 100 * np.sign(values).mean(axis=1))
        ax.set_title(f"{sentence([name])}: likelihood of {answers_of(frame)} answers")
        ax.set_ylabel("wins - losses\n(of 100)")
    for ax, (judge, counts) in zip(axes[len(tables) :, 0], PAPER_WINS.items()):
        for strategy, values in counts.items():
            look = {"color": plotting.BLACK, "marker": "*"} if strategy == "all" else style(strategy)
            ax.plot(PAPER_BUDGETS, values, linewidth=1.2, markersize=5, label="all 52,000 (paper)" if strategy == "all" else named(strategy), **look)
        axis(ax, PAPER_BUDGETS)
        ax.set_title(f"Kung et al. 2023: judged by {judge}")
        ax.set_ylabel("wins - losses\n(count)")
    axes[-1, 0].set_xlabel("instructions tuned on (logarithmic)")
    finish(figure, axes, tables)
    return figure


def lines(ax, frame, middle, by_seed):
    """A line for each strategy: `middle`(frame, strategy, budget) with its interval, and open marks, `by_seed` of the gains (S, P)."""
    there, at = strategies_of(frame), rules.budgets(frame)
    for i, strategy in enumerate(there):
        means = {n: m for n in at if (m := middle(frame, strategy, n)).n}
        where = [n * 1.03 ** (i - (len(there) - 1) / 2) for n in means]
        for x, n in zip(where, means):
            seeds = by_seed(gains(frame, "random", strategy, n))
            ax.plot([x] * len(seeds), seeds, linestyle="", markersize=3, fillstyle="none", alpha=0.6, **style(strategy))
        error = np.nan_to_num([[m.mean - m.low for m in means.values()], [m.high - m.mean for m in means.values()]]).clip(min=0)
        ax.errorbar(where, [m.mean for m in means.values()], yerr=error, capsize=2.5, linewidth=1.4, markersize=4, label=named(strategy), **style(strategy))
    axis(ax, at)


def axis(ax, at):
    """A logarithmic axis of budgets, and the line of random selection."""
    ax.axhline(0, color=plotting.QUIET, linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xticks(list(at), [number(n) for n in at])
    ax.xaxis.set_minor_locator(plotting.mpl.ticker.NullLocator())


def finish(figure, axes, tables: dict):
    """Legend and origin."""
    entries = {label: handle for ax in axes[:, 0] for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(entries.values(), entries.keys(), loc="outside upper left", ncols=2, columnspacing=1.2)
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])


def answers_of(frame) -> int:
    """Number of answers that the runs are tested on."""
    return int(frame["nll_each"].map(len).max())


# ---- tables and words ------------------------------------------------------------------------------------------------


def tokens_of(specs: list[Spec]) -> dict[tuple[str, int], str]:
    """How many tokens the selected instructions and their answers have, mean over seeds, by strategy and budget."""
    each: dict[tuple[str, int], list[float]] = {}
    for spec, result in found(s for s in specs if isinstance(s, InstructSpec)):
        for point in result["curve"]:
            each.setdefault((spec.strategy, point["budget"]), []).append(point["tokens"] / spec.passes)
    return {key: f"{sum(values) / len(values):,.0f}" for key, values in each.items()}


def results_table(tables: dict, runs_of: dict[str, list[Spec]], caption: str, name: str) -> str:
    """By strategy and budget: tokens tuned on, gain over random selection (mean, and median over answers and seeds) and over the model before
    any tuning, wins minus losses."""
    rows = []
    for runs, frame in tables.items():
        tokens = tokens_of(runs_of[runs])
        for strategy in ["random", *strategies_of(frame)] if len(frame) else []:
            for budget in rules.budgets(frame):
                each = gains(frame, "random", strategy, budget)
                over = ["–"] * 3 if strategy == "random" else [precise(crossed(each), digits=2), f"{np.median(each):+.2f}" if each.size else "not run", signed(rules.wins(frame, "random", strategy, budget))]
                before = precise(crossed(gains(frame, strategy, strategy, budget, before=0)), digits=2)
                if by_budget(frame, strategy, budget):
                    rows.append([runs, named(strategy), f"{budget:,}", tokens.get((strategy, budget), "–"), *over, before])
    header = ["runs", "selection", "instructions", "tokens", f"gain over random ({UNIT})", "its median", "wins - losses of 100", "gain over not tuned"]
    return table(caption, name, header, rows)


def sets_table(tables: dict, runs: dict[str, list[Spec]], caption: str, name: str) -> str:
    """The gain of each strategy over random selection, averaged over the budgets, on the answers of each test set."""
    rows = []
    for title, frame in tables.items():
        done = next((result for _, result in found(runs[title])), None)
        ends = np.cumsum([0, *(done["data"][test]["instructions"] for test in runs[title][0].test)]) if done else ()
        for strategy in strategies_of(frame) if done else ():
            each = [gains(frame, "random", strategy, budget) for budget in rules.budgets(frame)]
            if len({values.shape for values in each}) == 1 and each[0].size:
                mean = np.mean(each, axis=0)
                rows += [[title, named(strategy), test, b - a, precise(crossed(mean[:, a:b]), digits=2)] for test, a, b in zip(runs[title][0].test, ends, ends[1:])]
    return table(caption, name, ["runs", "selection", "test set", "answers", f"gain over random ({UNIT})"], rows)


def signed(found) -> str:
    """Wins minus losses with their interval over seeds."""
    return "not run" if not found.n else f"{found.mean:+.0f}" + (f" [{found.low:+.0f}, {found.high:+.0f}]" if found.n > 1 else "")


SETTINGS = {
    "model": ("not established", lambda s: s.model),
    "weights": ("not established", lambda s: f"LoRA of rank {s.tune.rank}"),
    "peak rate, batch, passes": ("not established", lambda s: f"{s.tune.lr:g}, {s.tune.batch_size}, {s.passes:g}"),
    "instructions to select from": ("52,000", lambda s: f"{s.n_candidates:,}"),
    "budgets": (", ".join(f"{n:,}" for n in PAPER_BUDGETS), lambda s: ", ".join(f"{n:,}" for n in s.budgets)),
    "answers of an instruction, perturbed prompts k, drop rate": ("not established", lambda s: f"1, {s.k}, {s.drop_rate:g}"),
    "longest instruction with its answer": ("not established", lambda s: f"{s.most_letters} letters"),
    "longest own answer": ("not established", lambda s: f"{s.max_tokens} tokens"),
}


def settings_table(runs: dict[str, list[Spec]], caption: str, name: str) -> str:
    """The paper's settings, of which few are known, and those of sets of runs."""
    firsts = [next(spec for spec in specs if isinstance(spec, InstructSpec)) for specs in runs.values()]
    rows = [[what, paper, *map(value, firsts)] for what, (paper, value) in SETTINGS.items()]
    cut = [[value for _, result in found(s for s in specs if type(s) is InstructionsSpec) for value in result["map"]["cut"]] for specs in runs.values()]
    rows.append(["own answers that reached it and were cut", "not established", *(f"{np.mean(values):.0%}" if values else "not run" for values in cut)])
    rows.append(["seeds", "not established", *(len({spec.seed for spec in specs}) for specs in runs.values())])
    return table(caption, name, ["setting", "paper", *runs], rows)


def data_table(runs: dict[str, list[Spec]], caption: str, name: str) -> str:
    """The sets of the runs: what each is used for, its licence, where it is from."""
    rows = []
    for title, specs in runs.items():
        spec = specs[0]
        uses = {spec.pool: f"{spec.n_candidates:,} candidates a seed", **{test: f"up to {spec.n_test} tested" for test in spec.test}}
        rows += [[title, one, use, source_of(one).licence, source_of(one).origin] for one, use in uses.items()]
    return table(caption, name, ["runs", "set", "use", "licence", "origin"], rows)


def costs_table(runs: dict[str, list[Spec]], caption: str, name: str) -> str:
    """What measuring the candidates cost beside tuning."""
    rows = []
    for title, specs in runs.items():
        for spec, result in found(s for s in specs if type(s) is InstructionsSpec):
            (cost,), n = result["costs"], spec.n_candidates
            trained = [r["train_s"] for s, r in found(s for s in specs if isinstance(s, InstructSpec) and s.first == spec) if not r["resumed"]]
            mean = f"{sum(trained) / len(trained):.0f}" if trained else "–"
            rows.append([title, spec.seed, f"{n:,}", f"{cost['n_passes']:,}", f"{cost['n_read']:,}", f"{result['score_s'] / n:.2f}", mean])
    return table(caption, name, ["runs", "seed", "candidates", "forward passes", "tokens read", "seconds a candidate", "seconds of the trainings of a strategy"], rows)


def summary(frame, name: str) -> str:
    """Whether prompt uncertainty gains over random selection, in a sentence."""
    if not len(frame) or METHOD not in strategies_of(frame):
        return f"No runs of {name} are recorded."
    over = rules.gain(frame, "random")
    if not over.n:
        return f"Of {name} no seed is recorded with both random selection and prompt uncertainty."
    won = ", ".join(f"{signed(rules.wins(frame, 'random', METHOD, n))} with {n:,}" for n in rules.budgets(frame))
    others = [f"{named(other)} {precise(rules.gain(frame, 'random', other), digits=2)}" for other in strategies_of(frame) if other != METHOD]
    others = f" The other selections, likewise: {', '.join(others)}." if others else ""
    return f"In {name}, prompt uncertainty gains {precise(over, digits=2)} hundredths of a nat a token over random selection, averaged over the budgets: {clear(over)}. Its wins minus losses of 100 answers: {won}.{others}"
