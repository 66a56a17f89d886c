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
from ..report.stats import FAILS, HOLDS, OPEN, Interval, accuracy, by_seed, change, decide, every, smallest
from ..rewriting.specs import RunSpec, TaskSpec
from ..specs import Spec, SpecError
from .common import listed, literal, rewriting_run, seeds_of, tested, with_inputs, without

FEW = 100
"""Rules that count as few; the paper does not say how many few are."""
RANDOM = "random weights"
KINDS = {
    "unseen rules, x in the input": ("unseen", "exact_match", plots.UNSEEN),
    "unseen rules, no-op": ("unseen", "no_op", {"color": plots.GREEN, "marker": "^", "linestyle": "-."}),
    "seen rules, x in the input": ("seen", "exact_match", plots.SEEN),
}
"""What is asked: evaluation set and measure."""


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
    starts = [pretrained(base, task, model, train, evals) for base in listed("bases", bases, dict)]
    first_decides(starts)
    tasks = [(start, {"n_rules": n}) for start in starts for n in numbers]
    tasks += [(starts[0], fields) for fields in halves(task, halved_rules, kept_share, tail_alpha)]
    found: list[Spec] = []
    for start, fields in tasks:
        for seed in seeds:
            base = start.replace(seed=seed) if isinstance(start, RunSpec) else start
            found.append(EncryptedSpec.of(base=base, task=task | fields, tune=tune, evals=evals, seed=seed))
    for n in listed("from_scratch", from_scratch, int):
        own = {"task": task | {"n_rules": n}, "model": model, "train": train, "evals": evals}
        found += [FromScratchSpec.of(**own, seed=seed) for seed in seeds]
    return list(dict.fromkeys(found))


def pretrained(base: dict, task: dict, model: dict, train: dict, evals: list) -> RunSpec | str:
    """A pretrained model: its name, or the run that makes it."""
    if "name" not in base:
        return rewriting_run(task | base, model, train, evals, 0)
    if len(base) > 1:
        raise SpecError(f"bases: {base!r}; allowed: the name of a language model alone, or fields of TaskSpec")
    return literal("name", base["name"], str)


def first_decides(starts: list[RunSpec | str]) -> None:
    """Refuse an order in which the first is not the model that decides the claims."""
    rules = [start.task.n_rules for start in starts if isinstance(start, RunSpec)]
    if isinstance(starts[0], RunSpec) and (len(rules) < len(starts) or rules[0] < max(rules)):
        allowed = "a language model where there is one, else the rewriter of the most rules"
        raise SpecError(f"bases: allowed first: {allowed}")


def halves(task: dict, halved_rules, kept_share, tail_alpha) -> list[dict]:
    """The fields of the tasks with all examples, and with an even and an uneven part of them."""
    n, share = literal("halved_rules", halved_rules, int), literal("kept_share", kept_share, (int, float))
    if not 0 < share < 1:
        raise SpecError(f"kept_share = {share!r}; allowed: a share above 0 and below 1")
    part = {"n_rules": n, "n_examples": round(share * TaskSpec.of(**task | {"n_rules": n}).n_examples)}
    return [{"n_rules": n}, part, part | {"tail_alpha": literal("tail_alpha", tail_alpha, (int, float))}]


def of_pretraining(specs: list[Spec]) -> list[RunSpec]:
    """The runs that pretrain the rewriters of these runs, each once."""
    return list(dict.fromkeys(s.base for s in specs if isinstance(s, EncryptedSpec) and isinstance(s.base, RunSpec)))


def sample(specs: list[Spec]) -> list[Spec]:
    """The first tuning: one seed of the model that decides, on the fewest rules."""
    return specs[:1]


def start_of(spec: Spec) -> str:
    """Where the model of a run started, in words."""
    if not isinstance(spec, EncryptedSpec):
        return RANDOM
    if isinstance(spec.base, str):
        return spec.base
    return f"rewriter of {spec.base.task.n_rules:,} rules" + " and no-ops" * (spec.base.task.no_op_share > 0)


TASK = ("n_rules", "n_examples", "tail_alpha")


def frame(chapter):
    """The table of the chapter: accuracies by kind of input; what was tuned on and where the model started as
    columns."""
    import pandas

    from ..store import records

    found = with_inputs(records.frame(chapter.specs), chapter.slices)
    kept = ["key", "eval", "exact_match", "no_op", "copied", "plain", "state", "device", "commit", "wall_s"]
    own = {s.key: {"start": start_of(s), "seed": s.seed} | {n: getattr(s.task, n) for n in TASK} for s in chapter.specs}
    return found[kept].join(pandas.DataFrame.from_dict(own, orient="index").astype({"tail_alpha": float}), on="key")


def whole(frame):
    """The runs on all examples, as many of each rule."""
    return frame[(frame["n_examples"] == frame["n_examples"].max()) & frame["tail_alpha"].isna()]


def deciding(frame):
    """The runs of the first pretrained model."""
    return frame[frame["start"] == frame["start"].iloc[0]]


def starts(frame) -> dict:
    """The runs of each start on all examples, {start: rows}."""
    return {start: rows for start, rows in whole(frame).groupby("start", sort=False)}


# ---- claims ----------------------------------------------------------------------------------------------------------


def cells(frame) -> list[tuple[int, dict[str, Interval]]]:
    """(number of rules, {kind of input: accuracy}) of the deciding model, ascending."""
    groups = whole(deciding(frame)).groupby("n_rules")
    return [(int(n), {k: accuracy(rows, e, measure) for k, (e, measure, _) in KINDS.items()}) for n, rows in groups]


def only_no_ops(frame) -> Finding:
    """D10."""
    held, no_op, seen = KINDS
    grid = cells(frame)
    few = [cell for cell in grid if cell[0] <= FEW]
    only = [c for c in few if c[1][seen].low >= LEARNT and c[1][held].high <= LOW and c[1][no_op].low >= HIGH]
    after = [c for c in grid if only and c[0] > only[0][0] and c[1][held].low >= HIGH]
    otherwise = [c[1][held].low > LOW or (c[1][seen].low >= LEARNT and c[1][no_op].high < HIGH) for c in few]
    outcome = HOLDS if after else FAILS if len(few) > 1 and all(otherwise) else OPEN
    shown = [only[0] if only else grid[0], after[-1] if after else grid[-1]]
    each = (f"{n:,} rules: {a[held]} where x is in the input, {a[no_op]} on no-ops, seen {a[seen]}" for n, a in shown)
    return Finding(outcome, "; ".join(each) + ".", shown[-1][1][held], n_seeds=min(a[held].n for _, a in shown))


def parts(frame) -> dict[str, object]:
    """The deciding model's runs on all, on an even and on an uneven part of the examples, at one number of rules."""
    own = deciding(frame)
    part = own[own["n_examples"] < own["n_examples"].max()]
    everything = whole(own)
    return {
        "all examples": everything[everything["n_rules"].isin(part["n_rules"])],
        "an even part": part[part["tail_alpha"].isna()],
        "an uneven part": part[part["tail_alpha"].notna()],
    }


def halving(frame) -> Finding:
    """D11e."""
    everything, even, uneven = parts(frame).values()
    kept, lost, learnt = change(everything, even), change(everything, uneven), change(everything, uneven, "seen")
    enough = accuracy(everything)
    text = f"All examples: {enough} on unseen rules; an even part changes it by {kept}, an uneven part by {lost}"
    text += f" (and seen rules by {learnt})."
    no_harm, harm = decide(kept, -NEGLIGIBLE), decide(Interval(-lost.mean, -lost.high, -lost.low, lost.n), NEGLIGIBLE)
    harm = OPEN if harm == HOLDS and learnt.low < -NEGLIGIBLE else harm
    outcome = every([no_harm, harm]) if enough.low > 0.5 else OPEN
    least = smallest((by_seed(even) - by_seed(everything)).dropna())
    return Finding(outcome, text, lost, least, min(kept.n, lost.n))


SOURCE = "arXiv 2405.19787, encrypted rewriting; Llama-2-7B with LoRA, accuracies not known"
CLAIMS = (
    Claim(
        "D10",
        "Tuned on few rules, a pretrained model solves only no-ops of unseen rules; tuned on many, it applies them.",
        SOURCE,
        "exact match on encrypted answers to unseen rules, by kind of input; the first pretrained model",
        f"Holds where, at some number of at most {FEW} rules, seen rules are learnt (at least {LEARNT}), no-ops of "
        f"unseen rules are solved (at least {HIGH}) and inputs of unseen rules that hold x are not (at most {LOW}), "
        f"and at a larger number these are (at least {HIGH}). Does not hold where, at each number of at most {FEW} "
        f"rules (two or more), these inputs are solved in part (above {LOW}), or seen rules are learnt and no-ops "
        f"are not solved (below {HIGH}).",
        "Bounds of intervals, far from one another: chance is 0.",
        only_no_ops,
    ),
    Claim(
        "D11e",
        "Of a pretrained model's examples of many rules, half may be left out evenly over the rules, and not unevenly.",
        SOURCE + "; 9,000 rules",
        "change of the exact match on inputs of unseen rules that hold x, seed by seed; the first pretrained model",
        "All examples must be enough (above one half). Holds where the even part lowers the accuracy by less than "
        f"{NEGLIGIBLE} and the uneven part by more, while seen rules lose less than {NEGLIGIBLE} by the uneven part. "
        "Does not hold where the even part lowers it by more, or the uneven part by less. (The rule before asked "
        f"for {LEARNT} on seen rules; by it, too, the statement was not settled.)",
        f"{NEGLIGIBLE} is the smallest change that counts in this study. Both parts must hold: no correction.",
        halving,
    ),
)


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    held, no_op, _ = KINDS
    (few, first), *_, (many, last) = cells(chapter.frame)
    return (
        f"**Tuned on {few:,} rules, the pretrained model applies unseen rules to {first[held]} of the inputs that "
        f"hold x and solves {first[no_op]} of the no-ops; tuned on {many:,} rules, it applies them to {last[held]}.**"
    )


def before(chapter) -> str:
    """What the pretrained models could do before, and what the first has over the other starts after, in sentences."""
    found = starts(chapter.frame)
    (first, own), *others = found.items()
    could = ", ".join(f"{accuracy(rows, 'base')} by the {s}" for s, rows in found.items() if s != RANDOM)
    sentences = [f"Before the tuning, plain rewriting of unseen rules is answered right in {could}."]
    for start, rows in others:
        both = sorted(set(rows["n_rules"]) & set(own["n_rules"]))
        gains = (f"{change(rows[rows['n_rules'] == n], own[own['n_rules'] == n])} at {n:,} rules" for n in both)
        sentences.append(f"After it, the {first} exceeds {'the ' * (start != RANDOM)}{start} by {', '.join(gains)}.")
    return " ".join(sentences)


def example(chapter) -> str:
    """A training example that is rewritten and a no-op, before and after encryption, and the circle of letters."""
    import torch

    from ..language.encrypted import cipher, encrypt_answers
    from ..rewriting.tasks import Alphabet, training_examples

    spec = chapter.specs[0]
    signs, written = Alphabet(spec.task.alphabet_size), cipher(spec.task.alphabet_size, spec.seed).tolist()
    found = training_examples(spec.task, spec.seed, torch.arange(min(1000, spec.task.n_examples)))
    chosen = [int(rows.nonzero()[0, 0]) for rows in (~found.slices["no_op"], found.slices["no_op"]) if rows.any()]
    plain = found.tokens[chosen]
    pairs = zip(plain.tolist(), encrypt_answers(plain, spec.task.alphabet_size, spec.seed).tolist())
    lines = [f"{signs.text(a)}   becomes   {signs.text(b)}" for a, b in pairs]
    circle = [0]
    while (following := written[circle[-1]]) != 0:
        circle.append(following)
    return "\n".join(["```text", *lines, "", " ".join(signs.text([letter]) for letter in [*circle, 0]), "```"])


def figure_accuracy(chapter):
    """Accuracy of the deciding model against the number of rules tuned on, by kind of input."""
    rows = whole(deciding(chapter.frame))
    figure, (ax,) = plots.panels(1, height=3.4)
    for label, (name, measure, style) in KINDS.items():
        plots.curve(ax, rows[rows["eval"] == name], "n_rules", measure, label, chapter.again, **style)
    plots.accuracy_axis(ax)
    plots.rules_axis(ax, "number of rules tuned on (logarithmic)")
    plots.legend(figure, [ax], list(KINDS))
    return plots.finished(figure, rows, rows["start"].iloc[0])


def figure_starts(chapter):
    """Accuracy where x is in the input of an unseen rule, a curve for each start of the model."""
    found = starts(chapter.frame)
    figure, (ax,) = plots.panels(1)
    for (start, rows), style in zip(found.items(), plots.styles(found).values()):
        plots.curve(ax, rows[rows["eval"] == "unseen"], "n_rules", "exact_match", start, chapter.again, **style)
    plots.accuracy_axis(ax)
    plots.rules_axis(ax, "number of rules tuned on (logarithmic)")
    plots.legend(figure, [ax], list(found))
    return plots.finished(figure, whole(chapter.frame))


def figure_halving(chapter):
    """Accuracy on unseen rules with all examples, with an even and with an uneven part."""
    found = parts(chapter.frame)
    figure, (ax,) = plots.panels(1, height=1.8)
    values = {name: rows[rows["eval"] == "unseen"].set_index("key")["exact_match"] for name, rows in found.items()}
    plots.forest(ax, values, again=chapter.again)
    ax.set(xlim=(-0.04, 1.04), xlabel="exact match, unseen rules, x in the input (share)")
    rows = next(iter(found.values()))
    return plots.finished(figure, rows, f"{rows['n_rules'].iloc[0]:,} rules")


def table_accuracy(chapter) -> str:
    """By start and number of rules and of examples: accuracies by kind of input, and two kinds of wrong answers."""
    rows = []
    for (start, n, size, _), group in chapter.frame.fillna({"tail_alpha": 1e9}).groupby(["start", *TASK], sort=False):
        size = f"{size:,}" + ", uneven" * bool(group["tail_alpha"].iloc[0] < 1e9)
        raw = ", ".join(f"{value:.2f}" for value in by_seed(group))
        wrong = [accuracy(group, "unseen", kind) for kind in ("copied", "plain")]
        held, *others = (accuracy(group, name, measure) for name, measure, _ in KINDS.values())
        rows.append([start, f"{n:,}", size, held, raw, *others, *wrong])
    first, *kinds = KINDS
    header = ["start", "rules", "examples", first, "by seed", *kinds, "encrypted, not replaced", "not encrypted"]
    caption = "Exact match of encrypted answers: means with 95 % t-intervals; last, two kinds of wrong answers"
    return tables.table(caption, "tab-encrypted", header, rows)


def table_tuning(chapter) -> str:
    """The settings of the tuning beside the paper's."""
    paper, spec = TuneSpec(), chapter.specs[0]
    names = {"rank": "LoRA rank", "alpha": "LoRA α", "lr": "peak rate", "batch_size": "batch", "n_steps": "steps"}
    rows = [["pretrained model", "Llama-2-7B", "; ".join(s for s in starts(chapter.frame) if s != RANDOM)]]
    rows += [[words, *(tables.shown(getattr(tune, n)) for tune in (paper, spec.tune))] for n, words in names.items()]
    rows.append(["examples", "40,000", f"{spec.task.n_examples:,}"])
    rows.append(["no-ops", "40 %", f"{100 * spec.task.no_op_share:g} %"])
    rows.append(["test examples", "5,000", f"{spec.evals[0].n_examples:,}"])
    rows.append(["cipher", "not stated", "letters on a circle in a drawn order, each written as the next"])
    return tables.table("The tuning", "tab-encrypted-tuning", ["setting", "paper", "here"], rows)
