"""The guard: a record is stale after an edit of what its result depends on, however far down, and of nothing else."""

import ast
import shutil

import pytest

import ditune.language
from ditune.active.specs import SelectSpec
from ditune.language.specs import InstructionMapSpec, LanguageSpec
from ditune.rewriting.specs import RunSpec
from ditune.store import backends, guard, kinds

KINDS = {kind: kinds.KINDS[kind] for kind in sorted(kinds.KINDS) if kind != "StubSpec"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package whose sources a test may change."""
    shutil.copytree(guard.PACKAGE, tmp_path / "package")
    monkeypatch.setattr(guard, "PACKAGE", tmp_path / "package")
    yield tmp_path / "package"
    forget()


def forget():
    """Hash anew; what was read of files that have not changed is kept."""
    guard.code_hash.cache_clear()


def hashes() -> dict[str, str]:
    forget()
    return {name: kind.code() for name, kind in KINDS.items()}


BEFORE = hashes()


def changed(path, old: str, new: str) -> set[str]:
    """The kinds of runs whose code an edit changes."""
    text = path.read_text()
    assert text.count(old) >= 1, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new, 1))
    after = hashes()
    path.write_text(text)
    return {name for name in KINDS if BEFORE[name] != after[name]}


TRAINED = {"RunSpec", "ProbeSpec", "AlgorithmSpec"}
ACTIVE = {"SelectSpec", "MeasureSpec"}
ENCRYPTED = {"EncryptedSpec", "FromScratchSpec"}


@pytest.mark.parametrize("file, old, new, stale", [
    ("rewriting/evaluate.py", "BATCH = 512", "BATCH = 256", TRAINED | ACTIVE | ENCRYPTED),  # a constant
    ("rewriting/specs.py", "1 << 30", "1 << 20", None),  # in TaskSpec.prefix_len, which decides what rules there are
    ("rewriting/specs.py", 'FAMILIES = ("uniform", "repeated",', 'FAMILIES = ("repeated", "uniform",', None),  # an order
    ("rewriting/specs.py", "weight_decay: float = 0.01", "weight_decay: float = 0.02", None),  # a default
    ("specs.py", "return (value, value)", "return (value, value + 1)", set(KINDS)),  # convert, which every spec calls
    ("active/specs.py", 'NOISE = ("clean", "noisy"', 'NOISE = ("noisy", "clean"', ACTIVE),
    ("store/backends.py", "torch.set_num_threads(1)", "torch.set_num_threads(2)", set(KINDS)),
    ("sandbox/jail.py", "CHANNEL = 3", "CHANNEL = 4", {"LanguageSpec"}),  # runs no program but in a sandbox
    ("report/plots.py", "PANEL = 3.0", "PANEL = 4.0", set()),
    ("chapters/number_of_rules.py", "SHARP = 3", "SHARP = 4", set()),
    ("study.py", "deadline, wait, failed", "deadline, wait, broken", set()),
    ("store/records.py", "NOT_REPEATABLE = (", 'NOT_REPEATABLE = ("x", ', set()),
])
def test_an_edit_makes_exactly_those_records_stale_that_depend_on_it(package, file, old, new, stale):
    found = changed(package / file, old, new)
    assert found == stale if stale is not None else TRAINED | ACTIVE <= found


def test_what_is_said_and_refused_changes_nothing(package):
    assert changed(package / "rewriting/evaluate.py", '"""Exact match', '# a comment\n"""Exactest match') == set()
    assert changed(package / "rewriting/specs.py", "the number of examples", "that of examples") == set()  # in TaskSpec.check
    assert changed(package / "specs.py", "has the wrong type", "is of the wrong type") == set()  # in what is raised


def test_moving_a_definition_to_another_module_changes_nothing(package):
    optim, other = package / "rewriting/optim.py", package / "rewriting/schedules.py"
    text = optim.read_text()
    (found,) = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "schedule")
    lines = text.splitlines(keepends=True)
    other.write_text("from .specs import TrainSpec\n\n" + "".join(lines[found.lineno - 1 : found.end_lineno]))
    optim.write_text("from .schedules import schedule\n" + "".join(lines[: found.lineno - 1] + lines[found.end_lineno :]))
    guard._read.cache_clear()  # definitions that name it have not changed, but lead elsewhere now
    assert hashes() == BEFORE
    guard._read.cache_clear()


@pytest.mark.parametrize("line", ["from .model import *", "import ditune.rewriting.model", "x = __import__('os')"])
def test_what_cannot_be_followed_is_said(package, line):
    optim = package / "rewriting/optim.py"
    text = optim.read_text()
    text = text.replace("import torch\n", f"import torch\n{line}\n", 1)
    optim.write_text(text.replace("        norm = grad", "        y = x\n        norm = grad"))
    forget()
    with pytest.raises(guard.Unfollowed, match="ditune.rewriting.optim, line"):
        KINDS["RunSpec"].code()


def test_the_closure_holds_what_a_run_imports_and_no_more():
    def files(spec):
        roots = [(f.__module__, f.__qualname__) for f in (spec, kinds.KINDS[spec.__name__].run, backends.one_thread)]
        return {module.removeprefix("ditune.") for module, _ in guard.closure(*roots)}

    assert {"rewriting.train", "rewriting.tasks", "rewriting.evaluate", "specs"} <= files(RunSpec)
    assert not any(name.startswith(("active", "language", "report", "chapters")) for name in files(RunSpec))
    assert {"active.loop", "active.uncertainty", "rewriting.model"} <= files(SelectSpec)
    assert any(name.startswith("sandbox") for name in files(LanguageSpec))
    assert not any(name.startswith("sandbox") for name in files(InstructionMapSpec))
    assert ditune.language.runs
