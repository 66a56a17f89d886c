"""The guard: a record is stale after an edit of what its result depends on, however far down, and of nothing else."""

import ast
import re
import shutil

import pytest

import ditune.language
from ditune.active.specs import SelectSpec
from ditune.language.specs import InstructionMapSpec, LanguageSpec
from ditune.rewriting.specs import RunSpec
from ditune.store import guard, kinds, threads

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
    ("store/threads.py", "torch.set_num_threads(1)", "torch.set_num_threads(2)", set(KINDS)),
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


def test_definitions_of_one_name_are_told_apart(package):
    """Their values exchanged between two modules, the set of all definitions stays the same, and what runs does not."""
    places = [(package / f"rewriting/{name}.py") for name in ("rules", "running")]
    texts = [path.read_text() for path in places]
    values = [re.search(r"^PATIENCE = (.*)$", text, flags=re.MULTILINE).group(1) for text in texts]
    assert len(set(values)) == 2
    for path, text, old, new in zip(places, texts, values, reversed(values)):
        path.write_text(text.replace(f"PATIENCE = {old}", f"PATIENCE = {new}", 1))
    assert hashes()["AlgorithmSpec"] != BEFORE["AlgorithmSpec"]


@pytest.mark.parametrize("line", ["NEWTON_SCHULZ[0:1] = []", "BETAS.update(a=1)", "MUON += 1", "del EPS"])
def test_a_statement_that_changes_what_was_defined_is_refused(package, line):
    optim = package / "rewriting/optim.py"
    optim.write_text(f"{optim.read_text()}\n{line}\n")
    forget()
    with pytest.raises(guard.Unfollowed, match="ditune.rewriting.optim, line .*changes what was defined"):
        KINDS["RunSpec"].code()


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


@pytest.mark.parametrize(
    "line", ["from .model import *", "import ditune.rewriting.model", "x = __import__('os')", "x = exec", "x = __file__"]
)
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
        roots = [(f.__module__, f.__qualname__) for f in (spec, kinds.KINDS[spec.__name__].run, threads.one_thread)]
        return {module.removeprefix("ditune.") for module, _ in guard.closure(*roots)}

    assert {"rewriting.train", "rewriting.tasks", "rewriting.evaluate", "specs"} <= files(RunSpec)
    assert not any(name.startswith(("active", "language", "report", "chapters")) for name in files(RunSpec))
    assert {"active.loop", "active.uncertainty", "rewriting.model"} <= files(SelectSpec)
    assert any(name.startswith("sandbox") for name in files(LanguageSpec))
    assert not any(name.startswith("sandbox") for name in files(InstructionMapSpec))
    assert ditune.language.runs
