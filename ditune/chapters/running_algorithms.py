"""08: models of single steps execute whole Markov algorithms of unseen rules; other single steps (beyond both papers).

An outcome is a share of one run of a model: a row of `records.slices` of its sets "harness/R", R rules of an algorithm.
"""

from ..report import plots, stats, tables
from ..report.ledger import LEARNT, NEGLIGIBLE, Claim, Finding
from ..report.stats import OPEN, Interval, interval
from ..rewriting.specs import AlgorithmSpec, EvalSpec, TaskSpec
from ..specs import SpecError
from ..store import records
from .common import changed, listed, literal, rewriting_run, seeds_of, tested, without

HARNESSES = {"oracle": "rule chosen exactly", "in_order": "rules tried in order", "prompted": "all rules in the prompt"}
"""Who decides which rule is used."""


def runs(
    models, algorithms, which, which_task, trained_z_len, tested_z_len, positions,
    first_seed, n_seeds, n_test, task, model, train,
):  # fmt: skip
    """Trainings with algorithms executed by their models, and two variations of the single step.

    models: list of {"task": ..., "model": ..., "train": ...}, the fields in which each differs; algorithms: fields of
    `AlgorithmSpec`. which: occurrences that are replaced, one run each, in the task with the fields which_task.
    trained_z_len, tested_z_len: ranges of lengths of inputs, for each kind of positions.
    """
    parts = changed("models", {}, {"task": task, "model": model, "train": train})
    fields = without("algorithms", algorithms, "task", "model", "train", "evals", "seed")
    changes = [changed("models", change, parts) for change in listed("models", models)]
    cells = []
    for one in listed("which", which):
        own = parts["task"] | literal("which_task", which_task, dict) | {"replace_which": one}
        cells.append((parts | {"task": own}, tested(n_test)))
    trained = parts["task"] | {"z_len": z_range("trained_z_len", trained_z_len)}
    other = TaskSpec.of(**parts["task"] | {"z_len": z_range("tested_z_len", tested_z_len)})
    for position in listed("positions", positions, str):
        evals = [*tested(n_test), EvalSpec.of(name="lengths", n_examples=n_test, task=other)]
        cells.append((parts | {"task": trained, "model": parts["model"] | {"position": position}}, evals))
    seeds = seeds_of(first_seed, n_seeds)
    executed = comparable([execution(change, fields, n_test, seed) for change in changes for seed in seeds])
    return executed + [rewriting_run(**own, evals=evals, seed=seed) for own, evals in cells for seed in seeds]


def z_range(name: str, value) -> list[int]:
    """A parameter that is a range of lengths."""
    found = listed(name, value, int)
    if len(found) != 2 or not found[0] < found[1]:
        raise SpecError(f"{name} = {found!r}; allowed: [shortest, longest], two different lengths")
    return found


def comparable(found: list[AlgorithmSpec]) -> list[AlgorithmSpec]:
    """The runs, if the kinds that are compared are among them, and all run the same algorithms."""
    alone = [run.task.no_op_share for run in found if run.task.rules_in_prompt == 1]
    several = {run.task.rules_in_prompt: run.task.no_op_share for run in found if run.task.rules_in_prompt > 1}
    if not alone or not several or min(alone) > 0 or max(alone) == 0 or min(several.values()) == 0:
        kinds = "one without no-ops, one with no-ops, and one with several rules in the prompt and no-ops"
        raise SpecError(f"models: allowed: at least {kinds}: they are compared")
    for n in several:
        if any(n not in run.algorithm_rules for run in found):
            raise SpecError(f"algorithms: algorithm_rules lacks {n}; allowed: all numbers of rules in a model's prompt")
    return found


def execution(parts: dict[str, dict], fields: dict, n_test, seed: int) -> AlgorithmSpec:
    """A training, tested on inputs with x and on inputs without, whose model executes algorithms."""
    n_rules = parts["task"].get("rules_in_prompt", 1)
    with_x, without_x = (TaskSpec.of(**parts["task"] | {"no_op_share": share}) for share in (0.0, 1.0))
    evals = [*tested(n_test, with_x.to_dict()), EvalSpec.of(name="no_ops", n_examples=n_test, task=without_x)]
    own = fields | ({"algorithm_rules": [n_rules]} if n_rules != 1 else {})
    return AlgorithmSpec.of(**parts, evals=evals, seed=seed, **own)


def frame(chapter):
    """The runs, and the outcomes of algorithms and other slices, with the columns harness, rules (R) and model."""
    import pandas

    rows = records.slices(chapter.specs)
    rows = rows[rows["eval"].str.contains("/") | rows["slice"].isin(["z_len", "occurrences"])]
    both = pandas.concat([records.frame(chapter.specs), rows], ignore_index=True)
    sets = both["eval"].str.extract(r"^(?P<harness>\w+)/(?P<rules>\d+)$")
    return both.join(sets.astype({"rules": float})).assign(model=[model_name(row) for row in both.to_dict("records")])


def model_name(row: dict) -> str:
    """A training in a few words.

    >>> model_name({"n_rules": 10000, "no_op_share": 0.25, "rules_in_prompt": 3, "position": "rotary"})
    '10,000 × 3 rules, no-ops, rotary'
    """
    several = f" × {row['rules_in_prompt']}" if row["rules_in_prompt"] > 1 else ""
    more = ["no-ops"] * (row["no_op_share"] > 0) + [row["position"]] * (row["position"] != "learned")
    return ", ".join([f"{row['n_rules']:,}{several} rules", *more])


# ---- what is compared ------------------------------------------------------------------------------------------------


def plain(frame) -> str:
    """The model of chapter 02: the most rules, no no-ops."""
    rows = frame[frame["harness"].notna() & (frame["no_op_share"] == 0)]
    return rows.loc[rows["n_rules"].idxmax(), "model"]


def careful(frame, several: bool = False) -> str:
    """The last model trained with no-ops, with one rule in its prompt or with several."""
    rows = frame[frame["harness"].notna() & (frame["no_op_share"] > 0) & ((frame["rules_in_prompt"] > 1) == several)]
    return rows["model"].iloc[-1]


def outcome(frame, harness: str, part: str, model: str | None = None, rules: int | None = None):
    """The outcomes of a harness and slice, of algorithms of so many rules or the most."""
    rows = frame[(frame["harness"] == harness) & (frame["slice"] == part)]
    rows = rows[rows["rules"] == (rules or rows["rules"].max())]
    rows = rows[rows["model"] == model] if model else rows
    return rows.assign(steps=rows["value"].astype(int)) if part in ("steps", "predicted") else rows


def success(frame, harness: str, model: str, rules: int | None = None, part: str = "steps"):
    """The share of runs that end right, over all numbers of steps, by seed."""
    return by_seed(outcome(frame, harness, part, model, rules))


def by_seed(rows):
    """The mean share by seed."""
    return rows.groupby("seed")["exact_match"].mean()


def at(rows, steps: int) -> Interval:
    """The shares at a number of steps."""
    return interval(rows[rows["steps"] == steps]["exact_match"])


def seen(frame, model: str) -> Interval:
    """The accuracy of a model that executes algorithms on seen rules that apply."""
    keys = set(frame[(frame["model"] == model) & frame["harness"].notna()]["key"])
    return stats.accuracy(frame[frame["key"].isin(keys)], "seen")


# ---- claims ----------------------------------------------------------------------------------------------------------


def ends_right(frame) -> Finding:
    """R1."""
    name = plain(frame)
    found, rows = interval(success(frame, "oracle", name)), outcome(frame, "oracle", "steps", name)
    few, most = rows["steps"].min(), rows["steps"].max()
    text = f"{found} of the runs end right ({name}): {at(rows, few)} with {few} step, {at(rows, most)} with {most}."
    return Finding(stats.decide(found, 0.5), text, found, stats.smallest(success(frame, "oracle", name)))


def independent(frame) -> Finding:
    """R2."""
    name = plain(frame)
    gap = success(frame, "oracle", name) - success(frame, "oracle", name, part="predicted")
    found = interval(gap)
    text = f"Measured less predicted: {found} ({name})."
    return Finding(stats.within(found, NEGLIGIBLE), text, found, stats.smallest(gap))


def deciding(frame) -> Finding:
    """R3."""
    name = careful(frame)
    chosen, tried = success(frame, "oracle", name), success(frame, "in_order", name)
    rest = chosen / 2 - tried
    text = f"{interval(tried)} of the runs end right, and {interval(chosen)} where the rule is chosen exactly ({name})."
    return Finding(stats.decide(interval(rest)), text, interval(tried - chosen), stats.smallest(rest))


def no_ops_help(frame) -> Finding:
    """R4."""
    names = plain(frame), careful(frame)
    before, after = (success(frame, "in_order", name) for name in names)
    text = f"{interval(after)} of the runs end right, {interval(before)} without no-ops"
    return gated(frame, names, after - before, text, NEGLIGIBLE)


def choosing(frame) -> Finding:
    """R5."""
    names = careful(frame), careful(frame, several=True)
    rules = int(outcome(frame, "prompted", "steps")["rules"].iloc[0])
    tried, listed = (success(frame, h, name, rules) for h, name in zip(("in_order", "prompted"), names))
    text = f"{interval(listed)} of the runs of {rules} rules end right, {interval(tried)} where they are tried in order"
    return gated(frame, names, listed - tried, text, -NEGLIGIBLE)


def gated(frame, names, change, text: str, margin: float) -> Finding:
    """A difference of two models, decided where both have learnt their rules."""
    learnt = [seen(frame, name) for name in names]
    outcome = stats.decide(interval(change), margin) if min(s.mean for s in learnt) >= LEARNT else OPEN
    said = f"{text} ({names[1]} and {names[0]}; on seen rules {learnt[1]} and {learnt[0]} right)."
    return Finding(outcome, said, interval(change), stats.smallest(change))


SOURCE = "this study"
MEASURE = "share of runs that halt with the right word, over all numbers of steps, algorithms of the most rules"
GATE = f"Nothing is decided unless both models have learnt their rules ({LEARNT})."
SMALL = f"{NEGLIGIBLE} is what counts as no change of an accuracy throughout the study."
CLAIMS = (
    Claim(
        "R1", "A model of single steps runs whole algorithms of unseen rules if an interpreter chooses the rule.",
        SOURCE, MEASURE, "Holds where more than half of the runs end right, does not hold where fewer do.",
        "More right than wrong.", ends_right,
    ),
    Claim(
        "R2", "Errors add up as if steps failed on their own: T steps succeed with the T-th power of one.", SOURCE,
        MEASURE, f"Holds where measured and predicted differ by less than {NEGLIGIBLE}, does not hold where by more.",
        SMALL, independent,
    ),
    Claim(
        "R3", "To decide whether a rule applies costs a model trained for it most of its success.", SOURCE, MEASURE,
        "Holds where fewer than half as many runs end right with rules tried in order as with the rule chosen exactly.",
        "Half of what the same model reaches with the choice made for it.", deciding,
    ),
    Claim(
        "R4", "Training with no-ops makes more runs end right where rules are tried in order.", SOURCE, MEASURE,
        f"Holds where it adds {NEGLIGIBLE} or more, does not hold where it adds less. {GATE}", SMALL, no_ops_help,
    ),
    Claim(
        "R5", "A model that reads all rules does as well as one that is asked rule by rule.", SOURCE,
        "share of runs that halt with the right word, over all numbers of steps, on the same algorithms",
        f"Holds where it loses less than {NEGLIGIBLE}, does not hold where it loses more. {GATE}", SMALL, choosing,
    ),
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    frame = chapter.frame
    chosen, tried = (interval(success(frame, h, plain(frame))) for h in ("oracle", "in_order"))
    own = interval(success(frame, "in_order", careful(frame)))
    return (
        f"**Where an interpreter chooses the rule, {chosen} of the runs of whole algorithms end right; where the model "
        f"decides whether a rule applies, {tried} do, and {own} after training with rules that do not apply.**"
    )


def example(chapter) -> str:
    """An algorithm of a model with one rule in its prompt, and its exact run; brackets show what is replaced."""
    from ..rewriting.running import algorithms

    spec = next(s for s in chapter.specs if isinstance(s, AlgorithmSpec) and s.task.rules_in_prompt == 1)
    n_rules = max(spec.algorithm_rules)
    n_steps = max(t for t in spec.algorithm_steps if t < 2 * n_rules)
    (trace,) = algorithms(spec.task, spec.seed, n_rules, n_steps, 1)
    return f"```text\n{trace.algorithm.text()}\n\n{trace}\n```"


def figure_success(chapter):
    """Runs that end right against the number of steps, a curve a model; dashed what single answers predict."""
    figure, axes = plots.panels(2, height=2.3, sharex=True, sharey=True)
    styles = plots.styles(outcome(chapter.frame, "oracle", "steps")["model"].unique())
    for ax, harness in zip(axes, ("oracle", "in_order")):
        for name, style in styles.items():
            rows = outcome(chapter.frame, harness, "steps", name)
            plots.curve(ax, rows, "steps", "exact_match", name, chapter.again, log=False, **style)
            means = outcome(chapter.frame, harness, "predicted", name).groupby("steps")["exact_match"].mean()
            ax.plot(means.index, means, color=style["color"], linestyle="--", linewidth=1.1)
        plots.accuracy_axis(ax, HARNESSES[harness].capitalize())
        ax.set(ylabel="runs that end right", xticks=sorted(set(rows["steps"])))
    axes[0].plot([], [], color=plots.QUIET, linestyle="--", label="predicted")
    axes[1].set_xlabel("steps of the exact run")
    plots.legend(figure, axes)
    executed = chapter.frame[chapter.frame["harness"].notna()]
    return plots.finished(figure, executed, f"algorithms of {executed['rules'].max():.0f} rules")


def figure_lengths(chapter):
    """Accuracy on unseen rules by the length of the input, a curve for each kind of positions."""
    rows = chapter.frame[(chapter.frame["eval"] == "lengths") & chapter.frame["slice"].notna()]
    rows = rows.assign(length=rows["value"].astype(int))
    figure, (ax,) = plots.panels(1, height=2.5)
    low, high = rows["z_len"].iloc[0]
    ax.axvspan(low - 0.4, high + 0.4, color="#e3e3e3", linewidth=0, zorder=0, label="lengths trained on")
    for name, style in plots.styles(rows["position"].unique()).items():
        one = rows[rows["position"] == name]
        plots.curve(ax, one, "length", "exact_match", f"{name} positions", chapter.again, log=False, **style)
    plots.accuracy_axis(ax)
    ax.set(xlabel="length of the input", xticks=sorted(set(rows["length"])))
    plots.legend(figure, [ax])
    return plots.finished(figure, rows)


def table_runs(chapter) -> str:
    """Runs that end right beside the prediction, the difference over all steps, the most frequent first error."""
    known = chapter.frame[chapter.frame["slice"] == "steps"]
    rows = []
    for (harness, rules, name), _ in known.groupby(["harness", "rules", "model"], sort=False):
        found, said = (outcome(chapter.frame, harness, part, name, rules) for part in ("steps", "predicted"))
        ends = [f"{t}: {at(found, t)}, predicted {at(said, t).mean:.2f}" for t in sorted(set(found["steps"]))]
        gap = by_seed(found) - by_seed(said)
        wrong = outcome(chapter.frame, harness, "broke", name, rules)
        errors = (wrong["exact_match"] * wrong["n"]).groupby(wrong["value"]).sum()
        first = f"{errors.idxmax()} ({errors.max() / errors.sum():.0%})" if len(errors) else "–"
        rows.append([f"{HARNESSES[harness]}, {rules:.0f} rules", name, ends[0], ends[-1], interval(gap), first])
    header = ["rule, of how many", "trained on", "fewest steps", "most steps", "measured less predicted", "first error"]
    return tables.table("Share of runs that end right, by number of steps", "tab-whole-runs", header, rows)


def table_answers(chapter) -> str:
    """By model: single answers on the test's inputs, and on the states of exact runs."""
    frame, rows = chapter.frame, []
    executed = frame[frame["harness"].isin(["in_order", "prompted"])]
    for (name, harness), group in executed.groupby(["model", "harness"], sort=False):
        test = frame[frame["key"].isin(group["key"]) & frame["slice"].isna()]
        states = {part: outcome(frame, harness, part, name) for part in ("answers", "ambiguous")}
        applies, several, refuses = (
            interval(states[part][states[part]["value"] == value]["exact_match"])
            for part, value in (("answers", "applies"), ("ambiguous", "yes"), ("answers", "refuses"))
        )
        known, unseen, no_ops = (stats.accuracy(test, e) for e in ("seen", "unseen", "no_ops"))
        rows.append([name, known, unseen, applies, several, no_ops, refuses])
    header = ["trained on", "seen rule", "unseen rule", "in states", "several places or rules", "no rule", "in states"]
    caption = "Right single answers on the test's inputs and on the states of exact runs, whose rules are unseen"
    return tables.table(caption, "tab-single-answers", header, rows)


def table_which(chapter) -> str:
    """By the occurrence that is replaced: accuracy on unseen rules, by number of occurrences too, and on seen rules."""
    frame = chapter.frame[chapter.frame["harness"].isna() & (chapter.frame["occurrences"].map(repr) != "1")]
    rows = []
    for which, group in frame.groupby(frame["replace_which"].astype(str), sort=False):
        whole, parts = group[group["slice"].isna()], group[group["slice"] == "occurrences"]
        counts = "; ".join(f"{n}: {interval(one['exact_match'])}" for n, one in parts.groupby("value"))
        label = f"number {which}" if which.isdigit() else which
        rows.append([label, stats.accuracy(whole), counts or "–", stats.accuracy(whole, "seen")])
    header = ["occurrence replaced", "unseen rules", "by number of occurrences", "seen rules"]
    caption = "Exact match by the occurrence of x that is replaced, in training and test alike"
    return tables.table(caption, "tab-which-occurrence", header, rows)
