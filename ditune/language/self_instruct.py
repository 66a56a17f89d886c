"""Instructions of the chapter on Self-Instruct: a pool that the pipeline made, and answers that people wrote, in the form of
`ditune.instructions`. It adds the tasks that Self-Instruct starts from (Wang et al. 2022, arXiv 2212.10560).
"""

import gzip
import json
import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from random import Random

from ..specs import SpecError
from . import instructions
from .instructions import VARIABLE, Instruction, Source, described, fingerprint

SEED_TASKS = "self_instruct_seed"
SEEDS = Source("general", "Apache-2.0", "github.com/yizhongw/self-instruct, data/seed_tasks.jsonl", ("self_instruct_seed.jsonl.gz", "seed_tasks.jsonl"))
HUMAN = (SEED_TASKS, "dolly", "dolly_3k")
"""Sets whose answers people wrote."""
NO_INPUT = re.compile(r"<?no ?input>?\.?", re.IGNORECASE)
"""What models that made instructions wrote for an input that there is none of."""


def check_name(name: str) -> None:
    """SpecError, unless the name is one that `read` knows."""
    if name != SEED_TASKS:
        instructions.check_name(name)


def source_of(name: str) -> Source:
    """What is known of a set."""
    return SEEDS if name == SEED_TASKS else described(name)


def find(name: str) -> Path | None:
    """The file of a named set in DITUNE_DATA, if it is there."""
    if name != SEED_TASKS:
        return instructions.find(name)
    folder = os.environ.get(VARIABLE)
    return next((path for file in SEEDS.files if folder and (path := Path(folder, file)).is_file()), None)


def human_at_hand() -> list[str]:
    """The sets of HUMAN that are here; without any, one that this package makes. It depends on the machine: a spec holds the names."""
    return [name for name in HUMAN if find(name)] or ["made_reasoning"]


def read(name: str) -> list[Instruction]:
    """The instructions of a set, as `instructions.load` gives them; of Self-Instruct's seed tasks each with its first instance."""
    if name != SEED_TASKS:
        return instructions.load(name)
    if not (path := find(name)):
        raise SpecError(f"the set {name!r} is not here: the folder {VARIABLE} has to hold one of {', '.join(SEEDS.files)}. It is from {SEEDS.origin}; licence: {SEEDS.licence}")
    content = path.read_bytes()
    rows = [json.loads(line) for line in (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8").splitlines()]
    first = [(row["instruction"], row["instances"][0]) for row in rows]
    return [Instruction(text.strip(), one["input"].strip(), one["output"].strip(), name, SEEDS.domain, SEEDS.licence) for text, one in first]


def drawn(name: str, n: int, most_letters: int, seed: object, without: Collection[str] = ()) -> list[Instruction]:
    """n different instructions of a set, or all where there are no more, without those that are too long with their answer, and those
    with certain wordings. An input that only says that there is none is none."""
    whole = [replace(row, input="") if NO_INPUT.fullmatch(row.input.strip()) else row for row in read(name)]
    rows = [row for row in dict.fromkeys(whole) if row.output.strip() and sum(map(len, row.pair)) <= most_letters and row.instruction not in without]
    return Random(f"{name}/{seed}").sample(rows, min(n, len(rows)))


def candidates_of(name: str, n: int, most_letters: int, seed: int, tested: Collection[str]) -> list[Instruction]:
    """n instructions of a pool, drawn by the seed, none of which is tested. SpecError: there are not as many."""
    rows = drawn(name, n, most_letters, seed, tested)
    if len(rows) < n:
        raise SpecError(f"the set {name!r} has {len(rows)} instructions of at most {most_letters} letters; needed: {n}")
    return rows


def tests_of(names: tuple[str, ...], n: int, most_letters: int) -> dict[str, list[Instruction]]:
    """Up to n instructions of each test set, the same for all seeds. SpecError: a set has none."""
    found = {name: drawn(name, n, most_letters, "test") for name in names}
    if empty := [name for name, rows in found.items() if not rows]:
        raise SpecError(f"the set {empty[0]!r} has no instruction of at most {most_letters} letters")
    return found


def of_set(name: str, rows: list[Instruction]) -> dict:
    """What a record says of a set."""
    source = source_of(name)
    return {"instructions": len(rows), "licence": source.licence, "origin": source.origin, "fingerprint": fingerprint(rows)}
