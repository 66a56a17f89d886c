"""Instructions: one form for all sets of the catalogue, mixtures at a fixed total, draws of candidates and tests.

Sources: mixtures, Zhang et al. 2024 (arXiv 2405.19787); the tasks that Self-Instruct starts from, Wang et al. 2022
(arXiv 2212.10560).
"""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from random import Random

from ..specs import SpecError
from . import made
from .catalogue import check_here, described, find, read_rows

N_MADE = 1000  # examples of each domain in the sets that are made here
FIELDS = {
    "instruction": ("instruction", "problem", "question", "query", "prompt"),
    "input": ("input", "context"),
    "output": ("output", "solution", "answer", "response"),
}
"""What other sets call the fields: OSS-Instruct problem and solution, GSM8K question and answer, MetaMathQA query
and response, Dolly context and response."""
NO_INPUT = re.compile(r"<?no ?input>?\.?", re.IGNORECASE)
"""What models that made instructions wrote for an input that there is none of."""


@dataclass(frozen=True)
class Instruction:
    """A task in words, and its answer."""

    instruction: str
    input: str
    """What the task is about; may be empty."""
    output: str
    source: str
    """Name of the set."""
    domain: str
    licence: str

    @property
    def pair(self) -> tuple[str, str]:
        """What is asked, and the answer."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction, self.output


# ---- reading ---------------------------------------------------------------------------------------------------------


def load(name: str) -> list[Instruction]:
    """The instructions of a set, in its own order: one of the catalogue, or a JSON or JSON Lines file.

    Rows without an instruction or an answer are left out. SpecError: the set is not here, or is none.
    """
    check_here("set", name)
    source = described(name)
    if name == "stdlib":
        triples = [(source.domain, triple) for triple in made.stdlib_functions()]
    elif name in made.SETS:
        triples = made.instructions(made.SETS[name], N_MADE)
    else:
        triples = [(source.domain, triple) for triple in read(find(name))]
    return [Instruction(*triple, name, domain, source.licence) for domain, triple in triples]


def read(path: Path) -> list[made.Triple]:
    """Instruction, input and output of each row; of several instances (Self-Instruct's seed tasks) the first one's.

    SpecError: a row has no instruction or no output."""
    triples = []
    for number, row in enumerate(read_rows(path), 1):
        try:
            if "instances" in row:
                row = {name: value.strip() for name, value in (row | row["instances"][0]).items() if type(value) is str}
        except (TypeError, LookupError):
            raise SpecError(f"{path}, row {number} has instances that cannot be read") from None
        for field in ("instruction", "output"):
            if not set(FIELDS[field]) & row.keys():
                allowed = f"a field {' or '.join(FIELDS[field])}"
                raise SpecError(f"{path}, row {number} has no {field}; allowed: {allowed}")
        values = (next((str(row[name]) for name in names if row.get(name)), "") for names in FIELDS.values())
        triple = tuple(value.strip("\n") for value in values)
        if triple[0] and triple[2]:
            triples.append(triple)
    return triples


def fingerprint(instructions: list[Instruction]) -> str:
    """16 hexadecimal digits that change with the texts and their order: what a record says of its data."""
    text = json.dumps([astuple(instruction) for instruction in instructions])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_record(name: str, rows: list[Instruction], count: str) -> dict:
    """What a record says of a set; their number is called `count`."""
    source = described(name)
    return {count: len(rows), "licence": source.licence, "origin": source.origin, "fingerprint": fingerprint(rows)}


# ---- mixtures --------------------------------------------------------------------------------------------------------


def counts(shares: dict[str, float], total: int) -> dict[str, int]:
    """How many examples of each set: the rounded share of each but the first, which has what is left.

    >>> counts({"code": 0.85, "general": 0.1, "reasoning": 0.05}, 50)
    {'code': 43, 'general': 5, 'reasoning': 2}
    """
    if total < 1:
        raise SpecError(f"total = {total!r}; allowed: 1 or more")
    if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise SpecError(f"shares = {shares!r}; allowed: numbers from 0 to 1 that add up to 1")
    first, *others = shares
    each = {name: round(shares[name] * total) for name in others}
    if (left := total - sum(each.values())) < 0:
        raise SpecError(f"shares = {shares!r}; allowed: shares that are whole numbers of {total} examples")
    return {first: left} | each


def mixed(pools: dict[str, list[Instruction]], each: dict[str, int], seed: int) -> list[Instruction]:
    """The first examples of each pool in an order drawn by (seed, pool), so many as `each` says; none occurs twice.

    The first pool comes first, and the others behind it, the last example foremost. So a larger share of the second
    pool puts its examples in the place of the first pool's last ones, one for one, and all others stay where they are:
    mixtures of one seed and total are paired.
    """
    blocks = []
    for name, n in each.items():
        if len(pools[name]) < n:
            raise SpecError(f"the set {name!r} has {len(pools[name])} examples; needed: {n}")
        blocks.append(Random(f"{name}/{seed}").sample(pools[name], len(pools[name]))[:n])
    return blocks[0] + [example for block in blocks[:0:-1] for example in block[::-1]]


# ---- candidates and tests --------------------------------------------------------------------------------------------


def sample(name: str, n: int, most_letters: int, seed: object, left_out: Collection[str] = ()) -> list[Instruction]:
    """n different instructions of a set, or all where there are no more, without those that are too long with their
    answer, and those with certain wordings. An input that only says that there is none is none."""
    whole = [replace(row, input="") if NO_INPUT.fullmatch(row.input.strip()) else row for row in load(name)]
    short = [row for row in dict.fromkeys(whole) if row.output.strip() and sum(map(len, row.pair)) <= most_letters]
    rows = [row for row in short if row.instruction not in left_out]
    return Random(f"{name}/{seed}").sample(rows, min(n, len(rows)))


def candidates_of(name: str, n: int, most_letters: int, seed: int, tested: Collection[str]) -> list[Instruction]:
    """n instructions of a pool, drawn by the seed, none of which is tested. SpecError: there are not as many."""
    rows = sample(name, n, most_letters, seed, tested)
    if len(rows) < n:
        raise SpecError(f"the set {name!r} has {len(rows)} instructions of at most {most_letters} letters; needed: {n}")
    return rows


def tests_of(names: tuple[str, ...], n: int, most_letters: int) -> dict[str, list[Instruction]]:
    """Up to n instructions of each test set, the same for all seeds. SpecError: a set has none."""
    found = {name: sample(name, n, most_letters, "test") for name in names}
    if empty := [name for name, rows in found.items() if not rows]:
        raise SpecError(f"the set {empty[0]!r} has no instruction of at most {most_letters} letters")
    return found
