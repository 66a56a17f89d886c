"""A1n and A3n to A6n: which tasks in natural language to train on next (chapter 15). A2: which instructions (chapter 16).

The statements A1 and A3 to A6 of `claims.selection`, which are decided there in a pool of symbolic tasks, are decided here on tasks in
natural language; the n tells the two apart. The rules are the same, in another measure: the likelihood of right answers.

Tables are of `records.frame`. Of chapter 15 there is a row per run and test (of a round, on test or validation tasks), and `learning` gives
each strategy the first round, which those of a seed share. Of chapter 16 there is a row per run and budget, and one for the model
before any tuning; `nll_each` is the list of the negative log-likelihoods of the answers.

Shapes: S seeds, P answers.
"""

import numpy as np
import pandas

from ..claims.ledger import LEDGER, Finding, Scale, claim, sentence
from ..claims.paired import SEEDS, above, below
from ..figures.intervals import Interval, interval
from . import selection
from .language import crossed
from .selection import BASELINES, METHOD, SOURCE

LIKELIHOOD = (
    "likelihood of the right answers to test tasks, which are of other collections or categories than the training tasks: the log-likelihood of an instance's first reference in nats a token, mean over instances, then over tasks; "
    "differences between strategies seed by seed, mean with 95 % bootstrap interval over seeds"
)
MAPPED = (
    "rightness of a task, which the map does not know: ROUGE-L of the first model's own answers against the references; its mean over each group, differences between groups seed by seed, with 95 % bootstrap "
    "intervals over seeds"
)
RIGHT = 0.05
"""A smaller difference in ROUGE-L tells no groups apart."""
NEGLIGIBLE, TAUGHT = 0.5, 1.0
"""Hundredths of a nat a token: a smaller gain is none; what tuning on random instructions has to teach."""


# ---- chapter 15: what was measured -----------------------------------------------------------------------------------


def learning(frame: pandas.DataFrame, tasks: str = "test") -> pandas.DataFrame:
    """The rounds of every strategy on test (or validation) tasks, with round 0 for each: a row per strategy, seed and round, with
    `likelihood`, nats a token, and `rouge_l`. Runs of the map alone are left out."""
    if not {"tasks", "strategy"} <= set(frame):
        return pandas.DataFrame(columns=["strategy", "seed", "round", "n_trained", "likelihood", "rouge_l"])
    rows = frame[frame["tasks"] == tasks]
    later = rows[rows["round"] > 0]
    first = later[["seed", "strategy"]].drop_duplicates().merge(rows[rows["round"] == 0].drop(columns="strategy"), on="seed")
    out = pandas.concat([first[rows.columns], later], ignore_index=True)
    out = out.astype({"round": int, "n_trained": int}).assign(likelihood=-out["nll"])
    if "runs" in frame.attrs:
        out.attrs = {"runs": frame.attrs["runs"] - frame[frame["eval"] == "map"]["key"].nunique()}
    return out


def by_likelihood(rule):
    """A rule on exact match as a rule on likelihood."""
    return lambda frame: rule(frame.assign(exact_match=frame["likelihood"]))


def as_on_symbols(id: str) -> dict:
    """The fields of a claim on tasks in natural language whose statement and rule are those of another."""
    of = LEDGER[id]
    rule = f"As {id}, with the likelihood in the place of the accuracy, so that bounds are in nats a token (0.01 is about 1 % of perplexity). {of.rule.replace('accuracy', 'likelihood')}"
    return {"statement": f"On tasks in natural language: {of.statement.removeprefix(selection.WORLD)}", "source": of.source, "metric": LIKELIHOOD, "rule": rule, "smallest_scale": Scale(SEEDS)}


# ---- chapter 15: claims ----------------------------------------------------------------------------------------------


claim("A1n", **as_on_symbols("A1"))(by_likelihood(selection.a1))
claim("A3n", **as_on_symbols("A3"))(by_likelihood(selection.a3))


@claim(
    "A4n",
    **as_on_symbols("A4")
    | {
        "metric": MAPPED,
        "rule": (
            f"Holds where the answers to easy tasks are more often right than those to ambiguous ones, and these more than those to difficult ones, by more than {RIGHT} (lower bounds). Fails where one of the two "
            f"differences has an upper bound below {RIGHT}, which counts only where some answers are right: where the mean over all tasks of the map is above {RIGHT} (lower bound). Fewer than {SEEDS} seeds decide nothing."
        ),
    },
)
def a4n(groups) -> Finding:
    return selection.in_order(groups, "rouge_l", "ROUGE-L of own answers", RIGHT, RIGHT)


claim("A5n", **as_on_symbols("A5"))(by_likelihood(selection.a5))
claim("A6n", **as_on_symbols("A6"))(by_likelihood(selection.a6))


# ---- chapter 16: what was measured -----------------------------------------------------------------------------------


def by_budget(frame, strategy: str, budget: int) -> dict[int, np.ndarray]:
    """By seed, the negative log-likelihoods (P,) of the answers after tuning on so many instructions of a strategy; with budget 0 those
    of the model before any tuning, whatever the strategy."""
    rows = frame[frame["n_trained"] == budget]
    rows = rows if budget == 0 else rows[rows["strategy"] == strategy]
    return {int(seed): np.array(each) for seed, each in zip(rows["seed"], rows["nll_each"])}


def gains(frame, over: str, strategy: str, budget: int, before: int | None = None) -> np.ndarray:
    """How much more likely each answer is under a strategy than under another, hundredths of a nat a token: (S, P) over the seeds of
    both. before: the budget of the other, where it is not the same."""
    first, second = by_budget(frame, over, budget if before is None else before), by_budget(frame, strategy, budget)
    both = [seed for seed in sorted(second) if seed in first]
    return 100 * np.array([first[seed] - second[seed] for seed in both])


def budgets(frame) -> list[int]:
    """The budgets of the runs, without 0."""
    return sorted({int(n) for n in frame["n_trained"] if n > 0}) if len(frame) else []


def gain(frame, over: str, strategy: str = METHOD, at: list[int] | None = None) -> Interval:
    """The mean gain over budgets (all, where none are named) with its interval over seeds and answers."""
    each = [gains(frame, over, strategy, budget) for budget in (budgets(frame) if at is None else at)]
    same = len({values.shape for values in each}) == 1
    return crossed(np.mean(each, axis=0) if same else np.empty((0, 0)))


def wins(frame, over: str, strategy: str, budget: int) -> Interval:
    """How many more answers of a hundred are likelier under a strategy than under another: wins minus losses, mean over seeds."""
    values = gains(frame, over, strategy, budget)
    return interval(100 * np.sign(values).mean(axis=1)) if values.size else crossed(values)


def taught(frame) -> Interval:
    """How much tuning on random instructions, the largest budget, has gained over the model before any tuning."""
    found = budgets(frame)
    return crossed(gains(frame, "random", "random", found[-1], before=0) if found else np.empty((0, 0)))


@claim(
    "A2",
    statement="Selecting the instructions of the highest prompt uncertainty beats random selection and selection by perplexity on data made by Self-Instruct.",
    source=f"{SOURCE}; abstract, judged by GPT-4, ChatGPT and people",
    metric=(
        "likelihood of answers that people wrote to instructions of other sources, or to those from which the pool was generated, but which are not in it; the gain of one selection over another, in hundredths of a nat a token (about percent of perplexity), is taken answer by answer and "
        "seed by seed; its 95 % interval comes from drawing seeds and answers, both with replacement"
    ),
    rule=(
        "Looks at the gain of prompt uncertainty over random selection and over selection by high and by low perplexity. Holds where the gain averaged over all budgets has a lower bound above 0 for each of them, and over "
        f"random selection at no single budget an upper bound below -{NEGLIGIBLE}. Fails where the averaged gain over one of them has an upper bound below {NEGLIGIBLE}, or that over random selection at some budget one below -{NEGLIGIBLE}; this "
        f"counts only where tuning teaches something: where random selection with the largest budget gains more than {TAUGHT} over the model before any tuning (lower bound). Fewer than {SEEDS} seeds decide nothing."
    ),
    smallest_scale=Scale(SEEDS),
)
def a2(frame) -> Finding:
    if missing := selection.lacking(frame, (METHOD, *BASELINES)):
        return Finding("open", f"There are no runs of {', '.join(missing)}.")
    found = {name: gain(frame, name) for name in BASELINES}
    worse = [f"worse than random selection with {n:,}" for n in budgets(frame) if below(gain(frame, "random", at=[n]), -NEGLIGIBLE)]
    said = "; ".join(f"over {name.replace('_', ' ')}: {value}" for name, value in found.items())
    text = sentence([f"gain of prompt uncertainty, averaged over {len(budgets(frame))} budgets, {said}", *worse, f"gain of tuning on random instructions: {taught(frame)}"]) + "."
    if above(taught(frame), TAUGHT) and (worse or any(below(value, NEGLIGIBLE) for value in found.values())):
        return Finding("fails", text)
    return Finding("holds" if not worse and all(above(value, 0) for value in found.values()) else "open", text)
