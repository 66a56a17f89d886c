"""Notebooks: their parameters and specs, checked before anything starts, and their execution with papermill.

A notebook has one cell tagged "parameters" that assigns literals. A profile, `notebooks/profiles/NAME.yaml`, maps
notebooks to values for some of them. The executed copy goes to `book/notebooks/`, without times and random names, so
that executing twice gives the same bytes; its metadata say what it was executed with, and it is executed again only
when that has changed.
"""

import ast
import functools
import hashlib
import importlib
import importlib.metadata
import json
import logging
import math
import os
import platform
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from .specs import Spec, SpecError, unknown
from .store import guard, records

KERNEL = "python3"  # the kernel of the interpreter that papermill runs in
ENVIRONMENT = {"SOURCE_DATE_EPOCH": "0", "PYTHONHASHSEED": "0", "TQDM_DISABLE": "1"}
"""Set in kernels, so that outputs do not depend on the time: dates in SVG, the order of sets, progress bars."""


YAML_1_2 = {
    "null": "^(~|null|Null|NULL|)$",
    "bool": "^(true|True|TRUE|false|False|FALSE)$",
    "int": "^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$",
    "float": r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
    "merge": "^<<$",
}
"""What a word in YAML means, the first that fits."""


# ---- parameters ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """A notebook with the parameters it is to be executed with."""

    stem: str
    parameters: dict
    """All of them, by name."""
    changed: dict
    """Those that differ from the notebook's own."""
    specs: list[Spec]
    reads: tuple[str, ...] = ()
    """What the page reads beside the records of its runs: "records" (all of them), "benchmarks"."""


def folder() -> Path:
    """The folder of the notebooks."""
    return records.root() / "notebooks"


def executed(stem: str) -> Path:
    """The executed copy of a notebook: a numbered chapter, the front page, or a page of yours."""
    folder = "notebooks" if stem[0].isdigit() else "your_runs" if not of_study(stem) else ""
    return records.root() / "book" / folder / f"{stem}.ipynb"


def stems() -> list[str]:
    """The names of all notebooks, in order."""
    if not (found := sorted(path.stem for path in folder().glob("*.ipynb"))):
        raise SpecError(f"no notebooks in {folder()}; DITUNE_ROOT is to name the folder of the study")
    return found


def of_study(stem: str) -> bool:
    """Whether a notebook is part of the study; another one runs only where it is named."""
    return stem[0].isdigit() or stem == "index"


def profiles() -> list[str]:
    """The names of all profiles."""
    return sorted(path.stem for path in (folder() / "profiles").glob("*.yaml"))


def module_of(stem: str) -> ModuleType:
    """The module of a notebook: of `02_number_of_rules` it is `ditune.chapters.number_of_rules`. It has `runs`, and
    may say what the page READS."""
    name = f"ditune.chapters.{chapter_of(stem)}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise SpecError(f"notebook {stem} needs the module {name}, which is not there") from None


def chapter_of(stem: str) -> str:
    """The name of a notebook's module."""
    return stem.partition("_")[2] if stem[0].isdigit() else stem


def resolve(name: str) -> str:
    """The notebook that is meant by its name, its path, or the beginning of its name ("02")."""
    wanted = Path(name).name.removesuffix(".ipynb")
    found = [stem for stem in stems() if stem == wanted] or [stem for stem in stems() if stem.startswith(wanted)]
    if len(found) != 1:
        raise unknown("notebook", name, found or stems())
    return found[0]


def parameter_cell(stem: str) -> str:
    """The source of the notebook's cell tagged "parameters"."""
    cells = [cell for cell in _read(stem)["cells"] if "parameters" in cell["metadata"].get("tags", ())]
    if len(cells) != 1:
        raise SpecError(f"notebook {stem} has {len(cells)} cells tagged 'parameters'; it needs one")
    return "".join(cells[0]["source"])


def defaults(stem: str) -> dict:
    """The notebook's own parameters: the literals that its cell tagged "parameters" assigns."""
    values = {}
    try:
        statements = ast.parse(parameter_cell(stem)).body
    except (SyntaxError, ValueError) as error:
        raise SpecError(f"notebook {stem}: its parameters are no Python: {error}") from None
    for statement in statements:
        try:
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
            (name,) = [target.id for target in targets]
            values[name] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):  # no such part, or no literal
            raise SpecError(
                f"notebook {stem}: its parameters may only be literals, not: {ast.unparse(statement)}"
            ) from None
    return values


def profile_parameters(profile: str) -> dict[str, dict]:
    """The parameters that a profile sets, by notebook; top-level keys that start with "_" are YAML anchors."""
    if profile not in profiles():
        raise unknown("profile", profile, profiles())
    path = folder() / "profiles" / f"{profile}.yaml"
    try:
        content = from_yaml(path.read_text(encoding="utf-8")) or {}
    except (ValueError, OSError) as error:
        raise SpecError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise SpecError(f"{path}: allowed: notebooks with their parameters, such as 'NOTEBOOK: {{NAME: VALUE}}'")
    found = {str(name): values or {} for name, values in content.items() if not str(name).startswith("_")}
    for name, values in found.items():
        if not isinstance(values, dict):
            raise SpecError(f"{path}: {name}: {values!r}; allowed: parameters, such as {{NAME: VALUE}}")
    return found


def plan(names: list[str], profile: str, overrides: list[tuple[str, str]] = ()) -> list[Plan]:
    """What to execute: the named notebooks (those of the study, if none is named) with the profile's parameters and
    then the overrides.

    An override is a name and a value in YAML; it goes to every named notebook that has such a parameter. A mapping
    changes the keys that it names and leaves the others as they are. Whatever is mistyped or impossible is a SpecError.
    """
    chosen = [resolve(name) for name in names] or [stem for stem in stems() if of_study(stem)]
    own = {stem: defaults(stem) for stem in chosen}
    from_profile = profile_parameters(profile)
    for stem, values in from_profile.items():
        if stem not in (known := stems()):
            raise unknown(f"notebook in profile {profile}:", stem, known)
        for name in values if stem in own else ():
            if name not in own[stem]:
                raise unknown(f"parameter of {stem} in profile {profile}:", name, own[stem])
    given = {name: parse(name, text) for name, text in overrides}
    for name in given:
        if not any(name in own[stem] for stem in chosen):
            raise unknown("parameter", name, sorted({n for stem in chosen for n in own[stem]}))
    return [_plan_one(stem, own[stem], from_profile.get(stem, {}), given) for stem in dict.fromkeys(chosen)]


def _plan_one(stem: str, own: dict, from_profile: dict, given: dict) -> Plan:
    parameters = own | {name: fit(stem, name, own[name], value) for name, value in from_profile.items()}
    for name, value in given.items():
        if name in own:
            value, before = fit(stem, name, own[name], value), parameters[name]
            parameters[name] = before | value if isinstance(before, dict) and isinstance(value, dict) else value
    module = module_of(stem)
    parameters = getattr(module, "located", dict)(parameters)
    changed = {n: v for n, v in parameters.items() if v != own[n]}
    return Plan(stem, parameters, changed, list(dict.fromkeys(module.runs(**parameters))), getattr(module, "READS", ()))


def parse(name: str, text: str):
    """The value of an override, written as YAML."""
    try:
        return from_yaml(text)
    except ValueError as error:
        why = " ".join(str(error).split())
        raise SpecError(f"{name} = {reprlib.repr(text)} is not valid YAML: {why}") from None


def from_yaml(text: str):
    """A value in YAML, of which a wrong form is a ValueError: version 1.2, where 010 is ten and 1:30 a text, without
    keys that occur twice and without dates.

    >>> from_yaml("{a: 010, b: 1:30, c: 0o10, d: 1e3, e: yes}")
    {'a': 10, 'b': '1:30', 'c': 8, 'd': 1000.0, 'e': 'yes'}
    """
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}

        def compose_mapping_node(self, anchor):
            node = super().compose_mapping_node(anchor)
            keys = [key.value for key, _ in node.value]
            for number, (key, _) in enumerate(node.value):
                if key.value in keys[:number]:
                    raise yaml.composer.ComposerError(None, None, f"{key.value!r} occurs twice", key.start_mark)
            return node

        # Some versions of PyYAML take the merged value where a merged mapping has its own.
        def flatten_mapping(self, node):
            super().flatten_mapping(node)
            node.value = list({repr(key.value): (key, value) for key, value in node.value}.values())

    for tag, pattern in YAML_1_2.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), None)
    number = "tag:yaml.org,2002:int"
    Loader.add_constructor(number, lambda self, node: int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10))
    try:
        value = yaml.load(text, Loader)
        json.dumps(value, default=str)  # ValueError where it holds itself
        return value
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error) if isinstance(error, yaml.YAMLError) else "too many brackets") from None


def fit(stem: str, name: str, default, value):
    """The value, as a float where the default is one; a SpecError where its type is not the default's."""
    if isinstance(default, float) and type(value) in (int, str):
        try:
            value = float(value)  # papermill reads 1e-3 as a text
        except (ValueError, OverflowError):
            value = str(value)  # no float holds it: it is refused below
    if _infinite(value):
        raise SpecError(f"{stem}: {name} = {value!r}; allowed: finite numbers")
    if default is None or _alike(default, value):
        return value
    kind = type(default).__name__
    if isinstance(default, (list, tuple)) and default:
        kind += f" of {type(default[0]).__name__}"
    raise SpecError(f"{stem}: {name} = {value!r} has the wrong type; allowed: {kind}, such as {default!r}")


def _infinite(value) -> bool:
    """Whether it is, or is a list that holds, a number that is infinite or none (NaN); specs say so of their fields."""
    if isinstance(value, (list, tuple)):
        return any(map(_infinite, value))
    return isinstance(value, float) and not math.isfinite(value)


def _alike(default, value) -> bool:
    """Whether the types agree, inside lists too, where an int may stand for a float."""
    if isinstance(default, (list, tuple)) and isinstance(value, (list, tuple)):
        return not default or all(any(_alike(d, v) for d in default) for v in value)
    return type(value) is type(default) or (type(default) is float and type(value) is int)


def of_kernel(stem: str, values: dict) -> dict:
    """The notebook's parameters among the variables of its kernel; SpecError for those that papermill was given and
    that it does not have."""
    own = defaults(stem)
    for source in values.get("In", ()):
        if source.startswith("# Parameters\n"):  # the cell that papermill injects
            for name in re.findall(r"^(\w+) = ", source, re.MULTILINE):
                if name not in own:
                    raise unknown(f"parameter of {stem}:", name, own)
    return {name: values.get(name, value) for name, value in own.items()}


def _read(stem: str) -> dict:
    """The content of a notebook; SpecError where it is none."""
    path = folder() / f"{stem}.ipynb"
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_once)
        for cell in content["cells"]:
            cell["cell_type"], cell["source"], cell["metadata"].get("tags")
        return content
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SpecError(f"{path} is no notebook: {type(error).__name__}: {error}") from None


def _each_once(pairs: list[tuple]) -> dict:
    """An object of JSON; ValueError where a key occurs twice."""
    if len(found := dict(pairs)) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return found


# ---- fingerprint -----------------------------------------------------------------------------------------------------


def fingerprint(planned: Plan) -> str:
    """A hash of all that the executed copy depends on: cells, parameters, the package, libraries, records and data."""
    cells = [[cell["cell_type"], "".join(cell["source"]), cell["metadata"]] for cell in _read(planned.stem)["cells"]]
    found = [[os.path.relpath(path, records.root()), _digest(path)] for path in sources(planned) if path.is_file()]
    package = [[path.relative_to(guard.PACKAGE).as_posix(), _digest(path)] for path in package_files(planned)]
    return guard.short_hash(json.dumps([cells, planned.parameters, package, installed(), found]))


def package_files(planned: Plan) -> list[Path]:
    """The files of the package that a page depends on: all but those of chapters that its own does not import.
    A page that reads all records shows all chapters."""
    chapters = guard.PACKAGE / "chapters"
    own = {chapters / f"{name}.py" for name in imported_chapters(chapter_of(planned.stem))}
    files = sorted(guard.PACKAGE.rglob("*.py"))
    if "records" in planned.reads:
        return files
    return [path for path in files if path.parent != chapters or path in own or not _is_of_a_notebook(path)]


def imported_chapters(name: str) -> set[str]:
    """The modules of chapters that a chapter's module imports, itself among them."""
    path = guard.PACKAGE / "chapters" / f"{name}.py"
    found = {name}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else ():
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= set().union(*(imported_chapters(other) for other in names))
    return found


def _is_of_a_notebook(path: Path) -> bool:
    return any(chapter_of(stem) == path.stem for stem in stems())


def sources(planned: Plan) -> list[Path]:
    """The files that a notebook may read: the records of its runs, data of the book, and what its chapter says that it
    reads beside them."""
    folders = (records.local(), records.results())
    files = [folder / f"{spec.key}.json" for spec in planned.specs for folder in folders]
    files += [path for folder in folders for path in folder.glob("*.json")] if "records" in planned.reads else []
    files += (records.results() / "benchmarks").glob("*.json") if "benchmarks" in planned.reads else []
    return sorted({*files, *(records.root() / "book" / "data").glob("*")})


@functools.lru_cache
def installed() -> list[str]:
    """Python and every installed distribution, with versions."""
    return [platform.python_version(), *sorted(f"{d.name} {d.version}" for d in importlib.metadata.distributions())]


def book_fingerprint() -> str:
    """A hash of all that the pages are built from: words, executed notebooks, configuration, libraries."""
    root = records.root()
    files = [path for path in [root / "_config.yml", *sorted((root / "book").rglob("*"))] if path.is_file()]
    kept = [path for path in files if "__pycache__" not in path.parts]
    url = os.environ.get("DITUNE_SITE_URL", "")
    return guard.short_hash(
        json.dumps([[str(path.relative_to(root)), _digest(path)] for path in kept] + [installed(), url])
    )


def is_current(planned: Plan) -> bool:
    """Whether the executed copy is what executing again would give."""
    try:
        metadata = json.loads(executed(planned.stem).read_text(encoding="utf-8"))["metadata"]
        return metadata["ditune"]["fingerprint"] == fingerprint(planned)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return str(error.strerror)


# ---- execution -------------------------------------------------------------------------------------------------------


def execute(planned: Plan, profile: str, sockets: str) -> str:
    """Execute a notebook, with a folder for the kernel's sockets, and replace its copy in the book; returns the error,
    short, or "" where there is none.

    Papermill changes the working directory of the process, so two notebooks need two processes.
    """
    import nbformat
    import papermill

    made_with = {"fingerprint": fingerprint(planned), "profile": profile, "parameters": planned.parameters}
    os.environ.update(ENVIRONMENT)
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of parameters that its own parser cannot read
    try:
        notebook = papermill.execute_notebook(
            folder() / f"{planned.stem}.ipynb",
            None,
            planned.changed,
            kernel_name=KERNEL,
            language="python",
            cwd=folder(),
            progress_bar=False,
            kernel_manager_class=kernel_manager(f"{sockets}/{planned.stem.partition('_')[0]}"),
            extra_arguments=["--log-level=50"],  # what a cell raises is reported; a kernel told to end is no error
            record_timing=False,
        )
    except papermill.PapermillExecutionError as error:
        return f"cell {error.cell_index}: {error.ename}: {error.evalue}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    clean(notebook)
    notebook.metadata["ditune"] = made_with
    records.write(executed(planned.stem), nbformat.writes(notebook) + "\n")
    return ""


def kernel_manager(sockets: str) -> type:
    """A kernel manager that talks through socket files of a name of its own: kernels race for TCP ports."""
    from jupyter_client.manager import AsyncKernelManager

    class SocketKernelManager(AsyncKernelManager):
        def __init__(self, **options):
            super().__init__(**options, transport="ipc", ip=sockets)

    return SocketKernelManager


def clean(notebook):
    """Take out of an executed notebook what differs from one execution to the next."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell.id = "injected-parameters"
            cell.metadata.tags = ["injected-parameters", "hide-input"]
            cell.metadata.mystnb = {"code_prompt_show": "Parameters of this run"}
