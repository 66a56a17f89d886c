"""Running algorithms (chapter 08): what was found, in sentences that the numbers decide.

A table of outcomes is that of `figures.algorithms.outcomes`, whose rows and models these functions take.
"""

from ..claims.ledger import LEARNT
from ..figures.intervals import Interval, interval
from ..figures.shared import split
from .algorithms import ambiguous, at, by_model, by_steps, first_errors, gap, of


def compared(change: Interval, more: str, less: str, even: str) -> str:
    """Which of three is said of a difference: by the bounds of its interval, or, of one seed, by its sign.

    >>> compared(interval([0.1, 0.2]), "more", "less", "as often"), compared(interval([-0.1]), "more", "less", "as often")
    ('more (0.15 [0.10, 0.20])', 'less in the one seed tried (-0.10)')
    """
    if change.n < 2:
        return f"{more if change.mean > 0 else less if change.mean < 0 else even} in the one seed tried ({change.mean:.2f})"
    return f"{more if change.low > 0 else less if change.high < 0 else even} ({change})"


def plain_model(outs) -> str:
    """The model of chapter 02 that is looked at: the most rules, no no-ops."""
    rows = outs[(outs["no_op_share"] == 0) & (outs["rules_in_prompt"] == 1)]
    return rows.loc[rows["n_rules"].idxmax(), "model"]


def with_no_ops(outs, prompted: bool = False) -> str:
    """The model trained with no-ops, with one rule in its prompt or several; of several models the last."""
    rows = outs[(outs["no_op_share"] > 0) & ((outs["rules_in_prompt"] > 1) == prompted)]
    return list(dict.fromkeys(rows["model"]))[-1]


def paired(first, second) -> Interval:
    """The second less the first: means of each seed's shares, over the seeds of both."""
    by_seed = [rows.groupby("seed")["exact_match"].mean() for rows in (first, second)]
    return interval((by_seed[1] - by_seed[0]).dropna())


def among(name: str) -> str:
    """Which runs a sentence is about.

    >>> among("profile laptop"), among("own parameters")
    ('In profile laptop', 'With own parameters')
    """
    return f"{'With' if name == 'own parameters' else 'In'} {name}"


def summary(outs, name: str) -> str:
    """One sentence on the runs of the plain model and of the one that has met no-ops."""
    said = []
    for model in (plain_model(outs), with_no_ops(outs)):
        means = [interval(by_model(by_steps(outs, harness, "steps"))[model].groupby("seed")["exact_match"].mean()) for harness in ("oracle", "in_order")]
        said.append(f"{means[0]} of the runs end right where the rule is chosen exactly and {means[1]} where the rules are tried in order ({model})")
    return f"{among(name)}, {'; '.join(said)}."


def findings(outs, frame) -> list[str]:
    """What was found on algorithms, in sentences that the numbers decide."""
    plain, careful, chooser = plain_model(outs), with_no_ops(outs), with_no_ops(outs, prompted=True)
    few = outs["rules"].min()
    return [states_in_words(outs, frame, plain), steps_in_words(outs, plain), *(refusing_in_words(outs, model) for model in (plain, careful)), choosing_in_words(outs, frame, careful, chooser, few), breaks_in_words(outs, careful)]


def states_in_words(outs, frame, model: str) -> str:
    """Whether single steps are harder on the states of runs than on the test's inputs."""
    states = by_model(of(outs, "oracle", "answers"))[model]
    states = states[states["value"] == "applies"]
    runs = frame[frame["key"].isin(states["key"]) & (frame["eval"] == "unseen")]
    change = paired(runs, states)
    return (
        f"**The states.** Single steps of unseen rules are right in {interval(runs['exact_match'])} of the test's inputs and in {interval(states['exact_match'])} of the states that exact runs "
        f"pass through ({model}); the states are {compared(change, 'easier', 'harder', 'no easier and no harder')}."
    )


def steps_in_words(outs, model: str) -> str:
    """How success falls with the number of steps, beside the prediction."""
    measured, said = (by_model(by_steps(outs, "oracle", part))[model] for part in ("steps", "predicted"))
    few, most = measured["steps"].min(), measured["steps"].max()
    return (
        f"**The steps** ({model}). Where the rule is chosen exactly, {interval(at(measured, few))} of the runs of {few} step{'s' * int(few > 1)} end right and {interval(at(measured, most))} of those of "
        f"{most} steps, of which the accuracy of single steps predicts {interval(at(said, most))}. Over all numbers of steps, runs end right {compared(gap(outs, 'oracle', model, 'predicted'), 'more often than predicted', 'less often than predicted', 'as often as predicted')}."
    )


def refusing_in_words(outs, model: str) -> str:
    """What it costs that the model decides whether a rule applies."""
    answers = by_model(of(outs, "in_order", "answers"))[model]
    refused = interval(answers[answers["value"] == "refuses"]["exact_match"])
    chosen, tried = (by_model(by_steps(outs, harness, "steps"))[model] for harness in ("oracle", "in_order"))
    return (
        f"**Whether a rule applies** ({model}). A rule that does not apply is left alone in {refused} of the cases. Where the rules are tried in order, {interval(tried.groupby('seed')['exact_match'].mean())} of all runs "
        f"end right, and {interval(chosen.groupby('seed')['exact_match'].mean())} where the rule is chosen exactly; trying in order does {compared(paired(chosen, tried), 'better', 'worse', 'as well')}."
    )


def choosing_in_words(outs, frame, careful: str, chooser: str, n_rules: int) -> str:
    """Rules tried in order against rules in the prompt, on the same algorithms, and whether both models have learnt their own rules."""
    tried, listed = (by_model(by_steps(outs, harness, "steps", n_rules))[model] for harness, model in (("in_order", careful), ("prompted", chooser)))
    means = [interval(rows.groupby("seed")["exact_match"].mean()) for rows in (tried, listed)]
    seen = [interval(frame[frame["key"].isin(rows["key"]) & (frame["eval"] == "seen")]["exact_match"]) for rows in (tried, listed)]
    unclear, clear = (ambiguous(outs[outs["model"] == chooser], "prompted", value) for value in ("yes", "no"))
    learnt = "both have learnt" if min(s.low if s.n > 1 else s.mean for s in seen) >= LEARNT else "not both have learnt"
    return (
        f"**Who chooses.** Of the same algorithms of {n_rules} rules, {means[0]} end right where a model reads one rule at a time ({careful}), and {means[1]} where another reads all of them and chooses ({chooser}); "
        f"the second does {compared(paired(tried, listed), 'better', 'worse', 'as well')}. With {seen[0]} and {seen[1]} right answers on seen rules that apply, {learnt} what they were trained on, at a bound of {LEARNT}; "
        f"{'they differ in their training all the same' if learnt[0] == 'b' else 'this compares trainings and not ways of asking'}. Where more than one place or rule applies, the second is right in {unclear} of the states, "
        f"and in {clear} of the others."
    )


def breaks_in_words(outs, model: str) -> str:
    """The most frequent kind of the first wrong answer, and whether later steps are harder than early ones."""
    said = []
    for harness in ("oracle", "in_order"):
        rows = by_model(of(outs, harness, "broke")).get(model)
        if rows is not None:
            kind, share = max(first_errors(rows).items(), key=lambda item: item[1])
            said.append(f"“{kind}” where {'the rule is chosen exactly' if harness == 'oracle' else 'rules are tried in order'} ({share:.0%})")
    along = by_model(by_steps(outs, "oracle", "place"))[model]
    first, last = along["steps"].min(), along["steps"].max()
    later = f" Of the answers where a rule applies, {interval(at(along, first))} are right at step {first} and {interval(at(along, last))} at step {last}."
    found = f"The most frequent first error is {', and '.join(said)}." if said else "No run has a wrong answer."
    return f"**Where runs break** ({model}). {found}{later}"


def lengths_in_words(rows) -> str:
    """Accuracy on lengths inside and outside those trained on, by kind of positions."""
    said = []
    for position, group in split(rows, "position").items():
        low, high = group["z_len"].iloc[0]
        parts = {"trained": group["length"].between(low, high), "shorter": group["length"] < low, "longer": group["length"] > high}
        said.append(f"{position} positions: " + ", ".join(f"{interval(group[where].groupby('seed')['exact_match'].mean())} on {name} lengths" for name, where in parts.items() if where.any()))
    return f"**Lengths.** {'; '.join(said)}."


def which_in_words(frame) -> str:
    """Accuracy on unseen rules by the occurrence that is replaced, beside that on seen ones."""
    said = []
    for which, rows in split(frame.assign(replace_which=frame["replace_which"].astype(str)), "replace_which").items():
        unseen, seen = (interval(rows[rows["eval"] == e]["exact_match"]) for e in ("unseen", "seen"))
        said.append(f"{f'number {which}' if which.isdigit() else which} {unseen} (seen rules {seen})")
    return f"**Which occurrence.** On unseen rules, where x occurs more than once in part of the inputs: {', '.join(said)}."
