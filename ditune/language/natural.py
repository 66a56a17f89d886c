"""Tasks in natural language: one form for all pools, where each is found and under which licence, and ROUGE-L.

A pool is named: one of POOLS, or a folder in the layout of Super-NaturalInstructions (Wang et al. 2022, arXiv 2204.07705),
`tasks/*.json` with `splits/default/{train,test}_tasks.txt`, or a data set of the Hugging Face hub with the rows of its tasks,
such as Muennighoff/natural-instructions. None but the one that is made here is part of this package; the named others are
looked up in the folder DITUNE_DATA. A pool for evaluation only is never trained on.
"""

import functools
import gzip
import hashlib
import json
import os
from collections import Counter
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from ..specs import SpecError, unknown
from .instructions import VARIABLE, on_hub

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


@dataclass(frozen=True)
class Pool:
    """What is known of a pool."""

    licence: str
    origin: str
    place: str = ""
    """In DITUNE_DATA: a file of JSON Lines, or a folder in the layout of Super-NaturalInstructions."""
    eval_only: bool = False
    foreign: tuple[str, ...] = ()
    """Tasks that are not all in English, where the pool has no field that says so. They are left out, as in other pools."""


POOLS = {
    "made_tasks": Pool("MIT (made by this package)", "ditune.made_tasks"),
    "natural_instructions": Pool("Apache-2.0", "github.com/allenai/natural-instructions (Super-NaturalInstructions)", "natural-instructions"),
    "niv2": Pool("Apache-2.0", "14 tasks of github.com/allenai/natural-instructions", "tasks/niv2.jsonl.gz"),
    "instruction_induction": Pool("Apache-2.0", "github.com/orhonovich/instruction-induction", "tasks/instruction_induction.jsonl.gz", foreign=("ii_translation_en-de", "ii_translation_en-es", "ii_translation_en-fr")),
    "p3": Pool("Apache-2.0 (prompts; each data set under its own licence)", "prompts of github.com/bigscience-workshop/promptsource (P3), in the 50,000 rows of github.com/yizhongw/self-instruct", "tasks/p3.jsonl.gz"),
    "bbh": Pool("MIT; its owners ask that it be kept out of training data", "github.com/suzgunmirac/BIG-Bench-Hard", "tasks/bbh_evalonly.jsonl.gz", eval_only=True, foreign=("bbh_salient_translation_error_detection",)),
}
"""The named pools. In P3 the definition is part of each input: there the words that can be dropped are those of the worked
examples' inputs, which hold the same wording, and the wording in the test input stays, as the paper leaves test inputs intact."""


# ---- finding and reading ---------------------------------------------------------------------------------------------


def check_name(name: str) -> None:
    """SpecError, unless the name is one of POOLS, a folder, or has the form of a data set on the hub."""
    if name not in POOLS and not Path(name).is_dir() and not on_hub(name):
        raise unknown("pool", name, (*POOLS, "a folder in the layout of Super-NaturalInstructions", "owner/name of a data set on the Hugging Face hub"))


def find(name: str) -> Path | None:
    """The file or folder of a pool, if it is here."""
    folder = os.environ.get(VARIABLE)
    if name in POOLS and not (folder and POOLS[name].place):
        return None
    place = Path(folder, POOLS[name].place) if name in POOLS else Path(name)
    return place if place.exists() else None


def is_here(name: str) -> bool:
    """Whether `load` needs no network for the pool."""
    return name == "made_tasks" or find(name) is not None


def described(name: str) -> Pool:
    """What is known of any pool that `load` takes."""
    if name in POOLS or is_here(name):
        return POOLS.get(name, Pool("unknown: a folder of yours", name))
    return Pool(f"see huggingface.co/datasets/{name}", f"huggingface.co/datasets/{name}")


def load(name: str) -> list[Task]:
    """The tasks of a pool, in its own order. SpecError: it is not here, or is none."""
    check_name(name)
    if name == "made_tasks":
        from .made_tasks import made_tasks

        return made_tasks()
    if name in POOLS and not is_here(name):
        pool, set_to = POOLS[name], os.environ.get(VARIABLE)
        where = f"{VARIABLE} = {set_to!r} holds no {pool.place}" if set_to else f"{VARIABLE} is not set to the folder that holds {pool.place}"
        raise SpecError(f"the pool {name!r} is not here: {where}. It is from {pool.origin}; licence: {pool.licence}")
    place = find(name)
    reader = from_rows if place is None else from_tree if place.is_dir() else from_lines
    try:
        tasks = reader(place or fetched(name))
    except (KeyError, json.JSONDecodeError) as error:
        raise SpecError(f"the pool {name!r} has a task that cannot be read: {type(error).__name__}: {error}") from error
    pool = described(name)
    return [replace(task, eval_only=pool.eval_only) for task in tasks if task.name not in pool.foreign]


def from_tree(folder: Path) -> list[Task]:
    """The tasks that the default split of a clone of Super-NaturalInstructions lists, those not in English left out."""
    found = {}
    for split in SPLITS:
        listed = folder / "splits" / "default" / f"{split}_tasks.txt"
        if not listed.is_file():
            raise SpecError(f"{folder} is no clone of Super-NaturalInstructions: it has no splits/default/{split}_tasks.txt")
        for name in dict.fromkeys(listed.read_text(encoding="utf-8").split()):
            path = folder / "tasks" / f"{name}.json"
            if name in found or not path.is_file():
                raise SpecError(f"{listed} lists {name}, {'which is in the other split too' if name in found else 'of which there is no tasks/' + path.name}")
            found[name] = parsed(json.loads(path.read_text(encoding="utf-8")), name, split)
    return [task for task in found.values() if task]


def fetched(name: str) -> Path:
    """A folder with the files of tasks of a data set on the hub (several gigabytes; they are kept)."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, repo_type="dataset", allow_patterns=[f"{split}/*.jsonl" for split in SPLITS]))
    except OSError as error:
        raise SpecError(f"the pool {name!r} cannot be fetched: {str(error).strip().splitlines()[0]}") from error


def from_rows(folder: Path) -> list[Task]:
    """The tasks of `{train,test}/*.jsonl`, a file each, whose rows are an instance and one of its outputs: task_name, id, definition,
    inputs, targets. They have no positive examples (`shortened` makes some)."""
    tasks = []
    for path in [path for split in SPLITS for path in sorted((folder / split).glob("*.jsonl"))]:
        instances: dict[str, dict] = {}
        with path.open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                if row["id"] not in instances and len(instances) == MOST_INSTANCES:
                    break
                instances.setdefault(row["id"], {"id": row["id"], "input": row["inputs"], "output": []})["output"].append(row["targets"])
        if instances:
            tasks.append(parsed({"Definition": row["definition"], "Instances": list(instances.values())}, row["task_name"], path.parent.name))
    if not tasks:
        raise SpecError(f"{folder} has no tasks: needed are train/*.jsonl and test/*.jsonl")
    return tasks


def from_lines(path: Path) -> list[Task]:
    """The tasks of a compressed file of JSON Lines, one a line: the fields of Super-NaturalInstructions, and besides `name`,
    `alt_definitions` (paraphrases) and `split`."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if twice := [name for name, n in Counter(row["name"] for row in rows).items() if n > 1]:
        raise SpecError(f"{path} has the task {twice[0]!r} more than once")
    return [task for row in rows if (task := parsed(row, row["name"], row.get("split") or ""))]


def parsed(row: dict, name: str, split: str) -> Task | None:
    """A task from its JSON; None where its languages are not all English. Missing fields are empty; an instance without an
    output, or of an id (or input, where it has no id) that occurred before, is left out, and so are all behind the first MOST_INSTANCES."""
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
    """One of KINDS: a classification has at most MOST_LABELS different answers, each used LEAST_USES times on average. (How
    the paper tells them apart is not established; a rule holds for all pools.)"""
    answers = {outputs[0] for _, outputs in instances}
    return KINDS[0 < len(answers) <= min(MOST_LABELS, len(instances) / LEAST_USES)]


def listed(value) -> list[str]:
    """A text or a list of texts, as a list; of nothing an empty one."""
    return [value] if isinstance(value, str) else list(value or ())


# ---- which tasks and instances are used ------------------------------------------------------------------------------


def shortened(task: Task, most_letters: int) -> Task | None:
    """The task without examples and instances of more than most_letters letters, input and longest output together; its two
    positive examples, or what is missing of them from its first instances, which then are none.

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
    """The tasks of several pools, shortened; where a split is named, "train" or "test", those of it and those that no split is stated
    for. SpecError: a task for evaluation only would be trained on, two pools share a task's name, or no task is left."""
    found = [task for name in names for task in load(name) if not split or task.split in ("", split)]
    if split == "train" and (kept := [task.name for task in found if task.eval_only]):
        raise SpecError(f"the task {kept[0]!r} of the pools {', '.join(names)} is for evaluation only")
    tasks = [short for task in found if (short := shortened(task, most_letters))]
    if len({task.name for task in tasks}) < len(tasks) or not tasks:
        raise SpecError(f"pools {', '.join(names)}: {'a task is in two of them' if tasks else f'no task has an instance of up to {most_letters} letters'}")
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
