"""Chapter 13: gains of mixtures over code alone, beside the paper's; tables of likelihoods, pass@1 and data.

Gains and mixtures are those of `claims.language`, which has the form of a table of runs. NAME of a table: "profile laptop".
"""

import numpy as np

from ..claims.language import arms, at_total, common_total, crossed, gain, gains, named, problems, sets_of
from ..claims.ledger import sentence
from ..figures import plotting
from ..figures.intervals import wilson
from ..figures.plotting import made_by, sign, table
from ..language.catalogue import BENCHMARKS, described

DEEPSEEK = {0: (62.2, 56.7, 75.7, 62.4, 64.2), 5: (67.1, 59.8, 75.7, 62.2, 66.2), 10: (68.3, 61.6, 75.4, 63.2, 67.1), 15: (64.6, 60.4, 76.4, 63.4, 66.2), 20: (65.2, 58.5, 76.7, 63.7, 66.0), 25: (64.6, 57.9, 73.9, 61.4, 64.5)}
"""Percent of general instructions: greedy pass@1 on HumanEval, HumanEval+, MBPP, MBPP+, and their mean. 20K in all, DeepSeek-Coder-6.7B."""
CODEQWEN = {"20/0/0": (65.9, 59.8, 73.7, 62.2, 65.4), "19/1/0": (67.7, 61.6, 75.9, 63.4, 67.2), "18/2/0": (69.5, 63.4, 76.4, 63.2, 68.1), "18/1/1": (68.9, 63.4, 77.4, 64.2, 68.5), "16/4/0": (65.2, 58.5, 76.7, 63.7, 66.0), "16/2/2": (68.3, 61.6, 77.2, 63.7, 67.7)}
"""The same for CodeQwen-7B by thousands of OSS-Instruct / Alpaca / CoT-Collection."""
LARGE = {"15/0/0": 66.4, "0/15/0": 67.2, "0/7.5/7.5": 65.9, "7.5/7.5/0": 67.6, "7.5/3.25/3.25": 67.3, "12.5/2.5/0": 67.5, "12.5/1.25/1.25": 68.4, "14/1/0": 68.1, "14/.5/.5": 66.8}
"""Mean of the four by what is added to 60K of OSS-Instruct, DeepSeek-Coder-6.7B; the first is Magicoder-DS on 75K of code."""
SCORES = ("HumanEval", "HumanEval+", "MBPP", "MBPP+", "mean")
STYLES = {2: ("code + general", {"color": plotting.BLUE, "marker": "o"}), 3: ("code + general + reasoning", {"color": plotting.VERMILION, "marker": "s"})}
MODELS = {"smollm2": ("Apache-2.0", "SmolLM2-135M-Instruct, huggingface.co/HuggingFaceTB"), "tiny": ("MIT", "random weights, made here")}
"""Licence and origin of the models that need no hub."""
UNIT = "gain over code only\n(0.01 nats a token)"


# ---- figures ---------------------------------------------------------------------------------------------------------


def points(frame, n_domains: int) -> list[tuple[float, object, np.ndarray]]:
    """Percent beyond code, interval of the gain over code alone, and its mean by seed, of the mixtures of so many domains."""
    found = at_total(frame)
    chosen = [shares for shares in found if len(shares) == n_domains and (1.0,) in found]
    each = [(100 * (1 - shares[0]), gains(found[1.0,], found[shares], problems(found[shares]))) for shares in chosen]
    return [(x, crossed(values), values.mean(axis=1)) for x, values in each if values.size]


def gains_figure(tables: dict):
    """A panel for each table of runs, the gain of each mixture over code alone against what is not code; and the paper's, below."""
    tables = {name: frame for name, frame in tables.items() if len(frame)}
    figure, axes = plotting.plt.subplots(len(tables) + 1, 1, figsize=(plotting.WIDTH, 2.6 * (len(tables) + 1) + 0.8), sharex=True)
    for ax, (name, frame) in zip(axes, tables.items()):
        for n, (label, style) in STYLES.items():
            draw(ax, points(frame, n), n - 2.5, label, style)
        for label, interval, color, line in references(frame):
            ax.axhline(interval.mean, color=color, linestyle=line, linewidth=1.2, label=label)
        ax.set_title(f"{sentence([name])}: {heading(frame)}")
        ax.set_ylabel(UNIT)
        ax.axhline(0, color=plotting.QUIET, linewidth=0.8)
    papers_panel(axes[-1])
    entries = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(entries.values(), entries.keys(), loc="outside upper left", ncols=2, columnspacing=1.2)
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


def draw(ax, found, aside: float, label: str, style: dict):
    """Intervals and single seeds at their percentages, set a little aside."""
    for x, interval, by_seed in found:
        ax.plot([x + 0.6 * aside] * len(by_seed), by_seed, linestyle="", markerfacecolor="white", markersize=4, **style)
        ax.errorbar(x + 0.6 * aside, interval.mean, [[interval.mean - interval.low], [interval.high - interval.mean]], capsize=3.5, elinewidth=1.6, label=label, **style)


def references(frame) -> list[tuple]:
    """What else is compared with code alone: code alone with more examples."""
    found, alone = arms(frame), at_total(frame).get((1.0,))
    more = [(f"code only, {total / common_total(found):.3g} × as many", gain(alone, rows), plotting.GREEN, "--") for (total, shares), rows in found.items() if shares == (1.0,) and total > common_total(found)]
    return [reference for reference in more if reference[1].n]


def heading(frame) -> str:
    """Model, examples and problems of a table of runs."""
    row = frame[frame["total"] == common_total(arms(frame))].iloc[0]
    n = int(frame[frame["eval"].isin(problems(frame))].groupby("eval")["n"].first().sum())
    return f"{row['model']},\n{row['total']:,} examples, {n} problems"


def papers_panel(ax):
    """The paper's means over four benchmarks, less that of code alone, in points of pass@1."""
    base = DEEPSEEK[0][-1]
    ax.plot(DEEPSEEK.keys(), [scores[-1] - base for scores in DEEPSEEK.values()], label="paper, DeepSeek-Coder", **plotting.PAPER)
    for n, marker in ((2, "o"), (3, "s")):
        rows = [(name, scores) for name, scores in CODEQWEN.items() if (name.split("/")[2] == "0") == (n == 2)]
        at = [100 - 5 * float(name.split("/")[0]) for name, _ in rows]
        style = {"color": plotting.QUIET, "linestyle": "", "marker": marker, "markersize": 5, "markerfacecolor": "white"}
        ax.plot(at, [scores[-1] - CODEQWEN["20/0/0"][-1] for _, scores in rows], label=f"paper, CodeQwen, {n} domains", **style)
    ax.axhline(0, color=plotting.QUIET, linewidth=0.8)
    ax.set(xlabel="instructions that are not about code (%)", ylabel="gain over code only\n(points of pass@1)")
    ax.set_title("The paper: 20,000 examples, mean of four benchmarks")


# ---- tables ----------------------------------------------------------------------------------------------------------


def results_table(frame, caption: str, name: str) -> str:
    """By mixture: gain over code alone with the seeds' means, gains on held-out rows over the untuned model, pass@1."""
    found, rows = arms(frame), []
    alone, before = at_total(frame).get((1.0,)), found.get((0, ()))
    tested = [e for e in dict.fromkeys(frame["eval"]) if e not in problems(frame)]
    for (total, shares), of_arm in found.items():
        compared = bool(total) and shares != (1.0,) or total > common_total(found)
        over_code = gain(alone, of_arm) if compared else "–"
        by_seed = ", ".join(f"{value:.2f}" for value in gains(alone, of_arm, problems(of_arm)).mean(axis=1)) if compared and over_code.n else "–"
        solutions = gain(before, of_arm) if total and before is not None else "–"
        held_out = [gain(before, of_arm, [e]) if total and before is not None else "–" for e in tested]
        rows.append([named(shares) if total else "not tuned", f"{total:,}", over_code, by_seed, solutions, *held_out, passed(of_arm)])
    return table(caption, name, ["mixture", "examples", "solutions: gain over code only", "by seed", "solutions: gain over not tuned", *(f"held-out {e}: gain over not tuned" for e in tested), "pass@1"], rows)


def passed(rows) -> str:
    """pass@1 of greedy answers over all benchmarks and seeds, or why there is none. The 95 % Wilson interval counts each problem
    once, however many seeds answered it: their answers to one problem are not independent."""
    if "passed" not in rows or not rows["passed"].notna().any():
        why = rows["not_tested"].dropna() if "not_tested" in rows else ()
        return f"not tested: {why.iloc[0]}" if len(why) else "not generated"
    answered = rows.dropna(subset=["passed"])
    each = [one for value in answered["passed"] for one in value]
    n_problems = sum(map(len, answered.drop_duplicates("eval")["passed"]))
    low, high = wilson(sum(each) / len(each), n_problems)
    return f"{sum(each)} of {len(each)}: {sum(each) / len(each):.2f} [{low:.2f}, {high:.2f}]"


def data_table(tables: dict, caption: str, name: str) -> str:
    """The instruction sets, the benchmarks and the model of the runs: domain, licence, where they are from."""
    rows = []
    for runs, frame in tables.items():
        used = dict.fromkeys(one for _, of_arm in arms(frame[frame["total"] > 0]).items() for one in sets_of(of_arm)) if len(frame) else ()
        rows += [[runs, one, described(one).domain, described(one).licence, described(one).origin] for one in used]
        rows += [[runs, one, "code, tested on", BENCHMARKS[one].licence, BENCHMARKS[one].home] for one in dict.fromkeys(frame["eval"]) if one in BENCHMARKS]
        rows += [[runs, one, "model", *MODELS.get(one, ("its own", f"huggingface.co/{one}"))] for one in frame["model"].unique()]
    return table(caption, name, ["runs", "set or model", "domain", "licence", "origin"], rows)


def paper_tables(name: str) -> str:
    """The paper's three tables, in percent of problems solved by a greedy answer."""
    first = [[f"{20 - share / 5:g}:{share / 5:g}", *scores] for share, scores in DEEPSEEK.items()]
    return "\n\n".join([
        table("The paper (arXiv 2410.04717), DeepSeek-Coder-6.7B: thousands of OSS-Instruct : Alpaca; pass@1 in percent", name, ["mixture", *SCORES], first),
        table("The paper (arXiv 2410.04717), CodeQwen-7B: thousands of OSS-Instruct / Alpaca / CoT-Collection; pass@1 in percent", f"{name}-three", ["mixture", *SCORES], [[mix, *scores] for mix, scores in CODEQWEN.items()]),
        table("The paper (arXiv 2410.04717), DeepSeek-Coder-6.7B: 60K of OSS-Instruct and these thousands of OSS-Instruct / Alpaca / CoT-Collection; mean pass@1 in percent", f"{name}-large", ["added", "mean"], [[mix, mean] for mix, mean in LARGE.items()]),
    ])  # fmt: skip


def identical_rows() -> str:
    """What the tables say of the two models' mixtures with a fifth of general instructions, in a sentence."""
    same = DEEPSEEK[20][:4] == CODEQWEN["16/4/0"][:4]
    return "The rows 16:4 of DeepSeek-Coder and 16/4/0 of CodeQwen are the same in all four scores, though the models differ: probably a slip in copying, of which one cannot say which row it is." if same else ""


# ---- words -----------------------------------------------------------------------------------------------------------


def summary(frame, name: str) -> str:
    """What tuning on code alone changed, and what the mixtures changed further, in a sentence or two."""
    if frame.empty:
        return f"No runs of {name} are recorded."
    found, before = at_total(frame), arms(frame).get((0, ()))
    alone = found.get((1.0,))
    each = [f"{gain(alone, rows)} with {named(shares)}" for shares, rows in found.items() if shares != (1.0,)]
    return f"In {name}, tuning on code alone makes the solutions more likely by {gain(before, alone)} hundredths of a nat a token; over this, the mixtures gain {', '.join(each)}."
