"""Every parameter of every notebook, and every field of a spec that a parameter can hold: type, default, meaning.

Read from the sources alone: the comments of the notebooks' parameter cells, the texts below the fields of the specs.
"""

import ast
import dataclasses
import functools
import importlib
import inspect
import io
import re
import tokenize
import typing

from . import notebooks
from .specs import Spec

MODULES = ("rewriting.specs", "active.specs", "language.specs", "language.pretrained", "language.your_tasks")
"""Where the specs are that a comment can name, as in "of TaskSpec"."""
SHARED = {
    "first_seed": "the first seed",
    "seed": "chooses all that is random",
    "tested_z_len": "shortest and longest input that is tested",
    "models": "changes of task, model and training, a rewriter each",
    "bases": "what rewriters were pretrained on, fields of TaskSpec",
    "halved_rules": "number of rules whose examples are halved",
}
"""What parameters without a comment mean."""


class Row(typing.NamedTuple):
    """A parameter or a field."""

    name: str
    type: str
    default: str
    meaning: str


def of_notebook(name: str) -> dict[str, list[Row]]:
    """The parameters of a notebook under "", and the fields of the specs that its mappings hold, by "PARAMETER, of
    SPEC"."""
    stem = notebooks.resolve(name)
    defaults, said = notebooks.defaults(stem), comments(notebooks.parameter_cell(stem))
    meant = {parameter: said.get(parameter) or SHARED.get(parameter, "") for parameter in defaults}
    found = {"": [Row(p, type(default).__name__, short(default), meant[p]) for p, default in defaults.items()]}
    for parameter, default in defaults.items():
        named = re.search(r"\bof (\w+Spec)\b", meant[parameter])
        if isinstance(default, dict) and named:
            found[f"{parameter}, of {named[1]}"] = fields(spec(named[1]))
    return found


def spec(name: str) -> type[Spec]:
    """The spec of a name."""
    modules = [importlib.import_module(f"ditune.{module}") for module in MODULES]
    return next(getattr(module, name) for module in modules if hasattr(module, name))


def comments(source: str) -> dict[str, str]:
    """What the comment behind each assignment says.

    >>> comments("n = 3  # rules\\nm = 4")
    {'n': 'rules'}
    """
    lines = {t.start[0]: t.string.lstrip("# ") for t in tokenize.generate_tokens(io.StringIO(source).readline)
             if t.type == tokenize.COMMENT}  # fmt: skip
    found = {}
    for statement in ast.parse(source).body:
        target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
        if statement.end_lineno in lines:
            found[target.id] = lines[statement.end_lineno]
    return found


@functools.cache
def fields(kind: type[Spec]) -> list[Row]:
    """The fields of a spec, with the texts below them."""
    texts = {}
    for owner in reversed(kind.__mro__):
        if dataclasses.is_dataclass(owner):
            body = ast.parse(inspect.cleandoc(inspect.getsource(owner))).body[0].body
            for field, text in zip(body, [*body[1:], None]):
                if isinstance(field, ast.AnnAssign):
                    has = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                    texts[field.target.id] = (ast.unparse(field.annotation), text.value.value if has else "")
    found = []
    for field in dataclasses.fields(kind):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        kind_text, meaning = texts[field.name]
        found.append(Row(field.name, kind_text, short(default), " ".join(meaning.split())))
    return found


def short(value, most: int = 60) -> str:
    """A default in few signs; of a spec what differs from its own defaults."""
    if isinstance(value, Spec):
        value = value.changed()
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
