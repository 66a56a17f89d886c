"""Problems, what of a model's text counts, verdicts that no program can forge."""

import ast
import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hostile import CHEATS, FORGERIES, GREEDY

from ditune.language.catalogue import BENCHMARKS
from ditune.language.codegen import FUNCTION_STOPS, MODULE_STOPS, Problem, check, check_all, load
from ditune.sandbox import programs
from ditune.sandbox.programs import Limits, SandboxError, missing_protections, run
from ditune.specs import SpecError

MISSING = missing_protections()
needs_kernel = pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING))
SMALL = Limits(wall_seconds=4, cpu_seconds=1, memory_mb=128, processes=6)
PATIENT = Limits(wall_seconds=60, cpu_seconds=30)

TESTS = """
def check(candidate):
    assert candidate([1, 2]) == [2, 4]
    assert candidate([]) == []
check(double)
"""
DOUBLE = Problem("double", 'def double(x):\n    """Each element twice."""\n', "    return [2 * i for i in x]\n", TESTS, "double", FUNCTION_STOPS)


def problems(benchmark):
    """The problems, where they are on this machine."""
    try:
        return load(benchmark)
    except SpecError as error:
        pytest.skip(str(error))


def test_humaneval_is_whole():
    found = problems("humaneval")
    assert [problem.name for problem in found] == [f"HumanEval/{i}" for i in range(164)]
    assert all(f"def {problem.entry_point}(" in problem.question for problem in found)
    assert all(problem.tests.endswith(f"check({problem.entry_point})\n") for problem in found)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_question_and_its_canonical_answer_are_a_program_that_survives_cutting(benchmark):
    for problem in problems(benchmark):
        question, answer = problem.pair
        names = {node.name for node in ast.walk(ast.parse(question + answer)) if isinstance(node, ast.FunctionDef)}
        assert problem.entry_point in names
        assert not question[-1].isspace() and answer[0] == "\n"
        assert problem.cut(answer) == problem.cut(answer[1:]) == answer


@pytest.mark.parametrize("stops, text, kept", [
    (FUNCTION_STOPS, "\n    return x\n\n\ndef g():\n    pass", "\n    return x\n\n"),
    (FUNCTION_STOPS, "    return x\nclass A:", "\n    return x"),
    (FUNCTION_STOPS, "    if x:\n        return x\n    print(x)\nif x:\n", "\n    if x:\n        return x\n    print(x)"),
    (FUNCTION_STOPS, "    return x\nprint(f(1))\n", "\n    return x"),
    (FUNCTION_STOPS, "    return x\n```\nThis is it.", "\n    return x"),
    (FUNCTION_STOPS, "\n\n    return x", "\n\n    return x"),
    (FUNCTION_STOPS, "def f(x):", ""),
    (MODULE_STOPS, "import re\ndef g(x):\n    pass\ndef f(x):\n    pass\nprint(f(1))", "\nimport re\ndef g(x):\n    pass\ndef f(x):\n    pass"),
    (MODULE_STOPS, "def f(x):\n    pass\nassert f(1) == 1", "\ndef f(x):\n    pass"),
])
def test_a_completion_ends_where_something_else_begins(stops, text, kept):
    assert Problem("p", "def f(x):\n", "", "", "f", stops).cut(text) == kept


ROW = {"task_id": 7, "text": "Count.", "code": "class Node:\r\n  pass\r\ndef n(a): \r\n\treturn 1", "test_setup_code": "a = Node()"}


def test_mbpp_is_read_from_the_folder_of_the_user(tmp_path, monkeypatch):
    rows = [ROW | {"test_list": ["assert n(a) == 1", "assert n(2) == 2"], "split": split} for split in ("train", "test", "prompt")]
    with gzip.open(tmp_path / "mbpp.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    (first,) = load("mbpp")
    assert (first.name, first.entry_point, first.helpers) == ("MBPP/7", "n", ("Node", "n"))
    assert first.prompt == '"""\nCount.\nassert n(a) == 1\n"""\n'
    assert first.answer == "\nclass Node:\n  pass\ndef n(a): \n\treturn 1"
    assert first.tests == "a = Node()\nassert n(a) == 1\nassert n(2) == 2\n"


def hostile(attack: str) -> str:
    """A completion of `double`: wrong, then the attack."""
    return f"\n    return None\n\n{attack}"


@pytest.fixture(scope="module")
def verdict():
    """The verdict on a hostile completion by its text; all of a group are checked together, several at a time."""
    done = {}

    def of(attack, group):
        if attack not in done:
            with ThreadPoolExecutor(6) as pool:
                done.update(zip(group.values(), pool.map(lambda text: check(DOUBLE, hostile(text), SMALL), group.values())))
        return done[attack]

    return of


@needs_kernel
@pytest.mark.parametrize("name", CHEATS | FORGERIES)
def test_a_program_that_cheats_fails(name, verdict):
    group = CHEATS | FORGERIES
    found = verdict(group[name], group)
    assert not found.passed and found.reason


@needs_kernel
@pytest.mark.slow
@pytest.mark.parametrize("name", GREEDY)
def test_a_greedy_program_fails_in_time(name, verdict):
    found = verdict(GREEDY[name], GREEDY)
    assert not found.passed and found.reason
    assert found.seconds < SMALL.wall_seconds + 3


@needs_kernel
def test_the_forgeries_are_good_enough_for_tests_in_the_same_interpreter():
    texts = [DOUBLE.program(hostile(attack)) + TESTS for attack in FORGERIES.values()]
    with ThreadPoolExecutor(6) as pool:
        assert [outcome.status for outcome in pool.map(lambda text: run(text, SMALL), texts)] == [0] * len(texts)


@needs_kernel
def test_right_programs_pass_and_wrong_ones_say_why():
    completions = {
        DOUBLE.answer: "",
        "\n    print(x)\n    import json, random\n    return list(map((2).__mul__, x))": "",
        "\n    return x": "AssertionError",
        "\n    return 1 / 0": "ProgramError: the program raised ZeroDivisionError: division by zero",
        "\n    import numpy": "ProgramError: the program raised ModuleNotFoundError: No module named 'numpy'",
        "\n  return": "ProgramError: the program raised IndentationError: unindent does not match any outer indentation level (program.py, line 3)",
    }
    verdicts = check_all([DOUBLE] * len(completions), list(completions), PATIENT, workers=3)
    assert [(v.passed, v.reason) for v in verdicts] == [(reason == "", reason) for reason in completions.values()]
    with pytest.raises(ValueError, match="shorter"):
        check_all([DOUBLE, DOUBLE], [DOUBLE.answer])


def test_nothing_is_judged_without_protection(monkeypatch):
    monkeypatch.setattr(programs, "missing_protections", lambda: ("network: not certain",))
    with pytest.raises(SandboxError, match="not run here, for it would be unprotected: network"):
        check(DOUBLE, DOUBLE.answer)


@needs_kernel
@pytest.mark.slow
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_canonical_solution_passes(benchmark):
    found = problems(benchmark)
    verdicts = check_all(found, [problem.answer for problem in found], PATIENT, workers=2)
    assert {problem.name: v.reason for problem, v in zip(found, verdicts) if not v.passed} == {}
