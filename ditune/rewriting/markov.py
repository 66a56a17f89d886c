"""Exact Markov algorithms on plain strings: read and print programs, rewrite one word, run and show every step.

A Markov algorithm is an ordered list of rules x -> y. A step takes the FIRST rule whose left side occurs in the word
and replaces its LEFTMOST occurrence, once. The run ends when no rule applies (blocked) or a stop rule has fired.
An empty left side occurs at position 0 of every word.

Text notation, one rule a line: `aa -> b`, a stop rule `aa -> .b`, either side may be empty, `#` opens a comment that
runs to the end of the line, blank lines are skipped. Spaces around a side are not part of the word. There is no
quoting: a word that contains '.', '#', '->' or a line break, or has white space at an end, can be run but not written,
and is a ValueError when read (where it can be told) or printed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product


class StepLimitError(RuntimeError):
    """A run that had not halted when its steps were used up; the message is one line.

    >>> MarkovAlgorithm.parse("-> a").run("b", max_steps=3)
    Traceback (most recent call last):
    ...
    ditune.rewriting.markov.StepLimitError: no halt within 3 steps from 'b'
    """


def occurrences(z: str, x: str) -> Iterator[int]:
    """Where `x` occurs in `z`, left to right without overlap; the empty word occurs at every gap, as in str.replace.

    >>> list(occurrences("aaabaa", "aa")), list(occurrences("ab", ""))
    ([0, 4], [0, 1, 2])
    """
    at = z.find(x)
    while at >= 0:
        yield at
        at = z.find(x, at + max(len(x), 1))


def rewrite(z: str, x: str, y: str, which: str | int = "first") -> str:
    """`z` with one or all occurrences of `x` replaced by `y`; `z` itself where there is no such occurrence.

    `which` is "first", "last" (the rightmost, as str.rfind finds it, even where it overlaps an earlier one), "all"
    (as str.replace), or an int k >= 1 for the k-th of the non-overlapping occurrences counted left to right.

    >>> [rewrite("aaabaaa", "aa", "c", which) for which in ("first", "last", "all", 2, 3)]
    ['cabaaa', 'aaabac', 'cabca', 'aaabca', 'aaabaaa']
    """
    if which == "all":
        return z.replace(x, y)
    if which == "first":
        at = z.find(x)
    elif which == "last":
        at = z.rfind(x)
    elif type(which) is int and which >= 1:
        at = next(islice(occurrences(z, x), which - 1, None), -1)
    else:
        raise ValueError(f"which = {which!r}: allowed are 'first', 'last', 'all' or an int from 1")
    return z if at < 0 else z[:at] + y + z[at + len(x):]


@dataclass(frozen=True)
class Rule:
    """One rule x -> y; a rule with `stop` ends the run once it has fired.

    >>> print(Rule("aa", "b"), Rule("a", "", stop=True), Rule("", "b"), sep=" | ")
    aa -> b | a -> . | -> b
    """

    x: str
    y: str
    stop: bool = False

    def __str__(self) -> str:
        return " ".join(part for part in (self.x, "->", "." * self.stop + self.y) if part)


@dataclass(frozen=True)
class Step:
    """One step: the word `before`, the index of the `rule` (from 0), the `position` it matched, the word `after`.

    >>> MarkovAlgorithm.parse("b -> c").step("abb")
    Step(before='abb', rule=0, position=1, after='acb')
    """

    before: str
    rule: int
    position: int
    after: str


@dataclass(frozen=True)
class Trace:
    """A whole run: the input `word`, the `algorithm`, and all `steps` up to the halt.

    `str` shows for each step the word before it with the replaced part in brackets, and the rule, numbered from 1.

    >>> print(MarkovAlgorithm.parse("ab -> b \\n b -> .c").run("aab"))
    1  a[ab]  rule 1: ab -> b
    2  [ab]   rule 1: ab -> b
    3  [b]    rule 2: b -> .c
    stopped after 3 steps: 'c'
    """

    word: str
    algorithm: "MarkovAlgorithm"
    steps: tuple[Step, ...]

    @property
    def output(self) -> str:
        """The word at the halt.

        >>> MarkovAlgorithm.parse("a -> b").run("aa").output
        'bb'
        """
        return self.steps[-1].after if self.steps else self.word

    @property
    def halted(self) -> str:
        """Why the run ended: "stopped" by a stop rule, or "blocked" because no rule applied.

        >>> MarkovAlgorithm.parse("a -> .b").run("aa").halted, MarkovAlgorithm.parse("a -> b").run("aa").halted
        ('stopped', 'blocked')
        """
        # A stop rule fires at most once, as the last step.
        return "stopped" if self.steps and self.algorithm.rules[self.steps[-1].rule].stop else "blocked"

    def __str__(self) -> str:
        rows = []
        for step in self.steps:
            rule, word, at = self.algorithm.rules[step.rule], step.before, step.position
            end = at + len(rule.x)
            rows.append((f"{word[:at]}[{word[at:end]}]{word[end:]}", f"rule {step.rule + 1}: {rule}"))
        n, wide = len(rows), max((len(marked) for marked, _ in rows), default=0)
        lines = [f"{i:>{len(str(n))}}  {marked:<{wide}}  {rule}" for i, (marked, rule) in enumerate(rows, 1)]
        return "\n".join([*lines, f"{self.halted} after {n} step{'s' * (n != 1)}: {self.output!r}"])


@dataclass(frozen=True)
class MarkovAlgorithm:
    """An ordered tuple of rules; the order is part of the program.

    >>> MarkovAlgorithm((Rule("ab", "b"), Rule("b", "c", stop=True))).run("aab").output
    'c'
    """

    rules: tuple[Rule, ...]

    def __post_init__(self):
        if not isinstance(self.rules, tuple) or not all(isinstance(rule, Rule) for rule in self.rules):
            raise ValueError(f"rules must be a tuple of Rule, not {self.rules!r}")

    @classmethod
    def parse(cls, text: str, **variables: str) -> "MarkovAlgorithm":
        """The algorithm written in `text` (notation: see the top of this module).

        Each keyword names a one-character variable and the letters it ranges over; a rule with variables on its left
        stands for one rule per choice of letters, in the order of the letters, the last variable varying fastest.

        >>> print(MarkovAlgorithm.parse("*xy -> y*x  # pass \\n * -> .", x="ab", y="c").text())
        *ac -> c*a
        *bc -> c*b
        * -> .
        """
        long = [name for name in variables if len(name) != 1]
        if long:
            raise ValueError(f"variable {long[0]!r}: a variable is one character")
        numbered = ((n, line.split("#")[0].strip()) for n, line in enumerate(text.splitlines(), 1))
        return cls(tuple(rule for n, code in numbered if code for rule in _expand(_rule(code, n), variables, n)))

    def text(self) -> str:
        """The rules in text notation, one a line; `parse` reads it back as the same algorithm.

        >>> MarkovAlgorithm((Rule("", "b"), Rule("a", "", stop=True))).text()
        '-> b\\na -> .'
        """
        for number, rule in enumerate(self.rules, 1):
            _check_words(rule, number)
        return "\n".join(map(str, self.rules))

    def step(self, word: str) -> Step | None:
        """The one step the algorithm takes on `word`, or None where no rule applies.

        >>> MarkovAlgorithm.parse("x -> y \\n b -> c").step("abb").after
        'acb'
        """
        for i, rule in enumerate(self.rules):
            at = word.find(rule.x)
            if at >= 0:
                return Step(word, i, at, word[:at] + rule.y + word[at + len(rule.x):])
        return None

    def run(self, word: str, max_steps: int = 10_000) -> Trace:
        """The run on `word` up to its halt; a run that needs more than `max_steps` steps is a StepLimitError.

        >>> MarkovAlgorithm.parse("a -> b").run("aa", max_steps=2).output
        'bb'
        """
        _check_count("max_steps", max_steps)
        # One step more than allowed is asked for: only its existence tells a run that is too long from one that halts.
        steps = tuple(islice(self._walk(word), max_steps + 1))
        if len(steps) > max_steps:
            raise StepLimitError(f"no halt within {max_steps} steps from {word!r}")
        return Trace(word, self, steps)

    def steps(self, word: str, n: int) -> str:
        """The word after `n` steps, or at the halt if that comes earlier.

        >>> [MarkovAlgorithm.parse("a -> b").steps("aa", n) for n in (0, 1, 2, 3)]
        ['aa', 'ba', 'bb', 'bb']
        """
        _check_count("n", n)
        for step in islice(self._walk(word), n):
            word = step.after
        return word

    def _walk(self, word: str) -> Iterator[Step]:
        """The steps from `word` to the halt, without end if there is none."""
        while step := self.step(word):
            yield step
            if self.rules[step.rule].stop:
                return
            word = step.after


def _check_count(name: str, value: int) -> None:
    """A ValueError unless `value` is a number of steps."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} = {value!r}: allowed is an int from 0")


def _check_words(rule: Rule, number: int) -> None:
    """A ValueError naming line `number` unless both sides of `rule` can be written in text notation."""
    for word in (rule.x, rule.y):
        if any(mark in word for mark in (".", "#", "->")) or word != word.strip() or len(word.splitlines()) > 1:
            allowed = "a word has no '.', '#', '->' or line break and no space at its ends ('-> .' is a stop rule)"
            raise ValueError(f"line {number}: cannot write the word {word!r}: {allowed}")


def _rule(code: str, number: int) -> Rule:
    """The rule written in `code`, a line without its comment."""
    x, arrow, y = code.partition("->")
    if not arrow:
        raise ValueError(f"line {number}: {code!r} has no '->'; allowed: 'x -> y', a stop rule 'x -> .y', '# comment'")
    y = y.strip()
    stop = y.startswith(".")
    rule = Rule(x.strip(), y[stop:].strip(), stop)
    _check_words(rule, number)
    return rule


def _expand(rule: Rule, variables: dict[str, str], number: int) -> list[Rule]:
    """The rules that `rule` stands for: one per choice of letters for the variables on its left side."""
    used = [name for name in variables if name in rule.x]
    loose = [name for name in variables if name in rule.y and name not in used]
    if loose:
        raise ValueError(f"line {number}: variable {loose[0]!r} must be on the left of '{rule}', not only on the right")
    # Variables are replaced all at once, since a letter may look like another variable.
    tables = [str.maketrans(dict(zip(used, letters))) for letters in product(*(variables[name] for name in used))]
    return [Rule(rule.x.translate(table), rule.y.translate(table), rule.stop) for table in tables]


@dataclass(frozen=True)
class Program:
    """A Markov algorithm with what it computes, the `alphabet` of its inputs, and an `example` (input, output).

    >>> PROGRAMS["unary_addition"].algorithm.run("1+1+1").output
    '111'
    """

    description: str
    alphabet: str
    example: tuple[str, str]
    algorithm: MarkovAlgorithm


_parse = MarkovAlgorithm.parse
PROGRAMS = {
    "append_reverse": Program("Append to a word over {a, b} its reverse.", "ab", ("abb", "abbbba"), _parse("""
        αx -> xαβx  # α reads the word and leaves after itself a copy βx of each letter x
        βxy -> yβx  # a copy gives way to the letters still unread, so that later copies end up to its left
        αβx -> xα   # when all is read, α takes the copies in
        α -> .
        -> α""", x="ab", y="ab")),
    "double_word": Program("Append to a word over {a, b} the word itself.", "ab", ("abb", "abbabb"), _parse("""
        αx -> xβxα  # α reads the word and leaves before itself a copy βx of each letter x
        βxy -> yβx  # a copy passes the letters to its right but no other copy, so the copies keep their order
        β ->        # one rule for both letters: the leftmost mark goes first and no copy can pass another
        α -> .
        -> α""", x="ab", y="ab")),
    "double_unary": Program("Double a number written in unary.", "1", ("111", "111111"), _parse(
        "α1 -> 11α \n α -> . \n -> α")),
    "unary_addition": Program("Add unary numbers joined by '+'.", "1+", ("11+111", "11111"), _parse("+ ->")),
    "binary_to_unary": Program("Write a binary number in strokes; no digits are 0.", "01", ("101", "|||||"), _parse("""
        |0 -> 0||  # a stroke that passes a digit to its right is worth two there
        1 -> 0|
        0 ->""")),
    "sort": Program("Sort a word over {a, b, c} by swapping neighbours.", "abc", ("cabacb", "aabbcc"), _parse(
        "ba -> ab \n ca -> ac \n cb -> bc")),
}
"""Real programs by name; each computes what its description says on every word of its inputs."""
