"""A trained model executes whole Markov algorithms: step by step, each answer fed back as the next input.

The model has been trained on single steps and has met none of the rules. What it is asked at each step, and who decides
which rule is used, is the harness:

    in_order   the rules are tried one after the other; the first whose answer is not the input counts as applied; the
               run ends when all answers were the input. The model decides whether a rule applies, and applies it.
    oracle     asks about the rule that the exact algorithm would use on this word, and ends where none applies.
               The model applies rules only.
    prompted   all rules are in the prompt, in order; the run ends when the answer is the input. The model chooses too.

The reference for everything is `rewriting.markov`: expected answers, and the runs, which are the harnesses with exact
answers.

Shapes: B queries, T tokens of a row, A tokens of an answer.
"""

import random
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path

import torch

from .evaluate import BATCH, answered, greedy
from .markov import MarkovAlgorithm, Rule, StepLimitError, Trace
from .rules import Words, make_rules
from .specs import AlgorithmSpec, RunSpec, TaskSpec
from .tasks import Alphabet, prompt_length
from .train import Pack, train_run

PATIENCE = 100_000  # draws of an algorithm before it is taken to be impossible

# ---- algorithms ------------------------------------------------------------------------------------------------------


def signs(task: TaskSpec) -> str:
    """The sign of each token."""
    alphabet = Alphabet(task.alphabet_size)
    return alphabet.text(range(alphabet.n_tokens))


@lru_cache(maxsize=4)
def unseen_words(alphabet_size: int, length: int, seed: int) -> tuple[list[str], list[str]]:
    """All words that are the x, and all that are the y, of some unseen rule of this seed, whatever the number of rules.

    Rule number r takes its x in turn (r modulo the number of words), and the next y each time all x have had their
    turn.
    """
    task = TaskSpec(n_rules=1, alphabet_size=alphabet_size, x_len=length, y_len=length, z_len=length)
    n_x, n_y = task.n_words(task.x_len)[1], task.n_words(task.y_len)[1]
    x = make_rules(task, seed, torch.arange(n_x), unseen=True).x
    y = make_rules(task, seed, n_x * torch.arange(n_y), unseen=True).y
    return texts(task, x), texts(task, y)


def texts(task: TaskSpec, words: Words) -> list[str]:
    """Words of one length as text."""
    alphabet = Alphabet(task.alphabet_size)
    return [alphabet.text(row) for row in words.letters.tolist()]


def random_algorithm(
    source: random.Random, words: tuple[list[str], list[str]], n_rules: int, n_steps: int, letters: str, length: int
) -> tuple[MarkovAlgorithm, str]:
    """An algorithm of unseen rules and an input, meant to take n_steps steps; whether it does, its exact run says.

    The run is planned: where no rule so far applies, a new one gets for its x an unseen word that stands somewhere in
    the word, and for its y a random word or, half of the time, the x of an earlier rule, which then fires again. Rules
    that the plan does not need are random. At last the order of the rules is drawn, so a rule can fire before its turn
    in the plan.
    """
    (xs, ys), known = words, tuple(map(frozenset, words))
    start = word = "".join(source.choices(letters, k=length))
    rules: list[Rule] = []
    for _ in range(n_steps):
        standing = [word[i : i + len(xs[0])] for i in range(length - len(xs[0]) + 1)]
        usable = [x for x in standing if x in known[0]]
        if usable and len(rules) < n_rules and not any(rule.x in word for rule in rules):
            again = [rule.x for rule in rules if rule.x in known[1]]
            rules.append(Rule(source.choice(usable), source.choice(again if again and source.random() < 0.5 else ys)))
        word = MarkovAlgorithm(tuple(rules)).steps(word, 1)
    rules += [Rule(source.choice(xs), source.choice(ys)) for _ in range(n_rules - len(rules))]
    source.shuffle(rules)
    return MarkovAlgorithm(tuple(rules)), start


def algorithms(task: TaskSpec, seed: int, n_rules: int, n_steps: int, n: int) -> list[Trace]:
    """The exact runs of n algorithms of n_rules unseen rules that take n_steps steps and then halt as no rule applies.

    They depend on the letters, the lengths and the seed, not on what else is trained on; seeds draw other rules.
    """
    source, letters = random.Random(f"{seed}/algorithms/{n_rules}/{n_steps}"), signs(task)[: task.alphabet_size]
    words, found = unseen_words(task.alphabet_size, task.x_len[0], seed), []
    for attempt in count():
        if len(found) == n:
            return found
        if attempt == PATIENCE * n:
            raise RuntimeError(f"no algorithms of {n_rules} rules that take {n_steps} steps were found")
        algorithm, word = random_algorithm(source, words, n_rules, n_steps, letters, task.z_len[0])
        try:
            trace = algorithm.run(word, max_steps=n_steps)
        except StepLimitError:
            continue
        found += [trace] if len(trace.steps) == n_steps else []


# ---- harnesses -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """What a model is asked: the rules of the prompt, in order, and the input."""

    rules: tuple[Rule, ...]
    word: str

    @property
    def expected(self) -> str:
        return MarkovAlgorithm(self.rules).steps(self.word, 1)

    @property
    def applies(self) -> bool:
        """Whether one of the rules applies."""
        return any(rule.x in self.word for rule in self.rules)


Harness = Callable[[MarkovAlgorithm, str, int], Generator[Query, str, str | None]]
"""Asks queries, gets their answers, and returns the word at the halt, or None where more than the allowed steps were
taken."""


def in_order(algorithm: MarkovAlgorithm, word: str, most_steps: int):
    """Rule after rule; an answer that is the input means that the rule does not apply."""
    for _ in range(most_steps + 1):
        for rule in algorithm.rules:
            answer = yield Query((rule,), word)
            if answer != word:
                word = answer
                break
        else:
            return word


def oracle(algorithm: MarkovAlgorithm, word: str, most_steps: int):
    """The rule that the exact algorithm would use."""
    for _ in range(most_steps + 1):
        step = algorithm.step(word)
        if step is None:
            return word
        word = yield Query((algorithm.rules[step.rule],), word)


def prompted(algorithm: MarkovAlgorithm, word: str, most_steps: int):
    """All rules in the prompt; an answer that is the input means that none applies."""
    for _ in range(most_steps + 1):
        answer = yield Query(algorithm.rules, word)
        if answer == word:
            return word
        word = answer


@dataclass
class Run:
    """A run of an algorithm by a model: what was asked, what was answered, and the word at the halt, if it came to
    one."""

    trace: Trace
    """The exact run."""
    queries: list[Query] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    output: str | None = None

    @property
    def first_wrong(self) -> int | None:
        """The place of the first wrong answer."""
        asked = enumerate(zip(self.queries, self.answers))
        return next((i for i, (query, answer) in asked if answer != query.expected), None)


def execute(harness: Harness, traces: list[Trace], ask: Callable[[list[Query]], list[str]]) -> list[Run]:
    """Run the algorithms of the traces on their inputs, all in step, with the answers of `ask`.

    A run may take twice the steps of the exact one; it also ends where an answer is no word of the length of its input.
    """
    runs = [Run(trace) for trace in traces]
    asking = [harness(run.trace.algorithm, run.trace.word, 2 * len(run.trace.steps)) for run in runs]
    going = [i for i, run in enumerate(runs) if proceed(run, asking[i], None)]
    while going:
        answers = dict(zip(going, ask([runs[i].queries[-1] for i in going])))
        for i, answer in answers.items():
            runs[i].answers.append(answer)
        words = {i: answer for i, answer in answers.items() if is_word(answer, runs[i].trace.word)}
        going = [i for i, answer in words.items() if proceed(runs[i], asking[i], answer)]
    return runs


def proceed(run: Run, asking: Generator[Query, str, str | None], answer: str | None) -> bool:
    """Hand the answer to the harness and note its next query; False where it has come to its end."""
    try:
        run.queries.append(asking.send(answer))
    except StopIteration as end:
        run.output = end.value
        return False
    return True


def is_word(answer: str, word: str) -> bool:
    """Whether an answer is a word of the length of the input, without signs."""
    return len(answer) == len(word) and not set(answer) & set(">|=._")


def exact(queries: list[Query]) -> list[str]:
    """The right answers: a harness that gets them makes the exact run."""
    return [query.expected for query in queries]


# ---- a model's answers -----------------------------------------------------------------------------------------------


@dataclass
class Rewriter:
    """A trained model that answers queries of one shape."""

    run: RunSpec
    weights: dict[str, torch.Tensor]

    def rows(self, texts: list[str]) -> torch.Tensor:
        """Rows of equal length as tokens (1, B, T)."""
        number = {sign: i for i, sign in enumerate(signs(self.run.task))}
        rows = torch.tensor([[number[sign] for sign in text] for text in texts], dtype=torch.uint8)
        return rows[None].to(self.weights["wte"].device)

    def answers(self, queries: list[Query]) -> list[str]:
        """The model's greedy answers, up to the end of sequence; where that is missing, one letter too many."""
        alphabet, found = Alphabet(self.run.task.alphabet_size), []
        for batch in batches(queries):
            prompts = self.rows([prompt(query) for query in batch])
            tokens = greedy(self.run.model, self.weights, prompts, len(batch[0].word) + 1)[0]
            found += [alphabet.text(row).split(".")[0] for row in tokens.tolist()]
        return found

    def right(self, queries: list[Query]) -> list[bool]:
        """Whether the greedy answer is the right one, in one pass a batch (`evaluate`)."""
        start, pad = prompt_length(self.run.task), Alphabet(self.run.task.alphabet_size).pad
        found = []
        for batch in batches(queries):
            rows = self.rows([f"{prompt(query)}{query.expected}." for query in batch])
            found += answered(self.run.model, self.weights, rows, start, pad)[0][0].tolist()
        return found


def prompt(query: Query) -> str:
    """A query as the model reads it: x>y|z=, with several rules x1>y1|x2>y2|z=."""
    return "".join(f"{rule.x}>{rule.y}|" for rule in query.rules) + f"{query.word}="


def batches(queries: list[Query]) -> Iterator[list[Query]]:
    """The queries in batches."""
    for i in range(0, len(queries), BATCH):
        yield queries[i : i + BATCH]


# ---- what is measured ------------------------------------------------------------------------------------------------


def kind_of_error(query: Query, answer: str) -> str:
    """How an answer is wrong. y counts as written where the answer is the input but for y somewhere in it.

    >>> query = Query((Rule("ab", "cd"), Rule("bx", "ef")), "xxabxx")
    >>> [kind_of_error(query, answer) for answer in ("xxabxx", "cdabxx", "xxaefx", "xxcexx", "xxcd")]
    ['copied', 'wrong place', 'another rule', 'wrong letters', 'no word']
    >>> kind_of_error(Query((Rule("ab", "cd"),), "xxxxxx"), "xxxcdx")
    'applied in vain'
    """
    if not is_word(answer, query.word):
        return "no word"
    if answer == query.word:
        return "copied"
    written = [rule for rule in query.rules if answer in placed(query.word, rule.y)]
    if not written:
        return "wrong letters"
    step = MarkovAlgorithm(query.rules).step(query.word)
    if any(rule.x in query.word and rule != query.rules[step.rule] for rule in written):
        return "another rule"
    return "wrong place" if step and query.rules[step.rule] in written else "applied in vain"


def placed(word: str, y: str) -> set[str]:
    """The word with y written at each place in turn."""
    return {word[:i] + y + word[i + len(y) :] for i in range(len(word) - len(y) + 1)}


def share(values) -> list:
    """[share that is true, number] of a list of bools."""
    return [sum(values) / len(values), len(values)] if values else [0.0, 0]


def shares_by(keys, values) -> dict[str, list]:
    """[mean, number] of the values of each key."""
    groups: dict = {}
    for key, value in zip(keys, values):
        groups.setdefault(key, []).append(value)
    return {str(key): share(groups[key]) for key in sorted(groups)}


def algorithm_metrics(rewriter: Rewriter, harness: Harness, traces: list[Trace], test: dict) -> dict:
    """What runs of algorithms give with a harness, as plain data in the shape of `evaluate.summary`.

    exact_match: share of runs that halt with the right word; followed: share whose every answer is right; n;
    slices: {name: {value: [share, n]}} with

    steps              success by the number of steps T of the exact run
    followed           every answer right, by T
    predicted          what the accuracy of single answers says: a^T, times r for each time a rule is to be refused; a
    and r
                       are the shares of right answers on the states of the exact runs, where a rule applies and where
                       none does
    predicted_by_test  the same with a and r of the test sets "unseen" and "no_ops" (`test`)
    answers            a and r: right answers on the states of the exact runs ("applies", "refuses")
    place              right answers where a rule applies, by the place of the step in the exact run, from 1
    ambiguous          the same where x occurs more than once or several rules apply ("yes") and where not ("no")
    broke              kinds of the first wrong answer, as shares of the runs that have one
    """
    runs, truth = (execute(harness, traces, ask) for ask in (rewriter.answers, exact))
    asked = [(run, query) for run in truth for query in run.queries]
    right = rewriter.right([query for _, query in asked])
    applies = [query.applies for _, query in asked]
    answers = shares_by(["applies" if a else "refuses" for a in applies], right)
    found = [(run, query, ok) for (run, query), ok, a in zip(asked, right, applies) if a]
    ok_where_applied = [ok for *_, ok in found]
    success, followed = [run.output == run.trace.output for run in runs], [run.first_wrong is None for run in runs]
    places = [(run, i) for run in runs if (i := run.first_wrong) is not None]
    wrong = [kind_of_error(run.queries[i], run.answers[i]) for run, i in places]
    n_steps = [len(run.trace.steps) for run in runs]
    on_states = {name: accuracy for name, (accuracy, _) in answers.items()}
    by_test = {"applies": test["unseen"]["exact_match"], "refuses": test["no_ops"]["exact_match"]}
    slices = {
        "steps": shares_by(n_steps, success),
        "followed": shares_by(n_steps, followed),
        "predicted": shares_by(n_steps, [predicted(run, on_states) for run in truth]),
        "predicted_by_test": shares_by(n_steps, [predicted(run, by_test) for run in truth]),
        "answers": answers,
        "place": shares_by([place(run, query) for run, query, _ in found], ok_where_applied),
        "ambiguous": shares_by(["yes" if ambiguous(run, query) else "no" for run, query, _ in found], ok_where_applied),
        "broke": {kind: [n / len(wrong), len(wrong)] for kind, n in sorted(Counter(wrong).items())},
    }
    return {"exact_match": share(success)[0], "followed": share(followed)[0], "n": len(runs), "slices": slices}


def predicted(run: Run, accuracy: dict[str, float]) -> float:
    """The chance that all answers of the exact run are right, were they right independently of one another."""
    n = sum(query.applies for query in run.queries)
    return accuracy["applies"] ** n * accuracy.get("refuses", 1.0) ** (len(run.queries) - n)


def place(run: Run, query: Query) -> int:
    """The step of the exact run that a query belongs to, from 1; no word comes twice in a run that halts."""
    return 1 + next(i for i, step in enumerate(run.trace.steps) if step.before == query.word)


def ambiguous(run: Run, query: Query) -> bool:
    """Whether the word holds x of the rule to be used more than once, or x of another rule of the algorithm too."""
    starts = range(len(query.word))
    return sum(query.word.startswith(rule.x, i) for rule in run.trace.algorithm.rules for i in starts) > 1


# ---- the runner ------------------------------------------------------------------------------------------------------


def run_algorithms(spec: AlgorithmSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """`train.train_run` of the spec, and what the trained model makes of whole algorithms, as further sets of metrics:
    "in_order/R" and "oracle/R" for each number of rules R, or "prompted/R" with several rules in the prompt
    (`algorithm_metrics`).

    Weights are not kept in records; they are read from the checkpoint that the training ends with.
    """
    result = train_run(spec, checkpoint, progress)
    pack = Pack([spec], "cpu" if result["device"] == "cpu" else "cuda")
    pack.load(checkpoint)
    rewriter, test = Rewriter(spec, pack.weights()), dict(result["metrics"])
    harnesses = (in_order, oracle) if spec.task.rules_in_prompt == 1 else (prompted,)
    for n_rules in spec.algorithm_rules:
        steps = [t for t in spec.algorithm_steps if t < 2 * n_rules]
        traces = [trace for t in steps for trace in algorithms(spec.task, spec.seed, n_rules, t, spec.n_algorithms)]
        for harness in harnesses:
            result["metrics"][f"{harness.__name__}/{n_rules}"] = algorithm_metrics(rewriter, harness, traces, test)
    return result
