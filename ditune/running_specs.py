"""What a run is whose trained model is put to further use: whole Markov algorithms, or rules seen in part.

Like `ditune.specs` it imports nothing heavy. Nothing here is in the papers, which test single steps of unseen rules only.
"""

from dataclasses import dataclass

from .specs import RunSpec

MOST_WORDS = 1_000_000
NEEDED = ("unseen", "no_ops")
"""Sets of single steps that runs are predicted from: unseen rules with x in the input, and without."""


@dataclass(frozen=True)
class AlgorithmSpec(RunSpec):
    """A training with its tests (`RunSpec`), and algorithms of unseen rules that the trained model then executes.

    An algorithm is an ordered list of R rules with an input on which it takes T steps. With one rule in the prompt each
    number in `algorithm_rules` is tried; a model with several rules in its prompt runs algorithms of as many rules.
    """

    algorithm_rules: tuple[int, ...] = (2, 6)
    """Numbers of rules R of an algorithm."""
    algorithm_steps: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    """Numbers of steps T of an algorithm on its input. Those above 2R - 1 are left out: so long a run that halts needs more
    rules that fire again, and would hardly be found by drawing."""
    n_algorithms: int = 100
    """Algorithms, each with one input, of each number of rules and steps."""

    def check(self):
        super().check()
        task = self.task
        for name in ("algorithm_rules", "algorithm_steps"):
            values = getattr(self, name)
            self.require(len(values) > 0 and len(set(values)) == len(values), name, "one or more different numbers")
            self.require(1 <= min(values) and max(values) <= 20, name, "1 to 20")
        shortest = 2 * min(self.algorithm_rules)
        self.require(min(self.algorithm_steps) < shortest, "algorithm_steps", f"one below {shortest}, so that algorithms of {min(self.algorithm_rules)} rules can be found")
        self.require(1 <= self.n_algorithms <= 10_000, "n_algorithms", "1 to 10,000")
        several = task.rules_in_prompt > 1
        self.require(not several or self.algorithm_rules == (task.rules_in_prompt,), "algorithm_rules", f"({task.rules_in_prompt},), the rules in the prompt")
        even = all(low == high for low, high in (task.x_len, task.y_len, task.z_len)) and task.x_len == task.y_len
        self.require(even and task.families == ("uniform",), "task", "random words of one length, x as long as y: what is fed back keeps the length trained on")
        self.require(task.n_steps == 1 and task.replace_which == "first", "task", "the first occurrence and one step: a step of a Markov algorithm")
        n_words = task.alphabet_size ** task.x_len[0]
        self.require(n_words <= MOST_WORDS, "task", f"fewer letters or a shorter x: all words are listed, at most {MOST_WORDS} and not {n_words}")
        for name in NEEDED:
            self.require(name in [e.name for e in self.evals], "evals", f"sets named {' and '.join(NEEDED)}, from which runs are predicted")


@dataclass(frozen=True)
class ProbeSpec(RunSpec):
    """A run whose model is then asked to apply rules of which it has seen x and y apart, one of them, or neither."""

    n_probe: int = 10_000
    """Examples of each combination of sides."""

    def check(self):
        super().check()
        self.require(1 <= self.n_probe <= 10**6, "n_probe", "1 to 1,000,000")
        t = self.task
        plain_task = t.rules_in_prompt == t.n_steps == 1 and t.no_op_share == 0 and t.occurrences == (1,) and t.z_len[0] == t.z_len[1]
        self.require(plain_task, "task", "one rule, one step, inputs of one length with one x in each")
        self.require(t.n_rules >= 2, "task", "2 rules or more, to exchange their sides")
