"""The rules of a task: rule number r of a spec and seed, for training or set apart from it, as letters on a device.

Shapes: B rules, L letters of the longest word.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch

from .hashing import Stream, below, permute, stream
from .specs import FAMILIES, TaskSpec

FEW_RULES = 10_000  # so many rules are kept in memory, about 1 MB
PATIENCE = 50  # draws of a rule or an input before what it asks for is taken to be impossible
KEPT = 512  # tables that are kept in memory: a pack's members have one each
N_CHOICES = 4  # hash words that decide an example's kind, before its letters


@dataclass
class Words:
    """B words: letters (B, L) uint8, padded at the right where lengths differ, and length (B,) int64. `even`: all are
    L."""

    letters: torch.Tensor
    length: torch.Tensor
    even: bool = False

    def __getitem__(self, rows) -> "Words":
        return Words(self.letters.index_select(0, rows), self.length.index_select(0, rows), self.even)


def digits(number: torch.Tensor, n: int, base: int) -> torch.Tensor:
    """The n digits of each number (B,), lowest first: (B, n) uint8. Floating point: integer division is 10 times
    slower."""
    out, rest = [], number.double()
    for _ in range(n):
        quotient = ((rest + 0.5) * (1 / base)).floor_()  # exact below 2^30: the error is far under 0.5 / base
        out.append(torch.add(rest, quotient, alpha=-base).to(torch.uint8))
        rest = quotient
    return torch.stack(out, dim=1)


def drawn_range(words: torch.Tensor, bounds: tuple[int, int]) -> torch.Tensor:
    """Numbers low .. high, one a hash word."""
    low, high = bounds
    return torch.full_like(words, low, dtype=torch.int64) if low == high else low + below(words, high - low + 1)


def family_index(family: torch.Tensor, k: torch.Tensor, length: torch.Tensor, longest: int) -> torch.Tensor:
    """For each position of a word, the position of its letter in the base word: (B, longest) int64.

    A word of length L holds k copies of a base word of m = ceil(L / k) letters. For the base abc and k = 2 (OIF,
    semantic diversity; the paper's examples are aaabbbccc, abcabc, abccbaabc): repeated aabbcc, periodic abcabc,
    mirrored abccba.
    """
    p = torch.arange(longest, device=k.device)[None]
    m = -((-length) // k)[:, None]
    copy, offset = p // m, p % m
    repeated, mirrored = p // k[:, None], torch.where(copy % 2 == 0, offset, m - 1 - offset)
    table = torch.stack([p.expand_as(offset), repeated, offset, mirrored])  # in the order of specs.FAMILIES
    return table.gather(0, family[None, :, None].expand(1, -1, longest))[0]


@dataclass
class Rules:
    """B rules x -> y with the family (index into specs.FAMILIES) and k that both sides were drawn from."""

    x: Words
    y: Words
    family: torch.Tensor
    k: torch.Tensor

    def __getitem__(self, rows) -> "Rules":
        return Rules(self.x[rows], self.y[rows], self.family.index_select(0, rows), self.k.index_select(0, rows))

    def put(self, rows, others: "Rules") -> None:
        """Take the sides of other rules of the same families and k in these rows."""
        for side, other in ((self.x, others.x), (self.y, others.y)):
            side.letters[rows], side.length[rows] = other.letters, other.length


@lru_cache(maxsize=KEPT)
def listed(numbers: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Numbers as a tensor (n,) int64, kept: a GPU waits for every upload."""
    return torch.tensor(numbers, device=device)


def by_k(spec: TaskSpec, k: torch.Tensor, value) -> torch.Tensor:
    """value(k) of each row: (B,) int64."""
    return listed(tuple(value(n) for n in range(1, spec.k[1] + 1)), k.device)[k - 1]


def side_words(
    spec: TaskSpec, side: str, key, rank: torch.Tensor, length: torch.Tensor, k: torch.Tensor, random: Stream
) -> Words:
    """Base words of one side whose prefix has the given rank (B,) in the keyed permutation of prefixes."""
    bounds = getattr(spec, f"{side}_len")
    n_prefix = by_k(spec, k, lambda n: spec.prefix_len(bounds, n))
    prefix = permute(rank, spec.alphabet_size**n_prefix, key)
    letters = random.letters(N_CHOICES + (spec.x_len[1] if side == "y" else 0), bounds[1], spec.alphabet_size)
    most = spec.prefix_len(bounds)
    fixed = torch.arange(most, device=rank.device)[None] < n_prefix[:, None]
    letters[:, :most] = torch.where(fixed, digits(prefix, most, spec.alphabet_size), letters[:, :most])
    return Words(letters, length, bounds[0] == bounds[1])


def belongs(word: Words, family: int, k: int) -> torch.Tensor:
    """Whether words have the form of a restricted family (index into specs.FAMILIES) and k: (B,) bool.

    Each letter must be the one at the first place of its base letter: for repeated words every k-th, else the leading
    ones.
    """
    B, longest = word.letters.shape
    same_family, same_k = torch.full_like(word.length, family), torch.full_like(word.length, k)
    first = family_index(same_family, same_k, word.length, longest) * (k if FAMILIES[family] == "repeated" else 1)
    beyond = torch.arange(longest, device=first.device)[None] >= word.length[:, None]
    return ((word.letters == word.letters.gather(1, first.clamp(max=longest - 1))) | beyond).all(dim=1)


def has_other_form(spec: TaskSpec, rules: Rules) -> torch.Tensor:
    """Whether a side of the rules (B,) has, by chance, the form of another restricted family or k of the task: (B,)
    bool.

    aaaa has all forms. A form that all words of the rule's family and k have does not count: of k = 4, periodic words
    are those of k = 2 as well. A word of distinct base letters tells which these are.
    """
    found = torch.zeros_like(rules.k, dtype=torch.bool)
    for side in (rules.x, rules.y):
        distinct = Words(family_index(rules.family, rules.k, side.length, side.letters.shape[1]), side.length)
        for family in (FAMILIES.index(f) for f in spec.families if f != "uniform"):
            for k in range(spec.k[0], spec.k[1] + 1):
                found |= belongs(side, family, k) & ~belongs(distinct, family, k)
    return found


def make_rules(spec: TaskSpec, seed: int, number: torch.Tensor, unseen: bool = False) -> Rules:
    """The rules of the given numbers (B,) int64, of training or (`unseen`) set apart from it.

    Within a family and k, `drawn_rules` sets words apart. A word such as aaaa belongs to several families, and the test
    could meet in one what training has in another; so a rule with such a side gives way to the rule of another number
    of its family and k, which for training is one beyond its n_rules. Where no other can be found (k copies of one
    letter), it stays, and `RunSpec` refuses the test.
    """
    rules = drawn_rules(spec, seed, number, unseen)
    rows = torch.arange(len(number) if spec.n_groups > 1 else 0, device=number.device)
    step, end = (
        -(-spec.n_rules * spec.rules_in_prompt // spec.n_groups),
        spec.n_pairs(unseen) * spec.rules_in_prompt // spec.n_groups,
    )
    for attempt in range(1, PATIENCE):
        rows = rows[has_other_form(spec, rules[rows])]
        if len(rows) == 0:
            break
        group, inside = number[rows] % spec.n_groups, number[rows] // spec.n_groups
        rules.put(rows, drawn_rules(spec, seed, group + spec.n_groups * ((inside + step * attempt) % end), unseen))
    return rules


def drawn_rules(spec: TaskSpec, seed: int, number: torch.Tensor, unseen: bool) -> Rules:
    """The rules of the given numbers (B,), set apart within a family and k.

    The leading letters of a side come from a keyed permutation of all such prefixes, of which training owns the first
    half and test the other: no word of one is ever a word of the other. Rule r takes x prefix r mod n_x and a y prefix
    that makes the pair new; so rules are distinct, and no two share x while there are enough words. Uniform words
    beside other families are drawn once for each k, so that these draws can repeat a rule.
    """
    families = listed(tuple(FAMILIES.index(f) for f in spec.families), number.device)
    family = families[number % len(families)]
    k = torch.where(family == 0, 1, spec.k[0] + number // len(families) % (spec.k[1] - spec.k[0] + 1))
    random = Stream.of(stream(seed, f"rules/{unseen}"), number, torch.zeros_like(number))
    inside, choice = number // spec.n_groups, random.words(0, 2)
    n_x, n_y = (by_k(spec, k, lambda n, side=side: spec.n_words(side, n)[unseen]) for side in (spec.x_len, spec.y_len))
    apart = Stream.of(stream(seed, f"groups/{unseen}"), number % spec.n_groups, k).words(0, 1)[:, 0]
    rank_x = (inside + below(apart, n_x)) % n_x
    shift = Stream.of(stream(seed, f"pairs/{unseen}"), rank_x, k).words(0, 1)[:, 0]
    rank_y = (inside // n_x + below(shift, n_y)) % n_y
    if unseen:
        rank_x += by_k(spec, k, lambda n: spec.n_words(spec.x_len, n)[0])
        rank_y += by_k(spec, k, lambda n: spec.n_words(spec.y_len, n)[0])
    x = side_words(spec, "x", stream(seed, "rules/x"), rank_x, drawn_range(choice[:, 0], spec.x_len), k, random)
    y = side_words(spec, "y", stream(seed, "rules/y"), rank_y, drawn_range(choice[:, 1], spec.y_len), k, random)
    if spec.families != ("uniform",):
        for side in (x, y):
            side.letters = side.letters.gather(1, family_index(family, k, side.length, side.letters.shape[1]))
    return Rules(x, y, family, k)


@lru_cache(maxsize=KEPT)
def rule_table(spec: TaskSpec, seed: int, device: torch.device) -> list[Rules]:
    """All training rules, for each place in the prompt: looked up where they are few, as reading is faster than
    making."""
    number = torch.arange(spec.n_rules, device=device) * spec.rules_in_prompt
    return [make_rules(spec, seed, number + j) for j in range(spec.rules_in_prompt)]
