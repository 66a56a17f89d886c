"""The task generator: string-rewriting examples as token tensors, a pure function of (spec, seed, rule, example).

An example is a rule x -> y, an input z and its answer, written as one row of tokens

    x > y | z = answer .          (with R rules in the prompt: x1 > y1 | x2 > y2 | z = answer .)

Nothing need be stored and nothing depends on order: every letter is read off a counter-based hash of the seed's named
stream, the rule's number and the example's number, in 32-bit arithmetic that gives the same bits on a CPU and a GPU.
That is what lets ten million rules, any batch or any shard of them cost no memory. (Rules that are few are made once
and looked up, to save time.) What the answers must be is said by `ditune.markov`; the tests compare the two on random
specs.

On a GPU a program waits wherever it must know a number or which rows a mask selects. So sizes come from the spec, what
holds for some rows is computed for all, and the rows that are drawn again are the only ones that are counted.

Shapes: B examples, R rules in a prompt, X, Y, Z longest sides and input, T longest row.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch

from .hashing import Stream, below, permute, stream
from .rules import FEW_RULES, KEPT, N_CHOICES, PATIENCE, Rules, Words, drawn_range, listed, make_rules, rule_table
from .specs import TaskSpec

# ---- inputs and answers ----------------------------------------------------------------------------------------------


def occurs_at(z: Words, x: Words, shortest: int) -> torch.Tensor:
    """Where x, of `shortest` letters or more, occurs in z, overlaps included: (B, Z - shortest + 1) bool."""
    if z.even and x.even and len(z.length) <= 64:  # for few rows, the number of calls is what counts
        return (z.letters.unfold(1, x.letters.shape[1], 1) == x.letters[:, None]).all(dim=2)
    width = z.letters.shape[1] - shortest + 1
    start = torch.arange(width, device=x.length.device)
    found = start[None] <= (z.length - x.length)[:, None]
    padded = torch.nn.functional.pad(z.letters, (0, x.letters.shape[1] - shortest))
    for j in range(x.letters.shape[1]):
        same = padded[:, j : j + width] == x.letters[:, j : j + 1]
        found &= same if j < shortest else same | (j >= x.length)[:, None]
    return found


def write(target: torch.Tensor, start: torch.Tensor, word: Words, where: torch.Tensor | None) -> None:
    """Write word into target (B, L) from column start (B,) on, in the rows `where`, or in all. The last column takes
    what is cut off."""
    width = word.letters.shape[1]
    if word.even:  # each row is a window of the flat target
        windows = target.as_strided((target.numel() - width + 1, width), (1, 1))
        place = torch.arange(len(start), device=start.device).mul_(target.shape[1])
        place += start if where is None else start.clamp(min=0)
        letters = word.letters if where is None else torch.where(where[:, None], word.letters, windows[place])
        windows.index_put_((place,), letters)
        return
    column = torch.arange(width, device=start.device)[None]
    inside = column < word.length[:, None]
    if where is not None:
        inside &= where[:, None]
    target.scatter_(1, torch.where(inside, start[:, None] + column, target.shape[1] - 1), word.letters)


def replace_at(spec: TaskSpec, z: Words, start: torch.Tensor, x: Words, y: Words, where: torch.Tensor | None) -> Words:
    """z with the |x| letters from column start (B,) on replaced by y, in the rows `where`, or in all."""
    if z.even and x.even and y.even and x.letters.shape == y.letters.shape:
        letters = z.letters.clone()
        write(letters, start, y, where)
        return Words(letters, z.length, True)
    letters = torch.nn.functional.pad(z.letters, (0, max(0, spec.y_len[1] - spec.x_len[0])))
    p = torch.arange(letters.shape[1], device=start.device)[None]
    growth = y.length - x.length if where is None else torch.where(where, y.length - x.length, 0)
    behind = p >= (start + x.length + growth)[:, None]
    letters = letters.gather(1, torch.where(behind, p - growth[:, None], p).clamp(0, letters.shape[1] - 1))
    letters = torch.nn.functional.pad(letters, (0, 1))
    write(letters, start, y, where)
    return Words(letters[:, :-1], z.length + growth)


def markov_step(spec: TaskSpec, z: Words, rules: list[Rules]) -> Words:
    """One step of the ordered rules: the first that applies, at its leftmost occurrence; unchanged where none does."""
    done = torch.zeros_like(z.length, dtype=torch.bool)
    out = z
    for rule in rules:
        found = occurs_at(z, rule.x, spec.x_len[0])
        applies = found.any(dim=1) & ~done
        out = replace_at(spec, out, found.to(torch.uint8).argmax(dim=1), rule.x, rule.y, applies)
        done |= applies
    return out


def always_once(spec: TaskSpec) -> bool:
    """Whether x is planted once in every input."""
    return max(spec.occurrences) == 1 and spec.no_op_share == 0


def planted(spec: TaskSpec, random: Stream, x: Words, length: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Start columns of count (B,) copies of x that do not overlap: (B, most occurrences), increasing; -1: no copy."""
    most = max(spec.occurrences)
    if most == 1 and x.even and spec.z_len[0] == spec.z_len[1]:
        at = below(random.word(N_CHOICES), spec.z_len[0] - spec.x_len[0] + 1)
        return (at if always_once(spec) else torch.where(count > 0, at, -1))[:, None]
    slack = length - count * x.length
    at = below(random.words(N_CHOICES, most), slack[:, None] + 1)
    slot = torch.arange(most, device=length.device)[None]
    used = slot < count[:, None]
    at = torch.where(used, at, 1 << 30).sort(dim=1).values
    return torch.where(used, at + slot * x.length[:, None], -1)


def draw_input(
    spec: TaskSpec, random: Stream, x: Words, length: torch.Tensor, count: torch.Tensor
) -> tuple[Words, torch.Tensor]:
    """One draw of z: random letters with x planted, not yet checked for copies by chance; and the planted columns."""
    longest, most = spec.z_len[1], max(spec.occurrences)
    letters = random.letters(N_CHOICES + most, longest, spec.alphabet_size)
    if not x.even:
        letters = torch.nn.functional.pad(letters, (0, 1))
    at = planted(spec, random, x, length, count)
    for slot in range(most):
        write(letters, at[:, slot], x, None if always_once(spec) else at[:, slot] >= 0)
    return Words(letters[:, :longest], length, spec.z_len[0] == longest), at


def first_letters(letters: torch.Tensor, n: int, width: int) -> torch.Tensor:
    """The n letters from each of the first columns on as one number, (B, width) int16; it may be that of other letters
    too."""
    letters = letters.to(torch.int16)
    number = letters[:, :width]
    for j in range(1, n):
        number = torch.add(letters[:, j : j + width], number, alpha=41)
    return number


def suspects(z: Words, x: Words, at: torch.Tensor) -> torch.Tensor:
    """Rows where z may hold x elsewhere than at the planted columns (B, most): its first letters are there."""
    if not (z.even and x.even):
        return torch.arange(len(at), device=at.device)
    longest, n_first = z.letters.shape[1], min(4, x.letters.shape[1])
    width = -(-(longest - x.letters.shape[1] + 2) // 8) * 8  # one column to spare, and eight columns an int64
    letters = torch.nn.functional.pad(z.letters, (0, max(0, width + n_first - 1 - longest)), value=255)
    differs = first_letters(letters, n_first, width) ^ first_letters(x.letters, n_first, 1)
    found = differs.logical_not().scatter_(1, at % width, False)  # -1, no copy, is the column to spare
    return found.view(torch.int64).any(dim=1).nonzero()[:, 0]


def make_inputs(
    spec: TaskSpec, random: Stream, rules: list[Rules], chosen: torch.Tensor, length, count
) -> tuple[Words, torch.Tensor]:
    """Inputs z (B, Z) that hold x of the chosen rule exactly where planted (B, most), and of earlier rules nowhere.

    Rows in which chance wrote x once more are drawn again, until none is left; `TaskSpec` refuses settings in which
    that would be common. What a row asks for can be impossible (copies of aa that touch make a third; x may contain an
    earlier rule's): after PATIENCE draws it gets one copy of the first rule's x, and `chosen` and `count` are changed
    to say so. A row's letters depend on its own draws alone, so a batch never changes them. Draws are made twice as
    many at a time as before, of which the first good one is taken: six rounds reach PATIENCE.
    """
    sides = [r.x for r in rules]
    x = pick(sides, chosen.clamp(max=len(rules) - 1))
    z, at = draw_input(spec, random, x, length, count)
    rows = suspects(z, x, at) if len(sides) == 1 else torch.arange(len(length), device=length.device)
    rows = rows[wrong(spec, z[rows], sides, rows, chosen, count)]
    first, n = 1, 1  # the next draws of each row
    while len(rows):
        if first == PATIENCE:
            chosen[rows], count[rows] = torch.where(count[rows] > 0, 0, chosen[rows]), count[rows].clamp(max=1)
            x = pick(sides, chosen.clamp(max=len(rules) - 1))
        many = rows.repeat_interleave(n)
        draw = torch.arange(first, first + n, dtype=torch.int32, device=rows.device).repeat(len(rows))
        again, columns = draw_input(spec, random.retry(many, draw), x[many], length[many], count[many])
        good = ~wrong(spec, again, sides, many, chosen, count).view(-1, n)
        best = torch.arange(0, len(many), n, device=rows.device) + good.to(torch.uint8).argmax(dim=1)
        z.letters[rows], at[rows] = again.letters[best], columns[best]
        rows, first = rows[~good.any(dim=1)], first + n
        n = min(first, PATIENCE - first) if first < PATIENCE else first - PATIENCE + 1
    return z, at


def wrong(spec: TaskSpec, z: Words, sides: list[Words], rows: torch.Tensor, chosen, count) -> torch.Tensor:
    """Whether inputs z (R, Z), drawn for the given rows of a batch, hold x of the chosen rule, or an earlier rule's,
    more or less often than asked for: (R,) bool."""
    out = torch.zeros_like(rows, dtype=torch.bool)
    for j, side in enumerate(sides):
        n_found = (occurs_at(z, side[rows], spec.x_len[0]) & (chosen[rows] >= j)[:, None]).sum(dim=1)
        out |= n_found != torch.where(chosen[rows] == j, count[rows], 0)
    return out


def pick(words: list[Words], chosen: torch.Tensor) -> Words:
    """Of several words a row, the chosen one."""
    if len(words) == 1:
        return words[0]
    rows = torch.arange(len(chosen), device=chosen.device)
    return Words(
        torch.stack([w.letters for w in words])[chosen, rows], torch.stack([w.length for w in words])[chosen, rows]
    )


def make_answers(spec: TaskSpec, z: Words, at: torch.Tensor, rules: list[Rules]) -> Words:
    """What the prompt asks for. `at`: the planted columns (B, most), the only places where a single rule's x occurs."""
    if len(rules) > 1 or spec.n_steps > 1:
        for _ in range(spec.n_steps):
            z = markov_step(spec, z, rules)
        return z
    (rule,) = rules
    which = spec.replace_which
    if which == "all":
        starts = list(reversed(at.unbind(1)))  # from the right, so that columns to the left stay true
    elif which == "last":
        starts = [at.max(dim=1).values]
    else:
        starts = list(at.unbind(1))[0 if which == "first" else which - 1 :][:1]  # none, where there is no k-th
    for start in starts:
        z = replace_at(spec, z, start, rule.x, rule.y, None if always_once(spec) else start >= 0)
    return z


# ---- examples --------------------------------------------------------------------------------------------------------


@dataclass
class Examples:
    """B examples: tokens (B, T) uint8, padded at the right, and what is known of each, tensors (B,) by name."""

    tokens: torch.Tensor
    slices: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Alphabet:
    """Token numbers: the letters first, then the signs that write a prompt."""

    size: int
    arrow = property(lambda self: self.size)
    bar = property(lambda self: self.size + 1)
    equals = property(lambda self: self.size + 2)
    eos = property(lambda self: self.size + 3)
    pad = property(lambda self: self.size + 4)
    n_tokens = property(lambda self: self.size + 5)

    def text(self, tokens) -> str:
        """A row of tokens as text: letters a to z (beyond 26, others), > | = . and _ for padding."""
        letters = [chr(97 + i) if i < 26 else chr(0x100 + i) for i in range(self.size)]
        return "".join((letters + list(">|=._"))[t] for t in tokens)


def rule_of_example(spec: TaskSpec, seed: int, number: torch.Tensor) -> torch.Tensor:
    """The rule of training example `number` (B,): in turn, or with a long tail in proportion to the rules' weights."""
    if spec.tail_alpha is None:
        return number % spec.n_rules
    cumulative = tail_cumulative(spec.n_rules, spec.tail_alpha, seed, number.device)
    words = Stream.of(stream(seed, "tail/examples"), number, torch.zeros_like(number)).words(0, 2).long() & 0xFFFFFFFF
    uniform = (words[:, 0] * 2.0**-32 + words[:, 1] * 2.0**-64) * cumulative[-1]
    return torch.searchsorted(cumulative, uniform, right=True).clamp(max=spec.n_rules - 1)


@lru_cache(maxsize=KEPT)
def tail_cumulative(n_rules: int, alpha: float, seed: int, device: torch.device) -> torch.Tensor:
    """Cumulative weights of the rules, (n_rules,) float64: weight U^(1/alpha), the power law
    f(x) = alpha x^(alpha - 1)."""
    words = Stream.of(
        stream(seed, "tail/weights"), torch.arange(n_rules), torch.zeros(n_rules, dtype=torch.int64)
    ).words(0, 1)
    uniform = ((words[:, 0].long() & 0xFFFFFFFF) + 0.5) * 2.0**-32
    return uniform.double().pow(1 / alpha).cumsum(0).to(device)  # computed on the CPU: a GPU rounds otherwise


def generate(
    spec: TaskSpec, seed: int, rule, example, unseen: bool = False, copy: bool = False, table: list[Rules] | None = None
) -> Examples:
    """Example `example` of rule `rule`, int64 (B,) both, for B rows at once.

    Tokens are those of `Alphabet(spec.alphabet_size)`; a row has the length `row_length(spec)`. Slices: rule, no_op,
    occurrences, family, k, x_len, z_len. `copy` writes the input where the answer belongs: a model that copies has
    these rows right. `table`: the rules by number, where they have been made before.
    """
    n_prompt = spec.rules_in_prompt
    rules = [table[j][rule] if table else make_rules(spec, seed, rule * n_prompt + j, unseen) for j in range(n_prompt)]
    random = Stream.of(stream(seed, f"inputs/{unseen}"), rule, example)
    no_op, count = torch.zeros_like(rule, dtype=torch.bool), torch.full_like(rule, spec.occurrences[0])
    chosen, length = torch.zeros_like(rule), torch.full_like(rule, spec.z_len[0])
    if len(spec.occurrences) > 1:
        count = listed(spec.occurrences, rule.device)[below(random.word(1), len(spec.occurrences))]
    if n_prompt > 1:
        chosen = below(random.word(2), n_prompt)
    if spec.z_len[0] < spec.z_len[1]:
        length = drawn_range(random.word(3), spec.z_len)
    if spec.no_op_share > 0:
        no_op = (random.word(0).long() & 0xFFFFFFFF) < spec.no_op_share * 2.0**32
        chosen, count = torch.where(no_op, n_prompt, chosen), torch.where(no_op, 0, count)
    z, at = make_inputs(spec, random, rules, chosen, length, count)
    answer = z if copy else make_answers(spec, z, at, rules)
    first = rules[0]
    slices = {"rule": rule, "no_op": no_op, "occurrences": count, "family": first.family, "k": first.k}
    slices |= {"x_len": first.x.length, "z_len": length}
    return Examples(write_rows(spec, rules, z, answer), slices)


def write_rows(spec: TaskSpec, rules: list[Rules], z: Words, answer: Words) -> torch.Tensor:
    """The rows of tokens (B, T) uint8: signs between the words, padding moved to the right end."""
    signs, width = Alphabet(spec.alphabet_size), row_length(spec)
    parts = [part for rule in rules for part in (rule.x, signs.arrow, rule.y, signs.bar)] + [
        z,
        signs.equals,
        answer,
        signs.eos,
    ]
    widths = [1 if isinstance(part, int) else part.letters.shape[1] for part in parts]
    rows = torch.empty(len(z.length), max(width, sum(widths)), dtype=torch.uint8, device=z.length.device)
    rows[:, sum(widths) :] = signs.pad
    for part, columns in zip(parts, rows.split(widths + [rows.shape[1] - sum(widths)], dim=1)):
        if isinstance(part, int):
            columns.fill_(part)
        else:
            columns.copy_(part.letters)
            if not part.even:
                beyond = torch.arange(columns.shape[1], device=columns.device)[None] >= part.length[:, None]
                columns.masked_fill_(beyond, signs.pad)
    if not all(isinstance(part, int) or part.even for part in parts):
        rows = rows.gather(1, (rows == signs.pad).to(torch.uint8).argsort(dim=1, stable=True))
    return rows[:, :width]


def longest_answer(spec: TaskSpec) -> int:
    """Most letters that an answer can have."""
    growth = max(0, spec.y_len[1] - spec.x_len[0])
    n_replaced = spec.n_steps if spec.replace_which != "all" else max(spec.occurrences)
    return spec.z_len[1] + growth * n_replaced


def row_length(spec: TaskSpec) -> int:
    """T: tokens of the longest row."""
    return spec.rules_in_prompt * (spec.x_len[1] + spec.y_len[1] + 2) + spec.z_len[1] + 1 + longest_answer(spec) + 1


def prompt_length(spec: TaskSpec) -> int:
    """Tokens of the shortest prompt, "=" included: no answer starts before this column."""
    return spec.rules_in_prompt * (spec.x_len[0] + spec.y_len[0] + 2) + spec.z_len[0] + 1


def training_examples(spec: TaskSpec, seed: int, number: torch.Tensor, copy: bool = False) -> Examples:
    """Training examples by number, (B,) int64: 0 .. n_examples - 1 are the budget; later numbers are inputs drawn
    afresh for the same rules, of which some are training's by chance where inputs are short."""
    table = rule_table(spec, seed, number.device) if spec.n_rules * spec.rules_in_prompt <= FEW_RULES else None
    return generate(spec, seed, rule_of_example(spec, seed, number), number, copy=copy, table=table)


def unseen_examples(spec: TaskSpec, seed: int, number: torch.Tensor, copy: bool = False) -> Examples:
    """Examples of rules set apart from training, each of another rule while there are enough of them."""
    return generate(spec, seed, number % spec.n_pairs(True), number, unseen=True, copy=copy)


def batch_numbers(spec: TaskSpec, seed: int, first: int, n: int, device) -> torch.Tensor:
    """Numbers of the n training examples that come first-th and after in the order of training: (n,) int64.

    Each epoch is another keyed permutation of the whole budget, so nothing is stored and any step can be resumed.
    """
    parts = []
    for epoch in range(first // spec.n_examples, (first + n - 1) // spec.n_examples + 1):
        start = epoch * spec.n_examples
        place = torch.arange(max(first - start, 0), min(first + n - start, spec.n_examples), device=device)
        parts.append(permute(place, listed((spec.n_examples,), device), stream(seed, f"order/{epoch}")))
    return torch.cat(parts)
