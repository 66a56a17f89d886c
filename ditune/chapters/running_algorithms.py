"""08: models of single steps execute whole Markov algorithms of unseen rules; other single steps (beyond both papers).

An outcome is a share of one run of a model: a row of `records.slices` of its sets "harness/R", R rules of an algorithm.
"""

from ..report import plots, stats, tables
from ..report.ledger import LEARNT, NEGLIGIBLE, Claim, Finding
from ..report.stats import OPEN, interval
from ..rewriting.specs import AlgorithmSpec, EvalSpec, TaskSpec
from ..specs import SpecError
from ..store import records
from .common import BY_SET, cells, changed, listed, literal, rewriting_run, seeds_of, tested, without

HARNESSES = {"oracle": "rule chosen exactly", "in_order": "rules tried in order", "prompted": "all rules in the prompt"}
"""Who decides which rule is used."""


def runs(
    models, algorithms, which, which_task, trained_z_len, tested_z_len, positions,
    first_seed, n_seeds, n_test, task, model, train,
):  # fmt: skip
    """Trainings whose models, each with the fields {"task": ..., "model": ..., "train": ...} in which it differs, run
    algorithms (fields of `AlgorithmSpec`); single steps that replace other occurrences (`which`), in the task with the
    fields which_task; and inputs of ranges of lengths, for each kind of positions."""
    parts = changed("models", {}, {"task": task, "model": model, "train": train})
    fields = without("algorithms", algorithms, "task", "model", "train", "evals", "seed")
    changes = [changed("models", change, parts) for change in listed("models", models)]
    seeds, others = seeds_of(first_seed, n_seeds), []
    for one in listed("which", which):
        own = parts["task"] | literal("which_task", which_task, dict) | {"replace_which": one}
        others.append((parts | {"task": own}, tested(n_test)))
    trained = parts["task"] | {"z_len": listed("trained_z_len", trained_z_len, int)}
    other = TaskSpec.of(**parts["task"] | {"z_len": listed("tested_z_len", tested_z_len, int)})
    for position in listed("positions", positions, str):
        evals = [*tested(n_test), EvalSpec.of(name="lengths", n_examples=n_test, task=other)]
        others.append((parts | {"task": trained, "model": parts["model"] | {"position": position}}, evals))
    executed = comparable([execution(change, fields, n_test, seed) for change in changes for seed in seeds])
    return executed + [rewriting_run(**own, evals=evals, seed=seed) for own, evals in others for seed in seeds]


def comparable(found: list[AlgorithmSpec]) -> list[AlgorithmSpec]:
    """The runs, if the kinds that are compared are among them, and all run the same algorithms."""
    kinds = {(min(run.task.rules_in_prompt, 2), run.task.no_op_share > 0) for run in found}
    if not {(1, False), (1, True), (2, True)} <= kinds:
        needed = "one without no-ops, one with no-ops, and one with several rules in the prompt and no-ops"
        raise SpecError(f"models: allowed: at least {needed}: they are compared")
    for n in {run.task.rules_in_prompt for run in found} - {1}:
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

    rows = chapter.slices
    rows = rows[rows["slice"].isin(["steps", "predicted", "z_len", "occurrences"])]
    both = pandas.concat([records.frame(chapter.specs), rows], ignore_index=True)
    sets = both["eval"].str.extract(r"^(?P<harness>\w+)/(?P<rules>\d+)$")
    names = {spec.key: model_name(spec) for spec in chapter.specs if isinstance(spec, AlgorithmSpec)}
    return both.join(sets.astype({"rules": float})).assign(model=both["key"].map(names).fillna(""))


def model_name(spec: AlgorithmSpec) -> str:
    """A training in a few words, as in "10,000 × 3 rules, no-ops, rotary"."""
    task, position = spec.task, spec.model.position
    several = f" × {task.rules_in_prompt}" if task.rules_in_prompt > 1 else ""
    more = ["no-ops"] * (task.no_op_share > 0) + [position] * (position != "learned")
    return ", ".join([f"{task.n_rules:,}{several} rules", *more])


def compared_models(frame) -> tuple[str, str, str]:
    """The model of chapter 02 (the most rules, no no-ops); the last one trained with no-ops that has one rule in its
    prompt; the last one that has several."""
    rows = frame[frame["model"] != ""]
    alone, several = rows[rows["rules_in_prompt"] == 1], rows[rows["rules_in_prompt"] > 1]
    plain, careful = alone[alone["no_op_share"] == 0], alone[alone["no_op_share"] > 0]
    return plain.loc[plain["n_rules"].idxmax(), "model"], careful["model"].iloc[-1], several["model"].iloc[-1]


def outcomes(frame, harness: str, model: str, part: str = "steps", rules: float | None = None):
    """Right runs by seed and number of steps, or predicted ones, of algorithms of so many rules or the most: shares."""
    rows = frame[(frame["harness"] == harness) & (frame["slice"] == part)]
    rows = rows[(rows["rules"] == (rules or rows["rules"].max())) & (rows["model"] == model)]
    return rows.assign(steps=rows["value"].astype(int))


def success(*which, **more):
    """The same over all numbers of steps, by seed."""
    return outcomes(*which, **more).groupby("seed")["exact_match"].mean()


def ends_right(frame) -> Finding:
    """R1."""
    name, *_ = compared_models(frame)
    found, by = success(frame, "oracle", name), outcomes(frame, "oracle", name).groupby("steps")["exact_match"]
    (few, first), *_, (many, last) = ((steps, interval(own)) for steps, own in by)
    text = f"{interval(found)} of the runs end right ({name}): {first} with {few} step, {last} with {many}."
    return Finding.of(stats.decide(interval(found), 0.5), text, found)


def independent(frame) -> Finding:
    """R2."""
    name, *_ = compared_models(frame)
    gap = success(frame, "oracle", name) - success(frame, "oracle", name, "predicted")
    text = f"Measured less predicted: {interval(gap)} ({name})."
    return Finding.of(stats.within(interval(gap), NEGLIGIBLE), text, gap)


def deciding(frame) -> Finding:
    """R3."""
    _, name, _ = compared_models(frame)
    chosen, tried = success(frame, "oracle", name), success(frame, "in_order", name)
    text = f"{interval(tried)} of the runs end right, and {interval(chosen)} where the rule is chosen exactly ({name})."
    outcome = stats.decide(interval(chosen / 2 - tried))
    return Finding(outcome, text, interval(tried - chosen), stats.smallest(chosen / 2 - tried))


def no_ops_help(frame) -> Finding:
    """R4."""
    before, after, _ = compared_models(frame)
    return gated(frame, ("in_order", before), ("in_order", after), NEGLIGIBLE)


def choosing(frame) -> Finding:
    """R5."""
    _, alone, several = compared_models(frame)
    rules = frame[frame["harness"] == "prompted"]["rules"].max()
    return gated(frame, ("in_order", alone), ("prompted", several), -NEGLIGIBLE, rules)


def gated(frame, before: tuple, after: tuple, margin: float, rules: float | None = None) -> Finding:
    """How many more runs end right in one (harness, model) than in another, if both models have learnt their rules."""
    said, found, learnt = [], [], []
    for harness, name in (after, before):
        found.append(success(frame, harness, name, rules=rules))
        learnt.append(stats.accuracy(frame[frame["model"] == name], "seen"))
        said.append(f"{interval(found[-1])} with {HARNESSES[harness]} ({name}; on seen rules {learnt[-1]} right)")
    change, fair = found[0] - found[1], min(one.mean for one in learnt) >= LEARNT
    text = f"Runs that end right: {'; '.join(said)}."
    return Finding.of(stats.decide(interval(change), margin) if fair else OPEN, text, change)


SOURCE = "this study"
MEASURE = "share of runs that halt with the right word, over all numbers of steps, algorithms of the most rules"
GATE = f"Nothing is decided unless both models have learnt their rules ({LEARNT})."
SMALL = f"{NEGLIGIBLE} is what counts as no change of an accuracy throughout the study."
CLAIMS = (
    Claim("R1", "A model of single steps runs whole algorithms of unseen rules if an interpreter chooses the rule.",
          SOURCE, MEASURE, "Holds where more than half of the runs end right, does not hold where fewer do.",
          "More right than wrong.", ends_right),
    Claim("R2", "Errors add up as if steps failed on their own: T steps succeed with the T-th power of one.", SOURCE,
          MEASURE, f"Holds where measured and predicted differ by less than {NEGLIGIBLE}, does not where by more.",
          SMALL, independent),
    Claim("R3", "To decide whether a rule applies costs a model trained for it most of its success.", SOURCE, MEASURE,
          "Holds where under half as many runs end right with rules tried in order as with the rule chosen exactly.",
          "Half of what the same model reaches with the choice made for it.", deciding),
    Claim("R4", "Training with no-ops makes more runs end right where rules are tried in order.", SOURCE, MEASURE,
          f"Holds where it adds {NEGLIGIBLE} or more, does not hold where it adds less. {GATE}", SMALL, no_ops_help),
    Claim("R5", "A model that reads all rules does as well as one that is asked rule by rule.", SOURCE,
          "share of runs that halt with the right word, over all numbers of steps, on the same algorithms",
          f"Holds where it loses less than {NEGLIGIBLE}, does not hold where it loses more. {GATE}", SMALL, choosing),
)  # fmt: skip


def answer(chapter) -> str:
    """The answer in a sentence."""
    plain, careful, _ = compared_models(chapter.frame)
    chosen, tried = (interval(success(chapter.frame, harness, plain)) for harness in ("oracle", "in_order"))
    own = interval(success(chapter.frame, "in_order", careful))
    return (
        f"**Where an interpreter chooses the rule, {chosen} of the runs of whole algorithms end right; where the model "
        f"decides whether a rule applies, {tried} do, and {own} after training with rules that do not apply.**"
    )


def figure_success(chapter):
    """Runs that end right against the number of steps, a curve a model; dashed what single answers predict."""
    executed = chapter.frame[chapter.frame["harness"].notna()]
    figure, axes = plots.panels(2, height=2.3, sharex=True, sharey=True)
    names = executed[executed["harness"] == "oracle"]["model"].unique()
    for ax, harness in zip(axes, ("oracle", "in_order")):
        groups = {name: outcomes(executed, harness, name) for name in names}
        plots.curves(ax, groups, chapter.again, x="steps", log=False)
        for name, style in plots.styles(names).items():
            means = outcomes(executed, harness, name, "predicted").groupby("steps")["exact_match"].mean()
            ax.plot(means.index, means, color=style["color"], linestyle="--", linewidth=1.1)
        ax.set(title=HARNESSES[harness].capitalize(), ylabel="runs that end right", xticks=list(means.index))
    axes[0].plot([], [], color=plots.QUIET, linestyle="--", label="predicted")
    axes[1].set_xlabel("steps of the exact run")
    plots.legend(figure, axes)
    return plots.finished(figure, executed, f"algorithms of {executed['rules'].max():.0f} rules")


def table_runs(chapter) -> str:
    """Runs that end right beside the prediction, over all numbers of steps."""
    executed = chapter.frame[chapter.frame["harness"].notna()].assign(eval=lambda rows: rows["slice"])
    executed = executed.assign(harness=executed["harness"].map(HARNESSES), rules=executed["rules"].astype(int))
    found = cells(executed, "harness", "rules", "model")
    measures = {"runs that end right": ("steps",), "predicted": ("predicted",)}
    caption = "Share of runs that end right, over all numbers of steps, and what single answers predict"
    return tables.by_cell(found, ["harness", "rules", "trained on"], measures, caption, "tab-whole-runs")


def table_steps(chapter) -> str:
    """Other single steps: by the occurrence replaced and how many there are; by positions and length of the input."""
    rows = chapter.frame[(chapter.frame["model"] == "") & chapter.frame["slice"].notna()]
    lengths = rows["slice"] == "z_len"
    rows = rows[lengths == (rows["eval"] == "lengths")]
    replaced = [f"{which} of the occurrences" for which in rows["replace_which"]]
    what = (rows["position"] + " positions, length").where(lengths, replaced)
    rows = rows.assign(what=what, value=rows["value"].astype(int), eval=rows["eval"].replace("lengths", "unseen"))
    caption = "Exact match of other single steps, by the occurrence that is replaced and by the length of the input"
    return tables.by_cell(cells(rows, "what", "value"), ["step", "of"], BY_SET, caption, "tab-other-steps")
