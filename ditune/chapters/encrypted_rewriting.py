"""12: a pretrained model is tuned to rewrite and then encrypt (D10; D11e is D11 for a pretrained model).

Source: Zhang et al. 2024 (arXiv 2405.19787), encrypted rewriting: Llama-2-7B with LoRA on 40,000 examples, 40 %
no-ops. Its cipher, prompt and accuracies are not known. Tables hold the accuracies on inputs that hold x
(`exact_match`) and on no-ops (`no_op`) apart, and where a model started: "rewriter of 10,000 rules", "smollm2",
"random weights".
"""

from ..language.pretrained import TuneSpec
from ..language.specs import EncryptedSpec, FromScratchSpec
from ..report import plots, tables
from ..report.ledger import HIGH, LEARNT, LOW, NEGLIGIBLE, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, change, decide, differences, every, interval
from ..rewriting.specs import TaskSpec
from ..specs import Spec, SpecError
from ..store import records
from .common import listed, literal, rewriting_run, seeds_of, tested, with_inputs, without

FEW = 100
"""Rules that count as few; the paper does not say how many few are."""
RANDOM = "random weights"
HELD, NO_OP, SEEN = "unseen rules, x in the input", "unseen rules, no-op", "seen rules, x in the input"
KINDS = {HELD: ("unseen", "exact_match"), NO_OP: ("unseen", "no_op"), SEEN: ("seen", "exact_match")}
"""What is asked: evaluation set and measure."""
STYLES = {HELD: plots.UNSEEN, NO_OP: {"color": plots.GREEN, "marker": "^", "linestyle": "-."}, SEEN: plots.SEEN}
TASK = ("n_rules", "n_examples", "tail_alpha")


def runs(
    bases, n_rules, from_scratch, halved_rules, kept_share, tail_alpha,
    first_seed, n_seeds, n_test, task, tune, model, train,
) -> list[Spec]:  # fmt: skip
    """Tunings of the pretrained models, of the first on parts of the examples too, and trainings from scratch.

    bases: pretrained models, a language model as {"name": ...}, or a rewriter by the fields of `TaskSpec` in which
    its pretraining differs from what is tuned on; the first decides the claims. from_scratch: numbers of rules on
    which models with random weights are trained in full. Halving: kept_share of the examples of halved_rules rules,
    evenly over the rules or with a tail; and all of them. tune: fields of `TuneSpec`.
    """
    task, tune = without("task", task, "n_rules", "tail_alpha"), literal("tune", tune, dict)
    model, train = literal("model", model, dict), literal("train", train, dict)
    numbers, seeds, evals = listed("n_rules", n_rules, int), seeds_of(first_seed, n_seeds), tested(n_test)
    first, *others = listed("bases", bases, dict)
    tasks = [(base, {"n_rules": n}) for base in (first, *others) for n in numbers]
    tasks += [(first, fields) for fields in halves(task, halved_rules, kept_share, tail_alpha)]
    found: list[Spec] = []
    for base, fields in tasks:
        for seed in seeds:
            start = base.get("name") or rewriting_run(task | base, model, train, evals, seed)
            found.append(EncryptedSpec.of(base=start, task=task | fields, tune=tune, evals=evals, seed=seed))
    for n in listed("from_scratch", from_scratch, int):
        own = {"task": task | {"n_rules": n}, "model": model, "train": train, "evals": evals}
        found += [FromScratchSpec.of(**own, seed=seed) for seed in seeds]
    return list(dict.fromkeys(found))


def halves(task: dict, halved_rules, kept_share, tail_alpha) -> list[dict]:
    """The fields of the tasks with all examples, and with an even and an uneven part of them."""
    n, share = literal("halved_rules", halved_rules, int), literal("kept_share", kept_share, (int, float))
    if not 0 < share < 1:
        raise SpecError(f"kept_share = {share!r}; allowed: a share above 0 and below 1")
    part = {"n_rules": n, "n_examples": round(share * TaskSpec.of(**task | {"n_rules": n}).n_examples)}
    return [{"n_rules": n}, part, part | {"tail_alpha": literal("tail_alpha", tail_alpha, (int, float))}]


def sample(specs: list[Spec]) -> list[Spec]:
    """The first tuning: one seed of the model that decides, on the fewest rules."""
    return specs[:1]


def start_of(spec: Spec) -> str:
    """Where the model of a run started, in words."""
    base = getattr(spec, "base", RANDOM)
    return base if isinstance(base, str) else f"rewriter of {base.task.n_rules:,} rules"


def frame(chapter):
    """The table of the chapter: accuracies by kind of input; what was tuned on and where the model started as
    columns."""
    import pandas

    found = with_inputs(records.frame(chapter.specs), chapter.slices)
    kept = ["key", "eval", "exact_match", "no_op", "copied", "plain", "state", "device", "commit"]
    own = {s.key: {"start": start_of(s), "seed": s.seed} | {n: getattr(s.task, n) for n in TASK} for s in chapter.specs}
    return found[kept].join(pandas.DataFrame.from_dict(own, orient="index").astype({"tail_alpha": float}), on="key")


def starts(frame) -> dict:
    """The runs of each start on all examples, as many of each rule, {start: rows}; the first decides."""
    whole = frame[(frame["n_examples"] == frame["n_examples"].max()) & frame["tail_alpha"].isna()]
    return dict(list(whole.groupby("start", sort=False)))


def deciding(frame):
    """Those of the first pretrained model."""
    return next(iter(starts(frame).values()))


def parts(frame) -> tuple:
    """The deciding model's runs on all, on an even and on an uneven part of the examples, at one number of rules."""
    own, everything = frame[frame["start"] == frame["start"].iloc[0]], deciding(frame)
    part = own[own["n_examples"] < own["n_examples"].max()]
    uneven = part["tail_alpha"].notna()
    return everything[everything["n_rules"].isin(part["n_rules"])], part[~uneven], part[uneven]


# ---- claims ----------------------------------------------------------------------------------------------------------


def cells(frame) -> list[tuple]:
    """(number of rules, {kind of input: accuracy}) of the deciding model, ascending."""
    groups = deciding(frame).groupby("n_rules")
    return [(int(n), {kind: accuracy(rows, *of) for kind, of in KINDS.items()}) for n, rows in groups]


def only_no_ops(frame) -> Finding:
    """D10."""
    grid = cells(frame)
    few = [cell for cell in grid if cell[0] <= FEW]
    only = [c for c in few if c[1][SEEN].low >= LEARNT and c[1][HELD].high <= LOW and c[1][NO_OP].low >= HIGH]
    after = [c for c in grid if only and c[0] > only[0][0] and c[1][HELD].low >= HIGH]
    otherwise = [c[1][HELD].low > LOW or (c[1][SEEN].low >= LEARNT and c[1][NO_OP].high < HIGH) for c in few]
    outcome = HOLDS if after else FAILS if len(few) > 1 and all(otherwise) else OPEN
    shown = [only[0] if only else grid[0], after[-1] if after else grid[-1]]
    each = (f"{n:,} rules: {a[HELD]} where x is in the input, {a[NO_OP]} on no-ops, seen {a[SEEN]}" for n, a in shown)
    return Finding(outcome, "; ".join(each) + ".", shown[-1][1][HELD], n_seeds=min(a[HELD].n for _, a in shown))


def halving(frame) -> Finding:
    """D11e."""
    everything, even, uneven = parts(frame)
    kept, lost = differences(everything, even), differences(everything, uneven)
    enough, learnt = accuracy(everything), change(everything, uneven, "seen")
    text = f"All examples: {enough} on unseen rules; an even part changes it by {interval(kept)}, an uneven part by "
    text += f"{interval(lost)} (and seen rules by {learnt})."
    harm = decide(interval(-lost), NEGLIGIBLE)
    harm = OPEN if harm == HOLDS and learnt.low < -NEGLIGIBLE else harm
    found = Finding.of(every([decide(interval(kept), -NEGLIGIBLE), harm]), text, lost)
    return found.unless("" if enough.low > 0.5 else "All examples are not enough.")


SOURCE = "arXiv 2405.19787, encrypted rewriting; Llama-2-7B with LoRA, accuracies not known"
CLAIMS = (
    Claim(
        "D10",
        "Tuned on few rules, a pretrained model solves only no-ops of unseen rules; tuned on many, it applies them.",
        SOURCE, "exact match on encrypted answers to unseen rules, by kind of input; the first pretrained model",
        f"Holds where, at some number of at most {FEW} rules, seen rules are learnt (at least {LEARNT}), no-ops of "
        f"unseen ones are solved (at least {HIGH}) and their inputs that hold x are not (at most {LOW}), and at a "
        f"larger number these are (at least {HIGH}). Does not hold where, at each of two or more numbers up to {FEW} "
        f"rules these inputs are solved in part (above {LOW}), or seen rules are learnt and no-ops are not solved.",
        "Bounds of intervals, far from one another: chance is 0.", only_no_ops,
    ),
    Claim(
        "D11e",
        "Of a pretrained model's examples of many rules, half may be left out evenly over the rules, and not unevenly.",
        SOURCE + "; 9,000 rules",
        "change of the exact match on inputs of unseen rules that hold x, seed by seed; the first pretrained model",
        "All examples must be enough (above one half). Holds where the even part lowers the accuracy by less than "
        f"{NEGLIGIBLE} and the uneven part by more, while seen rules lose less. Does not hold where the even part "
        "lowers it by more, or the uneven part by less.",
        f"{NEGLIGIBLE} is the smallest change that counts in this study. Both parts must hold: no correction.", halving,
    ),
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    (few, first), *_, (many, last) = cells(chapter.frame)
    return (
        f"**Tuned on {few:,} rules, the pretrained model applies unseen rules to {first[HELD]} of the inputs that "
        f"hold x and solves {first[NO_OP]} of the no-ops; tuned on {many:,} rules, it applies them to {last[HELD]}.**"
    )


def before(chapter) -> str:
    """What the pretrained models could do before the tuning, in a sentence."""
    found = starts(chapter.frame).items()
    could = ", ".join(f"{accuracy(rows, 'base')} by the {start}" for start, rows in found if start != RANDOM)
    return f"Before the tuning, plain rewriting of unseen rules is answered right in {could}."


def figure_accuracy(chapter):
    """Accuracy of the deciding model against the number of rules tuned on, by kind of input."""
    rows = deciding(chapter.frame)
    figure, (ax,) = plots.panels(1, height=3.4)
    for label, (name, measure) in KINDS.items():
        plots.curve(ax, rows[rows["eval"] == name], "n_rules", measure, label, chapter.again, **STYLES[label])
    plots.accuracy_axis(ax)
    plots.rules_axis(ax, "number of rules tuned on (logarithmic)")
    plots.legend(figure, [ax], list(KINDS))
    return plots.finished(figure, rows, rows["start"].iloc[0])


def figure_starts(chapter):
    """Accuracy where x is in the input of an unseen rule, a curve for each start of the model."""
    found = starts(chapter.frame[chapter.frame["eval"] == "unseen"])
    figure, (ax,) = plots.panels(1)
    plots.curves(ax, found, chapter.again)
    plots.rules_axis(ax, "number of rules tuned on (logarithmic)")
    plots.legend(figure, [ax], list(found))
    return plots.finished(figure, chapter.frame)


def table_accuracy(chapter) -> str:
    """By start and number of rules and of examples: accuracies by kind of input, and two kinds of wrong answers."""
    groups = chapter.frame.fillna({"tail_alpha": 0.0}).groupby(["start", *TASK], sort=False)
    cells = {(s, n, f"{size:,}" + ", uneven" * (alpha > 0)): rows for (s, n, size, alpha), rows in groups}
    wrong = {"encrypted, not replaced": ("unseen", "copied"), "not encrypted": ("unseen", "plain")}
    caption = "Exact match of encrypted answers: means with 95 % t-intervals; last, two kinds of wrong answers"
    return tables.by_cell(cells, ["start", "rules", "examples"], KINDS | wrong, caption, "tab-encrypted")


TUNE = TuneSpec()
SETTINGS = {
    "pretrained model": ("Llama-2-7B", start_of),
    "LoRA rank, α": (f"{TUNE.rank}, {TUNE.alpha}", lambda s: f"{s.tune.rank}, {s.tune.alpha}"),
    "peak rate": (f"{TUNE.lr:g}", lambda s: f"{s.tune.lr:g}"),
    "steps, batch": (f"{TUNE.n_steps:,}, {TUNE.batch_size}", lambda s: f"{s.tune.n_steps:,}, {s.tune.batch_size}"),
    "examples": ("40,000", lambda s: f"{s.task.n_examples:,}"),
    "no-ops": ("40 %", lambda s: f"{100 * s.task.no_op_share:g} %"),
    "letters of x, y, z": ("not stated", lambda s: f"{s.task.x_len}, {s.task.y_len}, {s.task.z_len}"),
    "test examples": ("5,000", lambda s: f"{s.evals[0].n_examples:,}"),
    "cipher": ("not stated", lambda s: "letters on a circle in a drawn order, each written as the next"),
}


def settings(chapter) -> str:
    """The settings of the tuning beside the paper's, folded."""
    return tables.settings(chapter, chapter.specs[0], SETTINGS, "not stated")
