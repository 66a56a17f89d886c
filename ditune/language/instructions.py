"""Instruction data: one form for all sets, where each set is found and under which licence, mixtures at a fixed total.

A set is named: one of SETS, a file, or a file of a data set on the Hugging Face hub. None is part of this package.
SETS are looked up in the folder DITUNE_DATA; two substitutes (`ditune.substitutes`) need no file at all.
"""

import gzip
import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path
from random import Random

from ..specs import SpecError, unknown
from . import substitutes

VARIABLE = "DITUNE_DATA"
N_MADE = 1000  # examples of each domain in the sets that are made here
MADE = {"made_general": substitutes.GENERAL, "made_reasoning": substitutes.REASONING}


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


@dataclass(frozen=True)
class Source:
    """What is known of a set."""

    domain: str
    licence: str
    origin: str
    """Where to get it."""
    files: tuple[str, ...] = ()
    """Names that its file can have in DITUNE_DATA; the first that is there is read. Without any, it is made here."""


def files(*stems: str) -> tuple[str, ...]:
    """The names of JSON and JSON Lines files, plain and compressed."""
    return tuple(f"{stem}.{ending}" for stem in stems for ending in ("jsonl", "jsonl.gz", "json", "json.gz"))


NC = "CC BY-NC 4.0"
ALPACA = "github.com/tatsu-lab/stanford_alpaca"
GENERATED = "MIT (made by this package)"

SETS = {
    "oss_instruct": Source("code", "MIT; GPT-3.5 output", "huggingface.co/datasets/ise-uiuc/Magicoder-OSS-Instruct-75K", files("data-oss_instruct-decontaminated", "oss_instruct")),
    "gpteacher_codegen": Source("code", "MIT; GPT-4 output", "github.com/teknium1/GPTeacher, Codegen/codegen-instruct.json", files("gpteacher_codegen", "codegen-instruct")),
    "codealpaca": Source("code", NC, "github.com/sahil280114/codealpaca, data/code_alpaca_20k.json", files("code_alpaca_20k", "codealpaca")),
    "codealpaca_2k": Source("code", NC, "github.com/sahil280114/codealpaca, data/code_alpaca_2k.json", files("codealpaca_2k", "code_alpaca_2k")),
    "alpaca_code": Source("code", NC, f"the rows about code of {ALPACA}, alpaca_data.json", files("alpaca_code")),
    "stdlib": Source("code", "PSF-2.0", "docstrings and functions of the running Python's standard library"),
    "alpaca": Source("general", NC, f"{ALPACA}, alpaca_data.json", files("alpaca_data", "alpaca")),
    "alpaca_general": Source("general", NC, f"the rows not about code of {ALPACA}, alpaca_data.json", files("alpaca_general")),
    "alpaca_gpt4_en_demo": Source("general", "Apache-2.0; GPT-4 output", "github.com/hiyouga/LLaMA-Factory, data/alpaca_en_demo.json", files("alpaca_gpt4_en_demo", "alpaca_en_demo")),
    "dolly": Source("general", "CC BY-SA 3.0", "huggingface.co/datasets/databricks/databricks-dolly-15k", files("databricks-dolly-15k", "dolly")),
    "dolly_3k": Source("general", "CC BY-SA 3.0", "github.com/gpt4life/alpagasus, data/filtered/dolly_3k.json", files("dolly_3k")),
    "made_general": Source("general", GENERATED, "ditune.substitutes"),
    "gsm8k_train": Source("reasoning", "MIT", "github.com/openai/grade-school-math, grade_school_math/data/train.jsonl", files("gsm8k_train")),
    "made_reasoning": Source("reasoning", GENERATED, "ditune.substitutes"),
}
"""The named sets, by domain; of each domain those come first that the paper used, or that are nearest to them."""

DOMAINS = ("code", "general", "reasoning")
FIELDS = {
    "instruction": ("instruction", "problem", "question", "query", "prompt"),
    "input": ("input", "context"),
    "output": ("output", "solution", "answer", "response"),
}
"""What other sets call the fields: OSS-Instruct problem and solution, GSM8K question and answer, MetaMathQA query
and response, Dolly context and response."""


# ---- finding and reading ---------------------------------------------------------------------------------------------


def at_hand(domain: str) -> str:
    """The first set of the domain whose file is in DITUNE_DATA, else the one that is made here.

    It depends on the machine: a spec holds the name that is returned, not the domain.
    """
    if domain not in DOMAINS:
        raise unknown("domain", domain, DOMAINS)
    named = [name for name, source in SETS.items() if source.domain == domain]
    return next(name for name in named if not SETS[name].files or find(name))


def find(name: str) -> Path | None:
    """The file of a named set in DITUNE_DATA, if it is there."""
    folder = os.environ.get(VARIABLE)
    places = [Path(folder) / file for file in SETS[name].files] if folder else []
    return next((place for place in places if place.is_file()), None)


def check_name(name: str) -> None:
    """SpecError, unless the name is one of SETS, a file, or has the form of a data set on the hub."""
    if name not in SETS and not Path(name).is_file() and not on_hub(name):
        raise unknown("set", name, (*SETS, "a file", "owner/name or owner/name:file of a data set on the Hugging Face hub"))


def check_set(name: str) -> None:
    """SpecError, unless `load` knows where to find the set."""
    check_name(name)
    if name in SETS and SETS[name].files and not find(name):
        source, set_to = SETS[name], os.environ.get(VARIABLE)
        where = f"{VARIABLE} = {set_to!r} holds none of {', '.join(source.files)}" if set_to else f"{VARIABLE} is not set to the folder that holds it"
        raise SpecError(f"the set {name!r} is not here: {where}. It is from {source.origin}; licence: {source.licence}")


def on_hub(name: str) -> re.Match | None:
    """The parts owner/name and file (or None) of the name of a set on the hub."""
    return re.fullmatch(r"([\w.-]+/[\w.-]+)(?<!\.json)(?<!\.jsonl)(?<!\.gz)(?::([\w./-]+))?", name)


def described(name: str) -> Source:
    """What is known of any set that `load` takes."""
    if name in SETS:
        return SETS[name]
    if Path(name).is_file():
        return Source("unknown", "unknown: a file of yours", name)
    page = f"huggingface.co/datasets/{on_hub(name)[1]}"
    return Source("unknown", f"see {page}", page)


def load(name: str) -> list[Instruction]:
    """The instructions of a set, in its own order; see SETS, or a JSON or JSON Lines file (.gz), here or on the hub.

    Rows without an instruction or an answer are left out. SpecError: the set is not here, or is none.
    """
    check_set(name)
    source = described(name)
    if name == "stdlib":
        triples = [(source.domain, triple) for triple in substitutes.stdlib_functions()]
    elif name in MADE:
        triples = substitutes.made(MADE[name], N_MADE)
    else:
        path = find(name) if name in SETS else Path(name) if Path(name).is_file() else fetched(name)
        triples = [(source.domain, triple) for triple in read(path)]
    return [Instruction(*triple, name, domain, source.licence) for domain, triple in triples]


def fetched(name: str) -> Path:
    """The file of a set on the hub; without a file in its name, the only one that can be read."""
    from huggingface_hub import HfApi, hf_hub_download

    repository, file = on_hub(name).groups()
    try:
        if not file:
            there = [f for f in HfApi().list_repo_files(repository, repo_type="dataset") if re.search(r"\.jsonl?(\.gz)?$", f)]
            if len(there) != 1:
                raise SpecError(f"the data set {name!r} has {len(there)} JSON files; allowed: {repository}:file, of {', '.join(there) or 'a data set that has one'}")
            file = there[0]
        return Path(hf_hub_download(repository, file, repo_type="dataset"))
    except OSError as error:
        raise SpecError(f"the set {name!r} cannot be fetched: {str(error).strip().splitlines()[0]}") from error


def read(path: Path) -> list[substitutes.Triple]:
    """Instruction, input and output of each row of a JSON list or of JSON Lines. SpecError: a row is none."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    try:
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise SpecError(f"{path} is no JSON: {error}") from error
    triples = []
    for number, row in enumerate(rows, 1):
        missing = [field for field in ("instruction", "output") if not isinstance(row, dict) or not set(FIELDS[field]) & row.keys()]
        if missing:
            raise SpecError(f"{path}, row {number} has no {missing[0]}; allowed: a field {' or '.join(FIELDS[missing[0]])}")
        triple = tuple(next((str(row[name]) for name in FIELDS[field] if row.get(name)), "").strip("\n") for field in FIELDS)
        if triple[0] and triple[2]:
            triples.append(triple)
    return triples


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


def mixture(shares: dict[str, float], total: int, seed: int) -> list[Instruction]:
    """`total` instructions, of each set its share. A set is a name that `load` takes, or a domain (see `at_hand`).

    mixture({"code": 0.9, "general": 0.1}, 200, seed=0) has 180 and 20. See `mixed` for which these are. SpecError: a
    share is impossible, or a set is missing, too small, or named twice.
    """
    each = counts(shares, total)
    names = {name: at_hand(name) if name in DOMAINS else name for name in each if each[name]}
    if len(set(names.values())) < len(names):
        raise SpecError(f"shares = {shares!r} take from {', '.join(names.values())}; allowed: different sets")
    return mixed({names[name]: load(names[name]) for name in names}, {names[name]: each[name] for name in names}, seed)


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


def fingerprint(instructions: list[Instruction]) -> str:
    """16 hexadecimal digits that change with the texts and their order: what a record says of its data."""
    text = json.dumps([astuple(instruction) for instruction in instructions])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def licences(instructions: list[Instruction]):
    """The sets that instructions come from, as a DataFrame: set, examples, domain, licence, origin."""
    import pandas

    n = Counter(instruction.source for instruction in instructions)
    sets = [(name, described(name)) for name in n]
    return pandas.DataFrame({"set": name, "examples": n[name], "domain": s.domain, "licence": s.licence, "origin": s.origin} for name, s in sets)
