"""The ledger of claims: what the papers state, by which rule each statement is decided, and the verdict on a table.

A claim and its rule are written down together, apart from any run, and should be before the runs that decide it:

    @claim("D1", statement=..., source=..., metric=..., rule=..., smallest_scale=...)
    def d1(frame): ...    # -> Finding("holds" | "fails" | "open", reason)

`judge("D1", frame)` applies the rule to a tidy table (`records.frame`: one row per run and evaluation set). A finding
becomes a verdict only at the scale that the claim is about; below it the verdict is "undecided at this scale", and the
finding still says what was seen here. Runs of earlier sources and runs that are missing are named beside the verdict.

Three bounds serve all claims about accuracy. A model has LEARNT its rules, it does not apply a rule (LOW), it does apply
it (HIGH). All comparisons are made with the bounds of a bootstrap interval over seeds, never with the mean alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..chapters.settings import shown
from ..figures.intervals import Interval, interval
from ..rewriting.specs import RunSpec
from ..store.records import columns

REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided at this scale"
VERDICT_OF = {"holds": REPRODUCED, "fails": NOT_REPRODUCED, "open": UNDECIDED}

LEARNT, LOW, HIGH = 0.9, 0.1, 0.8


# ---- what was measured -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """What was measured with one number of rules."""

    n_rules: int
    per_rule: float
    """Examples of each rule, N / I."""
    unseen: Interval
    seen: Interval

    @property
    def learnt(self) -> bool:
        return self.seen.low >= LEARNT

    def text(self) -> str:
        """The cell in words, with its numbers."""
        each = "1 example" if self.per_rule == 1 else f"{self.per_rule:,.4g} examples" if self.per_rule < 1000 else f"{self.per_rule:,.0f} examples"
        return f"{self.n_rules:,} rules of {each} each: {self.unseen} on unseen rules, {self.seen} on seen ones"


def cells(frame) -> list[Cell]:
    """The table by number of rules, ascending; numbers for which an evaluation set is missing are left out."""
    out = []
    for n_rules, group in frame.groupby("n_rules"):
        sets = {name: interval(rows["exact_match"]) for name, rows in group.groupby("eval")}
        if {"unseen", "seen"} <= sets.keys():
            per_rule = float(group["n_examples"].iloc[0]) / n_rules
            out.append(Cell(int(n_rules), per_rule, sets["unseen"], sets["seen"]))
    return out


# ---- the ledger ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """The smallest scale at which a claim may be decided: a number of seeds, least values and exact values of columns."""

    n_seeds: int = 3
    at_least: tuple[tuple[str, float], ...] = ()
    equal: tuple[tuple[str, object], ...] = ()

    def lacks(self, frame) -> list[str]:
        """What the table falls short of, in words; empty where the claim may be decided."""
        if frame.empty:
            return ["no runs"]
        seeds = int(frame.groupby("n_rules")["seed"].nunique().min()) if "n_rules" in frame else frame["seed"].nunique()
        short = [f"seeds {seeds} < {self.n_seeds}"] if seeds < self.n_seeds else []
        for name, least in self.at_least:
            smallest = passes(frame).min() if name == "passes" else frame[name].min()
            if smallest < least:
                short.append(f"{in_a_word(name)} {f'{smallest:,.2f}'.removesuffix('.00')} < {least:,}")
        for name, wanted in self.equal:
            if others := {shown(value) for value in frame[name]} - {shown(wanted)}:
                short.append(f"{in_a_word(name)} {', '.join(sorted(others))} instead of {shown(wanted)}")
        return short

    def __str__(self) -> str:
        least = [f"{in_a_word(name)} {value:,}" for name, value in (("seeds", self.n_seeds), *self.at_least)]
        exact = [f"{in_a_word(name)} {shown(value)}" for name, value in self.equal]
        return f"At least: {', '.join(least)}" + (f"; exactly: {', '.join(exact)}" if exact else "")


def passes(frame):
    """How often each run of the table passes over its training examples."""
    return frame["train_n_steps"] * frame["batch_size"] / frame["n_examples"]


def in_a_word(column: str) -> str:
    """The name of a column as it is printed."""
    return COLUMNS.get(column, column)


COLUMNS = {
    "n_examples": "training examples", "passes": "passes over them", "n_layer": "layers", "n_head": "heads", "n_embd": "width", "alphabet_size": "letters",
    "x_len": "length of x", "y_len": "length of y", "z_len": "length of z", "no_op_share": "share of inputs without x", "replace_which": "occurrence replaced",
    "occurrences": "occurrences of x", "families": "words", "tail_alpha": "long tail", "rules_in_prompt": "rules in the prompt",
    "task_n_steps": "rewriting steps", "position": "positions", "optimizer": "optimiser",
}  # fmt: skip
"""Columns in words; others are named as they are."""
THE_PAPERS = columns(RunSpec())
"""The paper's value of each column."""
SIZES = ("n_examples", "n_layer", "n_head", "n_embd")
SETTINGS = tuple(name for name in COLUMNS if name not in (*SIZES, "passes"))
PAPER_SCALE = Scale(3, (*((n, THE_PAPERS[n]) for n in SIZES), ("passes", 50)), tuple((n, THE_PAPERS[n]) for n in SETTINGS))
"""A claim that names a number of rules is about the task, the sizes and the training at which the paper found that number.
As many passes as the paper's 50 are asked for: with fewer the number may be another, and how few still give it is not known."""


@dataclass(frozen=True)
class Claim:
    """A statement of a paper and the rule that decides it."""

    id: str
    statement: str
    """In our words."""
    source: str
    metric: str
    rule: str
    """When the claim holds and when it fails; in all other cases it is open."""
    smallest_scale: Scale


@dataclass(frozen=True)
class Finding:
    """What a table says about a claim, whatever its scale."""

    outcome: str
    """"holds", "fails" or "open"."""
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, with what it rests on."""

    claim: Claim
    verdict: str
    finding: Finding
    lacks: list[str]
    """In what the runs fall short of the claim's smallest scale."""
    marks: list[str]
    """What is not up to date or not complete in the table."""

    def __str__(self) -> str:
        return " ".join([self.verdict, *(f"({mark})" for mark in self.marks)])

    def text(self) -> str:
        """What was found, whatever the scale, and its reason."""
        return f"The rule is {IN_WORDS[self.finding.outcome]}{' here' if self.lacks else ''}. {self.finding.reason}"


IN_WORDS = {"holds": "met", "fails": "violated", "open": "neither met nor violated"}
LEDGER: dict[str, Claim] = {}
RULES: dict[str, Callable] = {}


def claim(id: str, **fields):
    """Enter a claim into the ledger together with the function that applies its rule to a table."""

    def enter(function):
        if id in LEDGER:
            raise ValueError(f"claim {id} is in the ledger already")
        LEDGER[id], RULES[id] = Claim(id, **fields), function
        return function

    return enter


def judge(id: str, frame) -> Verdict:
    """The verdict on a claim from a tidy table of runs that differ in the claim's variable and in the seed only."""
    lacks = LEDGER[id].smallest_scale.lacks(frame)
    finding = Finding("open", "There are no runs.") if frame.empty else RULES[id](frame)
    return Verdict(LEDGER[id], UNDECIDED if lacks else VERDICT_OF[finding.outcome], finding, lacks, marks(frame))


def marks(frame) -> list[str]:
    """What a reader must know of a table: runs that are of earlier sources, and runs that are not recorded."""
    if frame.empty:
        return []
    runs = frame.drop_duplicates("key")
    expected = frame.attrs.get("runs", len(runs))
    stale = ["earlier sources"] if (runs["state"] == "stale").any() else []
    return stale + ([f"{len(runs)} of {expected} runs"] if len(runs) < expected else [])


def in_words(ids: list[str]) -> str:
    """The claims with their rules, as a MyST definition list."""
    parts, first = [], {}
    for c in (LEDGER[id] for id in ids):
        same = first.setdefault(c.smallest_scale, c.id)
        where = f"*Smallest scale.* {c.smallest_scale if same == c.id else f'As for {same}'}. *Source.* {c.source}."
        parts.append(f"**{c.id}.** {c.statement}\n: *Rule.* {c.rule}\n: *Measure.* {c.metric}.\n: {where}\n")
    return "\n".join(parts)


# ---- words that several claims share -----------------------------------------------------------------------------------

METRIC = "exact match on examples of unseen rules, mean over seeds with its 95 % bootstrap interval; for what was learnt, the same on freshly drawn inputs of seen rules"
PAPER = "arXiv 2405.19787"


def said(shown: list[Cell]) -> str:
    """The cells in words."""
    return "; ".join(c.text() for c in shown) + "."


def said_of(which: str, one: Cell, among: list[Cell]) -> str:
    """One cell in words, the highest or lowest on unseen rules among several numbers of rules."""
    several = f"{len(among)} numbers of rules, {among[0].n_rules:,} to {among[-1].n_rules:,}; the {which} on unseen rules: " if len(among) > 1 else ""
    return several + said([one])


def sentence(parts: list[str]) -> str:
    """The parts joined, with a capital at the beginning."""
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]
