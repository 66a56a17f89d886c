"""What a run on string rewriting is: task, model, training, evaluation, as dataclasses that check themselves."""

from dataclasses import dataclass, field

from ..specs import Range, Spec, unknown

FAMILIES = ("uniform", "repeated", "periodic", "mirrored")
POSITIONS = ("learned", "rotary")
OPTIMIZERS = ("adamw", "muon")
RULES = ("seen", "unseen")


@dataclass(frozen=True)
class TaskSpec(Spec):
    """A string-rewriting task: which rules, which inputs, how an example is written.

    The defaults are the paper's main experiment (2405.19787, symbolic experiments): inputs of 50 letters, patterns of
    20, 10^6 examples, x always present. The alphabet is not stated there; lower-case Latin letters are inferred.
    """

    n_rules: int = 1000
    """Number of distinct training rules I (of rule sets, where `rules_in_prompt` > 1)."""
    n_examples: int = 1_000_000
    """Budget N = I x S: training examples in all, each drawn afresh; where inputs are short, some coincide by
    chance."""
    alphabet_size: int = 26
    """Letters of the alphabet."""
    x_len: Range = (20, 20)
    """Letters of x, the word that is looked for: a number or [shortest, longest]."""
    y_len: Range = (20, 20)
    """Letters of y, the word that takes its place."""
    z_len: Range = (50, 50)
    """Letters of the input z."""
    occurrences: tuple[int, ...] = (1,)
    """How often x occurs in z; drawn evenly from these numbers for each example that is not a no-op."""
    no_op_share: float = 0.0
    """Share of examples whose input does not contain x; the answer is then the input."""
    replace_which: str | int = "first"
    """Which occurrence is rewritten: "first" (the Markov step), "last", "all", or k for the k-th."""
    families: tuple[str, ...] = ("uniform",)
    """Families of words that both sides of a rule are drawn from: uniform, repeated, periodic, mirrored.

    Training and test are set apart; a word that belongs to two, such as aaaa, is left out of the test."""
    k: Range = (1, 1)
    """Constrainedness of the restricted families: copies of the base word in a side. Uniform words have no k: where
    they stand beside other families and k is a range, they get as many rules for each k, and a rule may then occur
    twice."""
    tail_alpha: float | None = None
    """Long tail: one weight a rule, U^(1/alpha), examples drawn in proportion. None: the same number for each rule."""
    rules_in_prompt: int = 1
    """Rules in the prompt, in order; the first that applies is used."""
    n_steps: int = 1
    """Rewriting steps from input to answer (fewer where no rule applies any more)."""

    def check(self):
        self.require(1 <= self.n_rules, "n_rules", "1 or more")
        self.require(self.n_rules <= self.n_examples, "n_rules", f"up to {self.n_examples}, the number of examples")
        self.require(self.n_examples <= 1 << 31, "n_examples", "at most 2^31, the numbers that can be put in order")
        self.require(2 <= self.alphabet_size <= 200, "alphabet_size", "2 to 200")
        for name in ("x_len", "y_len", "z_len"):
            low, high = getattr(self, name)
            self.require(1 <= low <= high <= 2000, name, "1 <= low <= high <= 2000")
        self.require(len(self.occurrences) > 0 and min(self.occurrences) >= 1, "occurrences",
                     "one or more numbers >= 1")
        need = self.x_len[1] * max(self.occurrences)
        self.require(need <= self.z_len[0], "z_len", f"at least |x| * occurrences = {need}: the input must hold x")
        self.require(0 <= self.no_op_share <= 1, "no_op_share", "0 to 1")
        which = self.replace_which
        self.require(which in ("first", "last", "all") or (isinstance(which, int) and which >= 1), "replace_which",
                     "first, last, all, or k >= 1")
        for family in self.families:
            if family not in FAMILIES:
                raise unknown("TaskSpec family", family, FAMILIES)
        different = len(set(self.families)) == len(self.families)
        self.require(len(self.families) > 0 and different, "families",
                     f"one or more of {', '.join(FAMILIES)}, each once")
        plain_words = self.families == ("uniform",)
        self.require(not plain_words or self.k == (1, 1), "k",
                     "1, where all words are uniform: k is for the other families")
        shortest = min(self.x_len[0], self.y_len[0])
        self.require(1 <= self.k[0] <= self.k[1] <= shortest, "k", f"1 to {shortest}, the shortest side")
        self.require(self.tail_alpha is None or self.tail_alpha > 0, "tail_alpha", "None or a number > 0")
        self.require(1 <= self.rules_in_prompt <= 20, "rules_in_prompt", "1 to 20")
        self.require(1 <= self.n_steps <= 100, "n_steps", "1 to 100")
        plain_step = self.rules_in_prompt == self.n_steps == 1
        self.require(plain_step or which == "first", "replace_which", "first, where there are several rules or steps")
        chance = (self.z_len[1] - self.x_len[0] + 1) * self.rules_in_prompt / self.alphabet_size ** self.x_len[0]
        self.require(chance <= 1, "alphabet_size",
                     f"more letters or a longer x: by chance alone z would hold x {chance:.1f} times")
        self.require(self.n_rules <= self.n_pairs(False), "n_rules",
                     f"at most {self.n_pairs(False)}, the rules that {self.alphabet_size} letters allow")

    def prefix_len(self, side: Range, k: int = 1) -> int:
        """Leading letters (of the base word) that tell rules apart and training from test: as many as keep the number
        of prefixes below 2^30."""
        n, base_len = 0, -(-side[0] // k)
        while n < base_len and self.alphabet_size ** (n + 1) <= 1 << 30:
            n += 1
        return n

    def n_words(self, side: Range, k: int = 1) -> tuple[int, int]:
        """Word prefixes of a side set apart for training and for test, half each."""
        total = self.alphabet_size ** self.prefix_len(side, k)
        return total - total // 2, total // 2

    @property
    def n_groups(self) -> int:
        """Combinations of family and k; rule r belongs to group r mod n_groups."""
        return len(self.families) * (self.k[1] - self.k[0] + 1)

    def n_pairs(self, unseen: bool) -> int:
        """Rules (rule sets) that training, or the test of unseen rules, can draw without a repetition within a
        group."""
        k = 1 if self.families == ("uniform",) else self.k[1]
        pairs = self.n_words(self.x_len, k)[unseen] * self.n_words(self.y_len, k)[unseen]
        return pairs * self.n_groups // self.rules_in_prompt


@dataclass(frozen=True)
class ModelSpec(Spec):
    """A GPT-2 decoder. The defaults are the paper's: 6 layers, 4 heads, width 256, learned positions."""

    n_layer: int = 6
    """Layers."""
    n_head: int = 4
    """Heads of attention."""
    n_embd: int = 256
    """Width of the model."""
    position: str = "learned"
    """"learned" as in GPT-2, or "rotary"."""

    def check(self):
        self.require(1 <= self.n_layer <= 64, "n_layer", "1 to 64")
        self.require(self.n_head >= 1, "n_head", "1 or more")
        self.require(self.n_embd <= 1 << 14, "n_embd", "at most 16384")
        self.require(self.n_embd >= 1 and self.n_embd % self.n_head == 0, "n_embd",
                     f"a multiple of n_head = {self.n_head}")
        if self.position not in POSITIONS:
            raise unknown("ModelSpec position", self.position, POSITIONS)
        self.require(self.position == "learned" or self.n_embd // self.n_head % 2 == 0, "n_embd",
                     "an even width per head for rotary positions")


@dataclass(frozen=True)
class TrainSpec(Spec):
    """How a model is trained. Paper: AdamW, 1e-3, linear schedule, 50 epochs; batch size and warm-up are not stated.

    The loss is the cross-entropy of the answer's tokens (end-of-sequence included), mean per token.
    """

    n_steps: int = 390_625
    """Optimiser steps; 50 epochs of 10^6 examples at batch 128."""
    batch_size: int = 128
    """Examples of a step."""
    optimizer: str = "adamw"
    """"adamw", or "muon" for the matrices with AdamW for all else."""
    lr: float = 1e-3
    """Peak AdamW rate: of all weights, or with Muon of embeddings, biases and norms."""
    muon_lr: float = 6e-3
    """Peak Muon rate of the matrices; used by optimizer "muon" only."""
    muon_momentum: float = 0.95
    """Share of Muon's running sum of gradients that stays at each step."""
    warmup_share: float = 0.02
    """Share of the steps in which the rate rises from 0; it then falls linearly to 0."""
    weight_decay: float = 0.01
    """Of AdamW and Muon, times the rate."""
    clip: float = 1.0
    """Largest norm of the gradient, per model."""
    bf16: bool = False
    """Multiply in bfloat16, weights and optimiser in fp32; for GPUs."""
    n_evals: int = 10
    """Points of the learning curve, the last step included."""

    def check(self):
        for name, most in (("n_steps", 10**8), ("batch_size", 10**5), ("n_evals", 10**4)):
            self.require(1 <= getattr(self, name) <= most, name, f"1 to {most}")
        if self.optimizer not in OPTIMIZERS:
            raise unknown("TrainSpec optimizer", self.optimizer, OPTIMIZERS)
        for name in ("lr", "muon_lr", "clip"):
            self.require(getattr(self, name) > 0, name, "a number > 0")
        self.require(0 <= self.muon_momentum < 1, "muon_momentum", "0 or more, below 1")
        self.require(0 <= self.warmup_share < 1, "warmup_share", "0 to 1")
        self.require(self.weight_decay >= 0, "weight_decay", "0 or more")


@dataclass(frozen=True)
class EvalSpec(Spec):
    """A set of test examples, drawn afresh, of rules that training saw or not."""

    name: str = "unseen"
    """The name of the set in the record."""
    rules: str = "unseen"
    """"seen": new draws of inputs for training rules, which by chance can be training inputs where those are short;
    "unseen": rules whose x is no training rule's x and whose y is no training rule's y."""
    n_examples: int = 100_000
    """Examples of the set."""
    task: TaskSpec | None = None
    """The task that the examples are drawn from where it is not the one trained on. It may change inputs and answers at
    will; what `RunSpec.check` allows of its rules is what keeps "seen" and "unseen" true."""

    def check(self):
        self.require(1 <= self.n_examples <= 10**7, "n_examples", f"1 to {10**7}")
        if self.rules not in RULES:
            raise unknown("EvalSpec rules", self.rules, RULES)


@dataclass(frozen=True)
class RunSpec(Spec):
    """One training with its evaluations: the unit that is computed once and recorded."""

    task: TaskSpec = field(default_factory=TaskSpec)
    """What is trained on."""
    model: ModelSpec = field(default_factory=ModelSpec)
    """The rewriter."""
    train: TrainSpec = field(default_factory=TrainSpec)
    """How it is trained."""
    evals: tuple[EvalSpec, ...] = (EvalSpec(), EvalSpec(name="seen", rules="seen"))
    """What it is tested on."""
    seed: int = 0
    """Feeds the named random streams: rules, inputs, order, initialisation."""

    def check(self):
        self.require(0 <= self.seed < 1 << 63, "seed", "0 or more, below 2^63")
        names = [e.name for e in self.evals]
        self.require(len(names) > 0 and len(set(names)) == len(names), "evals", "one or more sets with different names")
        for e in self.evals:
            same = e.task is None or e.task.alphabet_size == self.task.alphabet_size
            self.require(same, "evals",
                         f"sets over the alphabet of {self.task.alphabet_size} letters that is trained on")
            if e.task and e.rules == "seen":
                for name in DECIDE_RULES:
                    equal = getattr(e.task, name) == getattr(self.task, name)
                    self.require(equal, "evals", f"sets of seen rules with the {name} that is trained on")
            task = e.task or self.task
            if e.rules == "unseen" and (task.families, task.k) == (self.task.families, self.task.k):
                one_letter = self.task.n_groups > 1 and min(self.task.x_len[0], self.task.y_len[0]) <= self.task.k[1]
                self.require(not one_letter, "evals",
                    "sets of unseen rules in words of k copies of two letters or more: aaaa is of every family and k")
            if e.task and e.rules == "unseen":
                for side in ("x_len", "y_len"):
                    words = f"sets of unseen rules with the {side}, families and k that are trained on, "
                    words += "with no length in common, or with long words"
                    self.require(not may_coincide(self.task, e.task, side), "evals", words)


DECIDE_RULES = ("n_rules", "x_len", "y_len", "families", "k", "tail_alpha", "rules_in_prompt")
"""The fields of a task that decide, with the alphabet and the seed, which rules training sees."""


def may_coincide(trained: TaskSpec, tested: TaskSpec, side: str) -> bool:
    """Whether a side (x_len or y_len) of unseen rules of one task can be that of a training rule of another.

    No, if no length is in common, or if the families and k trained on are among those tested, up to the same k, with
    the same beginnings that tell training from test: these keep words apart within a family and k, and no test word has
    the form of another. No also, if a test word is one of the training words in less than one of 1,000 cases: of words
    with m free letters there are alphabet^m / 2 on each side, so one training word is met with a chance of 2 /
    alphabet^m, where m is that of the task whose words are freer.
    """
    sides = [(task, getattr(task, side)) for task in (trained, tested)]
    (low, high), (low_tested, high_tested) = (lengths for _, lengths in sides)
    beginnings = [[task.prefix_len(n, k) for k in range(task.k[0], task.k[1] + 1)] for task, n in sides]
    if high < low_tested or high_tested < low:
        return False
    among = {*trained.families} <= {*tested.families} and tested.k[0] <= trained.k[0] and tested.k[1] == trained.k[1]
    if among and beginnings[0] == beginnings[1][trained.k[0] - tested.k[0] :]:
        return False
    free = max(-(-n[0] // task.k[1]) for task, n in sides)
    return 2 * trained.n_rules * trained.rules_in_prompt * 1000 > trained.alphabet_size**free


# ---- a trained model put to further use ------------------------------------------------------------------------------

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
    """Numbers of steps T of an algorithm on its input. Those above 2R - 1 are left out: so long a run that halts needs
    more rules that fire again, and would hardly be found by drawing."""
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
        self.require(min(self.algorithm_steps) < shortest, "algorithm_steps",
                     f"one below {shortest}, so that algorithms of {min(self.algorithm_rules)} rules can be found")
        self.require(1 <= self.n_algorithms <= 10_000, "n_algorithms", "1 to 10,000")
        several = task.rules_in_prompt > 1
        self.require(not several or self.algorithm_rules == (task.rules_in_prompt,), "algorithm_rules",
                     f"({task.rules_in_prompt},), the rules in the prompt")
        even = all(low == high for low, high in (task.x_len, task.y_len, task.z_len)) and task.x_len == task.y_len
        self.require(even and task.families == ("uniform",), "task",
                     "random words of one length, x as long as y: what is fed back keeps the length trained on")
        self.require(task.n_steps == 1 and task.replace_which == "first", "task",
                     "the first occurrence and one step: a step of a Markov algorithm")
        n_words = task.alphabet_size ** task.x_len[0]
        self.require(n_words <= MOST_WORDS, "task",
                     f"fewer letters or a shorter x: all words are listed, at most {MOST_WORDS} and not {n_words}")
        for name in NEEDED:
            self.require(name in [e.name for e in self.evals], "evals",
                         f"sets named {' and '.join(NEEDED)}, from which runs are predicted")


@dataclass(frozen=True)
class ProbeSpec(RunSpec):
    """A run whose model is then asked to apply rules of which it has seen x and y apart, one of them, or neither."""

    n_probe: int = 10_000
    """Examples of each combination of sides."""

    def check(self):
        super().check()
        self.require(1 <= self.n_probe <= 10**6, "n_probe", "1 to 1,000,000")
        t = self.task
        plain = t.rules_in_prompt == t.n_steps == 1 and t.no_op_share == 0 and t.occurrences == (1,)
        plain = plain and t.z_len[0] == t.z_len[1]
        self.require(plain, "task", "one rule, one step, inputs of one length with one x in each")
        self.require(t.n_rules >= 2, "task", "2 rules or more, to exchange their sides")
