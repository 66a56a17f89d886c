"""Code generation: HumanEval and MBPP, what a model reads and what of its text counts, tests in the sandbox.

    problem.question  ->  a model  ->  problem.cut(text)  ->  check(problem, completion).passed
    problem.pair  ->  a scorer: the likelihood of the canonical solution

A program is question + completion, and the tests call it from another sandbox (`ditune.sandbox.calls`), which judges
the values that come back. So nothing that a program prints, patches or raises, and no way to exit, makes it pass. What
would: to return the right values for the tests' arguments without solving the problem, say because they are known by
heart; or a hole in the kernel (see `ditune.sandbox.programs`). A program has the standard library and no other package.

Sources: HumanEval, Chen et al. 2021 (arXiv 2107.03374); MBPP, Austin et al. 2021 (arXiv 2108.07732).
"""

import ast
import json
import re
import socket
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..sandbox import calls
from ..sandbox.programs import DEFAULT, Limits, started
from ..specs import SpecError
from .catalogue import check_here, find, read_rows

FUNCTION_STOPS = ("\ndef", "\nclass", "\nif", "\nprint", "\n#", "\n@", "\n```")
"""What ends a function body. Chen et al. 2021: class, def, #, if, print at the beginning of a line."""
MODULE_STOPS = ("\nif", "\nprint", "\nassert", '\n"""', "\n```")
"""What ends a completion that holds whole functions, with imports and helpers before them."""


@dataclass(frozen=True)
class Problem:
    """One problem: a text that a program begins with, a solution that continues it, tests."""

    name: str
    prompt: str
    canonical: str
    """The data set's own solution: prompt + canonical is a program."""
    tests: str
    """Statements that raise where the program is wrong."""
    entry_point: str
    """The function that the tests call."""
    stops: tuple[str, ...]
    """Texts of which the first ends a completion, and is not part of it: a model can stop there."""
    helpers: tuple[str, ...] = ()
    """Other functions and classes that the tests may want from the program."""

    @property
    def question(self) -> str:
        """What a model reads: the prompt without white space at its end, as tokenisers merge a newline with the
        indentation behind it. An answer therefore begins with the newline."""
        return self.prompt.rstrip()

    @property
    def answer(self) -> str:
        """The canonical solution as it continues the question.

        >>> Problem("p", "def f(x):\\n", "    return x\\n", "", "f", ()).answer
        '\\n    return x'
        """
        return "\n" + self.canonical.strip("\r\n").rstrip()

    @property
    def pair(self) -> tuple[str, str]:
        """Question and canonical answer."""
        return self.question, self.answer

    def cut(self, text: str) -> str:
        """The part of a model's text that belongs to the solution; a newline that is missing at its beginning is added.

        >>> Problem("p", "def f(x):\\n", "", "", "f", FUNCTION_STOPS).cut("    return x\\n\\nprint(f(1))")
        '\\n    return x\\n'
        """
        stop = "|".join(map(re.escape, self.stops))
        return re.split(stop, "\n" + text.removeprefix("\n"), maxsplit=1)[0]

    def program(self, completion: str) -> str:
        """The program that the tests call."""
        return f"{self.question}{completion}\n"


# ---- problems --------------------------------------------------------------------------------------------------------


def load(benchmark: str) -> list[Problem]:
    """The test problems of a benchmark of the catalogue, in the order of its file. SpecError: it is not here.

    HumanEval has 164. MBPP has 500; its prompt is a docstring of the task and the first of three tests, so that the
    name of the function is known.
    """
    check_here("benchmark", benchmark)
    problem, path, problems = humaneval_problem if benchmark == "humaneval" else mbpp_problem, find(benchmark), []
    for number, row in enumerate(read_rows(path), 1):
        try:
            if row.get("split", "test") == "test":
                problems.append(problem(row))
        except Exception as error:
            raise SpecError(f"{path}, row {number} is no problem: {type(error).__name__}: {error}") from error
    return problems


def humaneval_problem(row: dict) -> Problem:
    """A row of HumanEval."""
    tests = f"{row['test']}\ncheck({row['entry_point']})\n"
    return Problem(row["task_id"], row["prompt"], row["canonical_solution"], tests, row["entry_point"], FUNCTION_STOPS)


def mbpp_problem(row: dict) -> Problem:
    """A row of MBPP: the prompt is the text and the first test, as a docstring."""
    setup, code = (row[name].replace("\r\n", "\n") for name in ("test_setup_code", "code"))
    prompt = f'"""\n{row["text"]}\n{row["test_list"][0]}\n"""\n'
    tests = "\n".join([setup, *row["test_list"]]) + "\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about backslashes in the data
        solution, asserted = ast.parse(code), ast.parse("\n".join(row["test_list"]))
    defined = [node.name for node in solution.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    named = [node.id for node in ast.walk(asserted) if isinstance(node, ast.Name)]  # from the outside in
    entry_point = next(name for name in named if name in defined)
    return Problem(f"MBPP/{row['task_id']}", prompt, code, tests, entry_point, MODULE_STOPS, tuple(defined))


# ---- tests -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What the tests found."""

    passed: bool
    reason: str
    """Why not; empty where they passed."""
    seconds: float


def check(problem: Problem, completion: str, limits: Limits = DEFAULT) -> Verdict:
    """Whether question + completion passes the tests of the problem.

    Program and tests run in a sandbox each, under the same limits; only calls and their values go between the two. The
    tests have what the canonical program imports, and functions that the prompt has beside the one to be written.
    Raises SandboxError where there is no protection.
    """
    own = Path(calls.__file__).read_text(encoding="utf-8")
    program = {"main.py": own, "program.py": problem.program(completion)}
    tests = {"main.py": own, "reference.py": problem.program(problem.answer), "tests.py": problem.tests}
    names = [problem.entry_point, *problem.helpers]
    here, there = socket.socketpair()
    serving = started(program, ["serve"], limits, there.fileno())
    with here, there, serving, started(tests, ["check", *names], limits, here.fileno()) as judge:
        here.close()  # so that each side sees the end of the other
        there.close()
        outcome = judge.wait()
    if outcome.overtime:
        return Verdict(False, f"not finished after {limits.wall_seconds:g} s", outcome.seconds)
    if outcome.status != 0:
        return Verdict(False, f"the tests ended with status {outcome.status}", outcome.seconds)
    return Verdict(**json.loads(outcome.output), seconds=outcome.seconds)


def check_all(
    problems: Sequence[Problem], completions: Sequence[str], limits: Limits = DEFAULT, workers: int = 1
) -> list[Verdict]:
    """`check` for each problem and its completion, `workers` at a time, each of which fills up to two cores."""
    pairs = list(zip(problems, completions, strict=True))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda pair: check(*pair, limits), pairs))
