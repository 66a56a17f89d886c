"""Tasks in natural language: one form for all pools of the catalogue, which of them are used, and ROUGE-L.

A pool is a file of JSON Lines, or a clone of Super-NaturalInstructions (Wang et al. 2022, arXiv 2204.07705),
`tasks/*.json` with `splits/default/{train,test}_tasks.txt`. A pool for evaluation only is never trained on.
"""

import contextlib
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from ..specs import SpecError
from . import made
from .catalogue import check_here, described, find, read_rows

KINDS, SPLITS = ("generation", "classification"), ("train", "test")
MOST_LABELS, LEAST_USES = 10, 3  # of a classification: different answers, and how often each is used, on average
N_EXAMPLES = 2  # positive examples of a prompt; paper: 2
MOST_INSTANCES = 500  # of a task that are kept, its first ones: some have thousands, and the paper uses 200 at most

Pair = tuple[str, str]
"""Input and output."""


@dataclass(frozen=True)
class Task:
    """A task in natural language."""

    name: str
    definition: str
    """May be empty: some tasks have it in each input."""
    examples: tuple[Pair, ...]
    """Worked ("positive") examples."""
    instances: tuple[tuple[str, tuple[str, ...]], ...]
    """Input and the outputs that are right, one or more; the first is what is trained on."""
    paraphrases: tuple[str, ...] = ()
    """Other ways to say the definition."""
    categories: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""
    split: str = ""
    """"train" or "test" where the pool says so."""
    kind: str = KINDS[0]
    eval_only: bool = False


# ---- reading ---------------------------------------------------------------------------------------------------------


def load(name: str) -> list[Task]:
    """The tasks of a pool, in its own order. SpecError: it is not here, or is none."""
    check_here("pool", name)
    if name == "made_tasks":
        return [parsed(row, row["name"], row["split"]) for row in made.tasks()]
    place, source = find(name), described(name)
    tasks = from_clone(place) if place.is_dir() else from_lines(place)
    return [replace(task, eval_only=source.eval_only) for task in tasks if task.name not in source.foreign]


def from_clone(folder: Path) -> list[Task]:
    """The tasks that the default split of a clone of Super-NaturalInstructions lists, those not in English left out."""
    found = {}
    for split in SPLITS:
        listed = folder / "splits" / "default" / f"{split}_tasks.txt"
        if not listed.is_file():
            missing = f"it has no splits/default/{split}_tasks.txt"
            raise SpecError(f"{folder} is no clone of Super-NaturalInstructions: {missing}")
        for name in dict.fromkeys(listed.read_text(encoding="utf-8").split()):
            path = folder / "tasks" / f"{name}.json"
            if name in found or not path.is_file():
                wrong = "which is in the other split too" if name in found else f"of which there is no {path.name}"
                raise SpecError(f"{listed} lists {name}, {wrong}")
            with readable(path):
                found[name] = parsed(json.loads(path.read_text(encoding="utf-8")), name, split)
    return [task for task in found.values() if task]


def from_lines(path: Path) -> list[Task]:
    """The tasks of a file of JSON Lines, one a line: the fields of Super-NaturalInstructions, and besides `name`,
    `alt_definitions` (paraphrases) and `split`."""
    with readable(path):
        rows = read_rows(path)
        if twice := [name for name, n in Counter(row["name"] for row in rows).items() if n > 1]:
            raise SpecError(f"{path} has the task {twice[0]!r} more than once")
        return [task for row in rows if (task := parsed(row, row["name"], row.get("split") or ""))]


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever is wrong with the tasks of a file is told in one line."""
    try:
        yield
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(f"{path} cannot be read as a task: {type(error).__name__}: {error}") from error


def parsed(row: dict, name: str, split: str) -> Task | None:
    """A task from its JSON; None where its languages are not all English. Missing fields are empty; an instance without
    an output, or of an id (or input, where it has no id) that occurred before, is left out, and so are all behind the
    first MOST_INSTANCES."""
    languages = [language for field in ("Input_language", "Output_language") for language in row.get(field, ())]
    if any(language != "English" for language in languages):
        return None
    instances = {}
    for instance in row.get("Instances", ()):
        outputs = tuple(filter(None, (text.strip() for text in listed(instance.get("output")))))
        if outputs and len(instances) < MOST_INSTANCES:
            instances.setdefault(instance.get("id") or instance["input"], (instance["input"].strip(), outputs))
    examples = [(one["input"].strip(), listed(one["output"])[0].strip()) for one in row.get("Positive Examples") or ()]
    definition, *others = [*listed(row.get("Definition")), *listed(row.get("alt_definitions"))] or [""]
    return Task(
        name,
        definition.strip(),
        tuple(one for one in examples if all(one)),
        tuple(instances.values()),
        tuple(dict.fromkeys(text.strip() for text in others if text.strip() not in ("", definition.strip()))),
        tuple(row.get("Categories") or ()),
        "; ".join(listed(row.get("Source") or row.get("source"))),
        "; ".join(listed(row.get("Instance License") or row.get("license"))),
        split if split in SPLITS else "",
        kind_of(instances.values()),
    )


def kind_of(instances) -> str:
    """One of KINDS: a classification has at most MOST_LABELS different answers, each used LEAST_USES times on average.
    (How the paper tells them apart is not established; a rule holds for all pools.)"""
    answers = {outputs[0] for _, outputs in instances}
    return KINDS[0 < len(answers) <= min(MOST_LABELS, len(instances) / LEAST_USES)]


def listed(value) -> list[str]:
    """A text or a list of texts, as a list; of nothing an empty one."""
    return [value] if isinstance(value, str) else list(value or ())


# ---- which tasks and instances are used ------------------------------------------------------------------------------


def shortened(task: Task, most_letters: int) -> Task | None:
    """The task without examples and instances of more than most_letters letters, input and longest output together; its
    two positive examples, or what is missing of them from its first instances, which then are none.

    None: no instance is left, or neither definition nor example, so that a prompt has no word that could be dropped."""

    def fits(one) -> bool:
        return len(one[0]) + max(map(len, listed(one[1]))) <= most_letters

    examples = tuple(filter(fits, task.examples))[:N_EXAMPLES]
    instances = tuple(filter(fits, task.instances))
    lacking = min(N_EXAMPLES - len(examples), max(len(instances) - 1, 0))
    taken = tuple((text, outputs[0]) for text, outputs in instances[:lacking])
    short = replace(task, examples=examples + taken, instances=instances[lacking:])
    return short if instances and (short.definition or short.examples) else None


def usable(names: tuple[str, ...], most_letters: int, split: str = "") -> list[Task]:
    """The tasks of several pools, shortened; where a split is named, "train" or "test", those of it and those that no
    split is stated for. SpecError: a task for evaluation only would be trained on, two pools share a task's name, or
    none is left."""
    found = [task for name in names for task in load(name) if not split or task.split in ("", split)]
    if split == "train" and (kept := [task.name for task in found if task.eval_only]):
        raise SpecError(f"the task {kept[0]!r} of the pools {', '.join(names)} is for evaluation only")
    tasks = [short for task in found if (short := shortened(task, most_letters))]
    if len({task.name for task in tasks}) < len(tasks) or not tasks:
        wrong = "a task is in two of them" if tasks else f"no task has an instance of up to {most_letters} letters"
        raise SpecError(f"pools {', '.join(names)}: {wrong}")
    return tasks


def fingerprint(tasks: list[Task]) -> str:
    """16 hexadecimal digits that change with the texts and their order: what a record says of its data."""
    return hashlib.sha256(json.dumps([astuple(task) for task in tasks]).encode()).hexdigest()[:16]


# ---- measure ---------------------------------------------------------------------------------------------------------


@functools.cache
def rouge():
    """The library's scorer of ROUGE-L, with its stemmer, as in the paper."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def rouge_l(answer: str, references: tuple[str, ...]) -> float:
    """ROUGE-L F of an answer (Lin 2004), stemmed, the highest over its references: 0 to 1.

    >>> rouge_l("The cats sat", ("a dog", "the cat sat down"))
    0.8571428571428571
    """
    return rouge().score_multi(references, answer)["rougeL"].fmeasure
