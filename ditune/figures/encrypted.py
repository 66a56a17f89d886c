"""Encrypted rewriting (chapter 12): tables of runs, figures and tables.

A table of this chapter is that of `answers`: the accuracies on inputs that hold x and on no-ops apart, and as columns what
was tuned on and where the model started: "rewriter of 10,000 rules", "smollm2" or "random weights".
"""

from ..claims.ledger import Verdict, sentence
from ..claims.no_ops import with_inputs
from ..claims.paired import accuracy, change
from ..figures.intervals import interval
from ..figures.plotting import made_by, table
from ..figures.shared import grouped_panels
from ..language.pretrained import TuneSpec
from ..language.specs import EncryptedSpec
from ..specs import Spec
from ..store import records
from .families import shown
from .selection import clear

RANDOM = "random weights"
OF_A_SET = ("key", "eval", "exact_match", "no_op", "copied", "plain", "n", "state", "device", "commit", "wall_s")


# ---- tables of runs --------------------------------------------------------------------------------------------------


def start_of(spec: Spec) -> str:
    """Where the model of a run started, in words."""
    if not isinstance(spec, EncryptedSpec):
        return RANDOM
    if isinstance(spec.base, str):
        return spec.base
    return f"rewriter of {spec.base.task.n_rules:,} rules" + " and no-ops" * (spec.base.task.no_op_share > 0)


def answers(specs: list[Spec], folders=None):
    """The table of the chapter, from the records of its runs."""
    import pandas

    specs = list(dict.fromkeys(specs))
    found = with_inputs(records.frame(specs, folders), records.slices(specs, folders))
    tasks = {s.key: {"start": start_of(s), "seed": s.seed} | {n: getattr(s.task, n) for n in ("n_rules", "n_examples", "tail_alpha")} for s in specs}
    of_runs = pandas.DataFrame.from_dict(tasks, orient="index").astype({"tail_alpha": float})
    out = found[[name for name in OF_A_SET if name in found]].join(of_runs, on="key")
    out.attrs = {"runs": len(specs), "starts": list(dict.fromkeys(start_of(s) for s in specs))}
    return out


def whole(frame):
    """The runs on all examples, as many of each rule."""
    return frame[(frame["n_examples"] == frame["n_examples"].max()) & frame["tail_alpha"].isna()]


def of_start(frame, start: str):
    """The runs of one start on all examples, as many of each rule."""
    rows = whole(frame)
    return rows[rows["start"] == start]


def decisive(specs: list[Spec], frame):
    """The runs that decide D10: those of the first pretrained model, on all examples, as many of each rule."""
    most = max(spec.task.n_examples for spec in specs)
    own = [spec for spec in of_first(specs) if spec.task.n_examples == most and spec.task.tail_alpha is None]
    return counted(frame, own)


def halved(specs: list[Spec], frame):
    """The runs of the first pretrained model, in which all and a part of the examples are compared."""
    return counted(frame, of_first(specs))


def of_first(specs: list[Spec]) -> list[Spec]:
    """The runs that start where the first does."""
    return [spec for spec in dict.fromkeys(specs) if start_of(spec) == start_of(specs[0])]


def counted(frame, specs: list[Spec]):
    """The rows of some runs, with how many there should be."""
    rows = frame[frame["key"].isin([spec.key for spec in specs])]
    rows.attrs = {"runs": len(specs)}
    return rows


# ---- an example ------------------------------------------------------------------------------------------------------


def example(spec: EncryptedSpec) -> str:
    """A training example that is rewritten and a no-op, before and after encryption, and the circle of letters, as a block of text."""
    import torch

    from ..language.encrypted import cipher, encrypted
    from ..rewriting.tasks import Alphabet, training_examples

    signs, written = Alphabet(spec.task.alphabet_size), cipher(spec.task.alphabet_size, spec.seed).tolist()
    found = training_examples(spec.task, spec.seed, torch.arange(min(1000, spec.task.n_examples)))
    numbers = [int(rows.nonzero()[0, 0]) for rows in (~found.slices["no_op"], found.slices["no_op"]) if rows.any()]
    plain, secret = (rows[numbers] for rows in (found.tokens, encrypted(found.tokens, spec.task.alphabet_size, spec.seed)))
    lines = [f"{signs.text(before)}   becomes   {signs.text(after)}" for before, after in zip(plain.tolist(), secret.tolist())]
    circle = [0]
    while (following := written[circle[-1]]) != 0:
        circle.append(following)
    return "\n".join(["```text", *lines, "", " ".join(signs.text([letter]) for letter in [*circle, 0]), "```"])


# ---- figures ---------------------------------------------------------------------------------------------------------


def heading(specs: list[Spec], name: str) -> str:
    """The title of a panel: name of the runs; how the first pretrained model is tuned."""
    spec = specs[0]
    return f"{sentence([name])}: {start_of(spec)},\n{spec.tune.n_steps:,} steps of LoRA, rank {spec.tune.rank}, N = {spec.task.n_examples:,}"


def kinds_of_inputs(runs: dict, tables: dict):
    """Accuracy of the first pretrained model, tuned, against the number of rules tuned on, by kind of input: a panel a table."""
    panels = {}
    for name, frame in tables.items():
        rows = of_start(frame, frame.attrs["starts"][0])
        sets = {e: rows[rows["eval"] == e] for e in ("unseen", "seen")}
        panels[heading(runs[name], name)] = {
            "unseen rules, input holds x": sets["unseen"].assign(shown=sets["unseen"]["exact_match"]),
            "unseen rules, no-op": sets["unseen"].assign(shown=sets["unseen"]["no_op"]),
            "seen rules, input holds x": sets["seen"].assign(shown=sets["seen"]["exact_match"]),
        }
    xlabel = "number of rules tuned on (logarithmic)"
    return grouped_panels(panels, [made_by(frame, name) for name, frame in tables.items()], y="shown", xlabel=xlabel)


def by_start(tables: dict):
    """Accuracy on inputs of unseen rules that hold x, a curve for each start of the model: a panel a table."""
    panels = {}
    for name, frame in tables.items():
        starts = {start: of_start(frame, start) for start in frame.attrs["starts"]}
        panels[sentence([name])] = {start: rows[rows["eval"] == "unseen"] for start, rows in starts.items()}
    xlabel = "number of rules tuned on (logarithmic)"
    return grouped_panels(panels, [made_by(frame, name) for name, frame in tables.items()], xlabel=xlabel)


# ---- tables ----------------------------------------------------------------------------------------------------------


def results_table(frame, caption: str, name: str) -> str:
    """By start and number of rules: accuracies on unseen and seen rules by kind of input, and two kinds of wrong answers."""
    rows = []
    for start in frame.attrs["starts"]:
        for n, group in of_start(frame, start).groupby("n_rules"):
            unseen, seen = (group[group["eval"] == e].sort_values("seed") for e in ("unseen", "seen"))
            raw = ", ".join(f"{value:.2f}" for value in unseen["exact_match"])
            by_kind = [shown(interval(unseen[c])) for c in ("no_op", "copied", "plain")]
            of_seen = [shown(interval(seen[c])) for c in ("exact_match", "no_op")]
            rows.append([start, f"{n:,}", shown(interval(unseen["exact_match"])), raw, *by_kind, *of_seen])
    header = ["start", "rules tuned on", "unseen rules, input holds x", "by seed", "unseen rules, no-op", "input holds x: encrypted, not replaced", "not encrypted", "seen rules, input holds x", "seen rules, no-op"]
    return table(caption, name, header, rows)


def starts_table(frame, caption: str, name: str) -> str:
    """What each pretrained model does with plain rewriting of unseen rules before it is tuned."""
    rows = []
    for start in (s for s in frame.attrs["starts"] if s != RANDOM):
        before = of_start(frame, start)
        before = before[before["eval"] == "base"].drop_duplicates("seed")
        rows.append([start, *(shown(interval(before[column])) for column in ("exact_match", "no_op", "copied"))])
    return table(caption, name, ["start", "input holds x", "no-op", "input holds x: copied"], rows)


def settings_table(runs: dict, caption: str, name: str) -> str:
    """The paper's settings, as far as they are known, and those of the runs."""
    paper, firsts = TuneSpec(), {label: specs[0] for label, specs in runs.items()}
    starts = {label: dict.fromkeys(start_of(spec) for spec in specs if isinstance(spec, EncryptedSpec)) for label, specs in runs.items()}
    rows = [["pretrained model", "Llama-2-7B", *map("; ".join, starts.values())]]
    for field, words in (("rank", "LoRA rank"), ("alpha", "LoRA α"), ("lr", "peak rate"), ("batch_size", "batch"), ("n_steps", "steps")):
        rows.append([words, f"{getattr(paper, field):,}", *(f"{getattr(spec.tune, field):,}" for spec in firsts.values())])
    of_task = (("training examples", "40,000", lambda s: s.task.n_examples), ("test examples", "5,000", lambda s: s.evals[0].n_examples))
    rows += [[words, theirs, *(f"{ours(spec):,}" for spec in firsts.values())] for words, theirs, ours in of_task]
    rows.append(["share of no-ops", "40 %", *(f"{100 * spec.task.no_op_share:g} %" for spec in firsts.values())])
    rows.append(["words x, inputs", "not stated", *(f"{spec.task.x_len[0]}, {spec.task.z_len[0]} letters" for spec in firsts.values())])
    rows.append(["cipher", "not stated", *("letters on a circle in a drawn order, each written as the next" for _ in firsts)])
    return table(caption, name, ["setting", "paper", *runs], rows)


# ---- words -----------------------------------------------------------------------------------------------------------


def few_in_words(frame) -> str:
    """What the first pretrained model does, after tuning on the fewest rules, with unseen ones."""
    rows = of_start(frame, frame.attrs["starts"][0])
    n = rows["n_rules"].min()
    unseen = rows[(rows["n_rules"] == n) & (rows["eval"] == "unseen")]
    right, no_op, copied = (shown(interval(unseen[column])) for column in ("exact_match", "no_op", "copied"))
    return f"After tuning on {n:,} rules, {no_op} of the no-ops of unseen rules are answered right. Of the inputs of unseen rules that hold x, {right} are answered right and {copied} are encrypted without being rewritten."


def why_in_words(frame) -> str:
    """The accuracy from the first start beside that from each other, at each number of rules that the two share, and whether it is
    clearly more or less."""
    first, *others = frame.attrs["starts"]
    lines = []
    for other in others:
        for n in sorted(set(of_start(frame, other)["n_rules"]) & set(of_start(frame, first)["n_rules"])):
            after, before = (rows[rows["n_rules"] == n] for rows in (of_start(frame, first), of_start(frame, other)))
            reached = f"{shown(accuracy(after, 'unseen'))} from {the(first)}, {shown(accuracy(before, 'unseen'))} from {the(other)}"
            lines.append(f"{n:,} rules: {reached}, difference {shown(found := change(before, after, 'unseen'))}, {clear(found)}")
    return f"Inputs of unseen rules that hold x, answered right after tuning on {'; '.join(lines)}." if lines else "There is nothing to compare with."


def the(start: str) -> str:
    """A start with its article."""
    return start if start == RANDOM else f"the {start}"


def halving_in_words(verdict: Verdict, first: str) -> str:
    """What the rule of D11 says of the first pretrained model."""
    return f"Of {the(first)}: {verdict.text()}" + (f" The runs are too few for a verdict: {'; '.join(verdict.lacks)}." if verdict.lacks else "")
