"""Your tasks, measured by your model: what such a run is, how files of tasks are read, what it will cost.

    a file or folder of tasks -> tasks -> prompts -> what is wrong, in one line; tokens and seconds
    TasksSpec: the measures of each task          ChosenSpec: what each strategy selects, and how diverse that is

Nothing heavy is imported before prompts are made. A spec holds digits of the files it reads, so that a record is of the
content and not of the name.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from ..specs import SpecError, unknown
from .catalogue import read_rows
from .instructions import FIELDS
from .natural import KINDS, Task, kind_of, parsed, readable, shortened
from .specs import EMBEDDINGS, SELECTIONS, ScoreSpec

FRAMES = ("chat", "plain")
STRATEGIES = (*SELECTIONS, "diversity", "uncertainty_diversity")
ROW = "a row of a table"
SPEED = 3.3e10
"""Parameters times tokens a second, of SmolLM2 on one core."""
START, OVERHEAD = 10.0, 1e-4
"""Seconds until a model is loaded; of each token, whatever the model."""
WRITING = 4
"""How much longer a written token takes than a read one."""
ENDS = 1 << 20


@dataclass(frozen=True)
class TasksSpec(ScoreSpec):
    """The prompt uncertainty of your tasks by a causal language model: own answers, copies of the prompt with words
    dropped. A file of rows (JSON, JSON Lines, CSV, Parquet, a saved `datasets.Dataset`): rows with the same instruction
    are the instances of one task. A folder of JSON files, or rows, with `Definition`, `Positive Examples` and
    `Instances`: tasks of Super-NaturalInstructions."""

    tasks: str = ""
    """The file or folder."""
    content: str = ""
    """Digits of its content."""
    weights: str = ""
    """Digits of the model's files, where it is a folder."""
    instruction: str = ""
    """Name of the column that holds the instruction; "": one of instruction, problem, question, query, prompt."""
    input: str = ""
    """Name of the column that holds the input; "": input or context, if there is one."""
    n_tasks: int = 200
    """The first tasks of the file; 0: all."""
    n: int = 10
    """Instances of a task, its first ones."""
    frame: str = "chat"
    """"chat": a task is said in the model's chat template; "plain": after "### Instruction", for models without one."""

    def check(self):
        super().check()
        self.require(0 <= self.n_tasks <= 10**6, "n_tasks", f"0 to {10**6}")
        self.require(1 <= self.n <= 1000, "n", "1 to 1000")
        if self.frame not in FRAMES:
            raise unknown("TasksSpec frame", self.frame, FRAMES)

    @property
    def n_steps(self) -> int:
        """Steps in which a run reports its progress."""
        return 100


@dataclass(frozen=True)
class ChosenSpec(TasksSpec):
    """What each strategy selects from the measured tasks, and the diversity of all tasks and of each selection."""

    n_select: int = 10
    """Tasks that each strategy selects; of classification tasks as large a share as in the file."""
    embedding: str = "minilm"
    """Sentence embeddings, of which diversity is the Vendi score: "minilm", or "tiny", counts of words."""
    n_draws: int = 200
    """Random selections that the diversity of one is compared with."""

    def check(self):
        super().check()
        self.require(1 <= self.n_select <= 10**6, "n_select", f"1 to {10**6}")
        self.require(2 <= self.n_draws <= 10**5, "n_draws", f"2 to {10**5}")
        if self.embedding not in EMBEDDINGS:
            raise unknown("ChosenSpec embedding", self.embedding, EMBEDDINGS)

    @property
    def first(self) -> TasksSpec:
        """The measures, which all selections share."""
        return self.part(TasksSpec)


def digits(path: str) -> str:
    """16 hexadecimal digits of a file's content, or of the names, sizes, beginnings and ends of a folder's files; "" of
    what is neither."""
    place, found = Path(path), hashlib.sha256()
    if place.is_file():
        found.update(place.read_bytes())
    for file in sorted(place.rglob("*")) if place.is_dir() else ():
        if file.is_file():
            found.update(f"{file.relative_to(place)} {file.stat().st_size}".encode())
            with file.open("rb") as content:
                found.update(content.read(ENDS))
                content.seek(max(0, file.stat().st_size - ENDS))
                found.update(content.read())
    return found.hexdigest()[:16] if place.exists() else ""


# ---- reading ---------------------------------------------------------------------------------------------------------


def read(path: str, instruction: str = "", text: str = "") -> list[Task]:
    """The tasks of a file or folder, see `TasksSpec`; instruction, text: names of columns. SpecError: it is none."""
    place = Path(path)
    if not place.exists():
        raise SpecError(f"tasks = {path!r} does not exist; allowed: a file of rows or a folder of tasks")
    if place.is_dir() and not {"dataset_info.json", "state.json"} & {file.name for file in place.iterdir()}:
        return of_folder(place)
    rows = table(place)
    if not rows:
        raise SpecError(f"{place} has no rows")
    if {"Instances", "Definition"} & rows[0].keys():
        with readable(place):
            found = [parsed(row, str(row.get("name") or f"row {n}"), "") for n, row in enumerate(rows, 1)]
            return [task for task in found if task]
    return of_rows(place, rows, {"instruction": instruction, "input": text, "output": ""})


def of_folder(folder: Path) -> list[Task]:
    """The tasks of a folder, a JSON file each, or of its folder `tasks`."""
    files = sorted((folder / "tasks" if (folder / "tasks").is_dir() else folder).glob("*.json"))
    found = []
    for file in files:
        with readable(file):
            found.append(parsed(json.loads(file.read_text(encoding="utf-8")), file.stem, ""))
    if not any(task and task.instances for task in found):
        raise SpecError(f"{folder} holds no task; allowed: JSON files with Definition, Positive Examples, Instances")
    return [task for task in found if task]


def table(path: Path) -> list[dict]:
    """The rows of a file by its ending: CSV, TSV, Parquet, a saved `datasets.Dataset`, otherwise JSON (Lines)."""
    if path.is_file() and not {".csv", ".tsv", ".parquet"} & set(path.suffixes):
        return read_rows(path)
    try:
        if path.is_dir():
            from datasets import load_from_disk

            return list(load_from_disk(str(path)))
        import pandas

        if ".parquet" in path.suffixes:
            return pandas.read_parquet(path).to_dict("records")
        sep = "\t" if ".tsv" in path.suffixes else ","
        return pandas.read_csv(path, sep=sep, dtype=str, keep_default_na=False).to_dict("records")
    except ImportError as error:
        need = f"pip install {'datasets' if path.is_dir() else 'pyarrow'}, or save JSON Lines"
        raise SpecError(f"{path} needs a package that is not installed; {need}") from error
    except (ValueError, OSError) as error:
        raise SpecError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def of_rows(path: Path, rows: list[dict], wanted: dict[str, str]) -> list[Task]:
    """A task for each instruction, with the inputs of its rows; columns by name, or found by their usual names."""
    names = list(rows[0])
    for field, name in wanted.items():
        if name and name not in names:
            raise unknown(f"column of {path.name}", name, names)
        wanted[field] = name or next((usual for usual in FIELDS[field] if usual in names), "")
    if not wanted["instruction"]:
        usual = f"{', '.join(names)}; name the one with the instructions: -p instruction COLUMN"
        raise SpecError(f"{path} has no column {' or '.join(FIELDS['instruction'])}. It has {usual}")
    found: dict[str, dict] = {}
    for number, row in enumerate(rows, 1):
        asked, given, output = (str(row.get(name) or "").strip() if name else "" for name in wanted.values())
        if not asked:
            empty = f"has an empty {wanted['instruction']!r}; fill it in or delete the row"
            raise SpecError(f"{path}, row {number} {empty}")
        found.setdefault(asked, {"name": f"row {number}", "instances": {}})["instances"].setdefault(given, output)
    tasks = []
    for asked, one in found.items():
        instances = tuple((given, (output,)) for given, output in one["instances"].items())
        kind = kind_of(instances) if wanted["output"] else KINDS[0]
        tasks.append(Task(one["name"], asked, (), instances, source=ROW, kind=kind))
    return tasks


def chosen(tasks: list[Task], spec: TasksSpec) -> list[Task]:
    """The first tasks, without what is too long. SpecError: one has nothing that could be dropped, or none is left."""
    kept = []
    for task in tasks[: spec.n_tasks or None]:
        if not task.definition and not task.examples:
            missing = "has an empty definition and no example, so no word can be dropped; write one or delete the task"
            raise SpecError(f"{spec.tasks}, task {task.name!r} {missing}")
        if task.source == ROW:
            most = spec.most_letters - len(task.definition)
            instances = tuple(one for one in task.instances if len(one[0]) <= most)
            kept += [replace(task, instances=instances)] if instances and most >= 0 else []
        elif short := shortened(task, spec.most_letters):
            kept.append(short)
    if len({task.name for task in kept}) < len(kept):
        raise SpecError(f"{spec.tasks} has two tasks of one name")
    if not kept:
        raise SpecError(f"{spec.tasks} has no task of at most {spec.most_letters} letters; set most_letters higher")
    return kept


# ---- prompts, what they cost, and what is wrong with them ------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """Tasks that can be measured, as prompts."""

    tasks: list[Task]
    prompts: list
    """`uncertainty.PromptTask`."""
    left_out: int
    """Tasks that were too long."""
    n_read: int
    """Tokens that the model reads and writes, at most."""
    n_written: int
    parameters: float
    """Of the model, roughly."""

    @property
    def seconds(self) -> float:
        """On one core, at most."""
        return START + (self.n_read + WRITING * self.n_written) * (OVERHEAD + self.parameters / SPEED)


def config_of(model: str):
    """The configuration and tokenizer of a model, without its weights; of an adapter those of its base. SpecError: it
    cannot be read, or is no causal model."""
    from huggingface_hub.utils import logging
    from transformers import AutoConfig, AutoTokenizer

    from .pretrained import cached, convert_smollm2, tiny

    logging.set_verbosity_error()  # without a network it would tell of each attempt
    if model == "tiny":
        made, tokenizer = tiny()
        return made.config, tokenizer
    try:
        path = cached("smollm2", convert_smollm2) if model == "smollm2" else base_of(model) or model
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        if config.is_encoder_decoder:
            allowed = "allowed: causal models, such as Llama or GPT-2"
            raise SpecError(f"the model {model!r} is an encoder-decoder; {allowed}")
        return config, AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"the model {model!r} cannot be loaded: {str(error).strip().splitlines()[0]}") from error


def base_of(model: str) -> str:
    """The base model of a folder that holds a PEFT adapter; "" of another."""
    file = Path(model) / "adapter_config.json"
    return json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"] if file.is_file() else ""


def framed(spec: TasksSpec, tokenizer):
    """The tokenizer with the frame of the spec. SpecError: it has no chat template."""
    if spec.frame == "plain":
        tokenizer.chat_template = None
    elif not tokenizer.chat_template:
        instead = "set frame = plain to put tasks after '### Instruction', or name a model that is tuned on chats"
        raise SpecError(f"the model {spec.model!r} has no chat template; {instead}")
    return tokenizer


@functools.lru_cache(maxsize=4)
def ready(spec: TasksSpec) -> Ready:
    """The tasks of a spec as prompts. SpecError: whatever is wrong with tasks or model."""
    tasks = read(spec.tasks, spec.instruction, spec.input)
    kept = chosen(tasks, spec)
    config, tokenizer = config_of(spec.model)
    from .pretrained import Pretrained
    from .prompting import Template

    if tokenizer.eos_token_id is None:
        raise SpecError(f"the tokenizer of the model {spec.model!r} has no end-of-sequence token; name another model")
    template = Template(Pretrained(spec.model, None, framed(spec, tokenizer), tokenizer.eos_token_id))
    prompts = [prompt_of(template, task) for task in kept]
    n_read = n_written = 0
    most = getattr(config, "max_position_embeddings", None) or 1 << 60
    for task, prompt in zip(kept, prompts):
        head = sum(len(unit) for segment in prompt.prompt for unit in segment.units)
        tails = [len(tail) + spec.max_tokens for tail in prompt.inputs[: spec.n]]
        if (longest := head + max(tails)) > most:
            read_by = f"the model {spec.model!r} reads {most}"
            shorter = "set most_letters lower, which leaves out long instances, or name a model that reads more"
            raise SpecError(f"task {task.name!r} has up to {longest} tokens, {read_by}; {shorter}")
        n_read += (head + sum(tails)) * (spec.k + 1) + head
        n_written += spec.max_tokens * len(tails)
    width, layers = getattr(config, "hidden_size", 0), getattr(config, "num_hidden_layers", 0)
    parameters = 12.0 * layers * width**2 + config.vocab_size * width
    return Ready(kept, prompts, len(tasks[: spec.n_tasks or None]) - len(kept), n_read, n_written, parameters)


def prompt_of(template, task: Task):
    """A task as a prompt: a row as its instruction, whose words can be dropped, with its input behind; another in the
    template of Tk-Instruct."""
    from ..active.uncertainty import PromptTask, Segment

    if task.source != ROW:
        return template.task(task)
    head = (Segment((template.before,)), template.words(task.definition, "definition"))
    tails = [(template.encode(f"\n\n{text}") if text else ()) + template.after for text, _ in task.instances]
    golds = [template.encode(outputs[0]) for _, outputs in task.instances]
    return PromptTask(task.definition, head, tuple(tails), tuple(golds))
