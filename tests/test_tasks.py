"""The generator against plain strings: every example is what `ditune.markov` says, wherever and however it is made."""

import hashlib

import pytest
import torch
from counting import asked
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ditune.rewriting import rules as rules_of_tasks
from ditune.rewriting import tasks
from ditune.rewriting.hashing import permute, stream
from ditune.rewriting.markov import MarkovAlgorithm, Rule, rewrite
from ditune.rewriting.rules import family_index, make_rules
from ditune.rewriting.specs import FAMILIES, TaskSpec
from ditune.rewriting.tasks import Alphabet, batch_numbers, generate, training_examples, unseen_examples
from ditune.specs import SpecError


@st.composite
def specs(draw):
    """Random tasks: any lengths, families, occurrences, no-ops, rule sets; those that TaskSpec refuses are skipped."""

    def lengths(low, high):
        first = draw(st.integers(low, high))
        return (first, draw(st.integers(first, high)))

    several = draw(st.booleans())
    families = tuple(draw(st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=3, unique=True)))
    try:
        return TaskSpec.of(
            n_rules=draw(st.integers(1, 20)),
            n_examples=1000,
            alphabet_size=draw(st.integers(2, 30)),
            x_len=lengths(2, 5),
            y_len=lengths(2, 6),
            z_len=lengths(5, 16),
            occurrences=draw(st.sampled_from([(1,), (1, 2), (3,), (1, 2, 4)])),
            no_op_share=draw(st.sampled_from([0.0, 0.4, 1.0])),
            replace_which="first" if several else draw(st.sampled_from(["first", "last", "all", 1, 2])),
            families=families,
            k=draw(st.sampled_from([(1, 1), (1, 2), (2, 2)])),
            rules_in_prompt=draw(st.integers(1, 3)) if several else 1,
            n_steps=draw(st.integers(1, 3)) if several else 1,
            tail_alpha=draw(st.sampled_from([None, 0.3])),
        )
    except SpecError:
        assume(False)


anything = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def parse(spec, row):
    """A row of tokens as (rules, z, answer), plain strings; fails unless the row is well formed."""
    text = Alphabet(spec.alphabet_size).text(row.tolist())
    body, dot, padding = text.partition(".")
    assert dot == "." and set(padding) <= {"_"}
    *sides, last = body.split("|")
    z, answer = last.split("=")
    return [tuple(side.split(">")) for side in sides], z, answer


def rows(spec, n=12, seed=3, unseen=False):
    number = torch.arange(n)
    examples = (unseen_examples if unseen else training_examples)(spec, seed, number)
    return examples, [parse(spec, row) for row in examples.tokens]


@anything
@given(specs(), st.booleans())
def test_every_answer_is_what_the_markov_algorithm_computes_and_lengths_are_those_of_the_spec(spec, unseen):
    examples, parsed = rows(spec, unseen=unseen)
    assert examples.tokens.shape[1] == tasks.row_length(spec)
    assert int((examples.tokens == Alphabet(spec.alphabet_size).equals).int().argmax(dim=1).min()) + 1 >= tasks.prompt_length(spec)
    for rules, z, answer in parsed:
        for name, word in [("x_len", x) for x, _ in rules] + [("y_len", y) for _, y in rules] + [("z_len", z)]:
            assert getattr(spec, name)[0] <= len(word) <= getattr(spec, name)[1]
        if len(rules) == 1 and spec.n_steps == 1:
            assert answer == rewrite(z, *rules[0], which=spec.replace_which)
        else:
            assert answer == MarkovAlgorithm(tuple(Rule(x, y) for x, y in rules)).steps(z, spec.n_steps)


@anything
@given(specs())
def test_the_input_holds_x_exactly_as_often_as_intended_and_a_no_op_never(spec):
    examples, parsed = rows(spec)
    for i, (rules, z, _) in enumerate(parsed):
        intended = int(examples.slices["occurrences"][i])
        counts = [sum(z.startswith(x, p) for p in range(len(z))) for x, _ in rules]
        if bool(examples.slices["no_op"][i]):
            assert intended == 0 and not any(counts)
        else:  # of the first rule that occurs at all: it is the one that is applied
            assert next(c for c in counts if c) == intended


@settings(anything, max_examples=20)
@given(specs(), st.integers(1, 40))
def test_the_same_bits_whatever_the_batch_or_order(spec, first):
    number = torch.randperm(60, generator=torch.Generator().manual_seed(first)) + first
    whole = training_examples(spec, 5, number).tokens
    parts = torch.cat([training_examples(spec, 5, part).tokens for part in number.split([1, 1, 1, 5, 20, 32])])
    assert torch.equal(whole, parts)


def test_the_same_bits_where_a_batch_is_made_in_several_pieces():
    spec = TaskSpec.of(n_rules=300, x_len=3, y_len=(3, 4), z_len=10, occurrences=(1, 2), no_op_share=0.2)
    whole = training_examples(spec, 5, torch.arange(20_000))
    for first in (0, 7, 8190, 19_999):
        part = training_examples(spec, 5, torch.arange(first, min(first + 9, 20_000)))
        assert torch.equal(part.tokens, whole.tokens[first : first + 9])
        assert all(torch.equal(part.slices[name], whole.slices[name][first : first + 9]) for name in part.slices)


short = {"x_len": 3, "y_len": 3, "z_len": 10}
ragged = {"x_len": [3, 5], "y_len": [2, 6], "z_len": [12, 20]}
GOLDEN = [  # what is made, seed, examples, digest
    ("seen", 0, 3000, "296006c2bb3ecdc3", {}),
    ("seen", 7, 3000, "5dd046abaf48629c", {"n_rules": 1_000_000}),
    ("unseen", 0, 500, "bb8754bcc0a92146", {}),
    ("copy", 1, 500, "ea38e5cdae427cd6", {}),
    ("seen", 0, 9000, "3d3b53c7b330c5d6", short),
    ("seen", 3, 3000, "9b25eb3e87acb219", short | {"n_rules": 500_000, "no_op_share": 0.3}),
    ("unseen", 2, 500, "749bf9f8b735eaa4", ragged | {"alphabet_size": 4, "n_rules": 100}),
    ("seen", 1, 2000, "75bda4aa3a0e9c9a", ragged | {"occurrences": [1, 2], "replace_which": "all", "no_op_share": 0.2, "tail_alpha": 0.3}),
    ("seen", 5, 500, "beecf14f6977c8bc", short | {"occurrences": [1, 2, 3], "replace_which": "last", "alphabet_size": 9}),
    ("seen", 5, 500, "6b98723973fbc70f", ragged | {"occurrences": [1, 2], "replace_which": 2, "families": ["periodic", "uniform"], "k": [1, 2]}),
    ("seen", 2, 500, "fe56be80274dbd53", ragged | {"families": ["repeated", "mirrored", "periodic"], "k": [1, 2], "n_rules": 40}),
    ("unseen", 2, 500, "2c4c4ab7912e9622", {"families": ["mirrored"], "k": [2, 5], "alphabet_size": 200}),
    ("seen", 4, 300, "60e9e340e011f0e2", ragged | {"rules_in_prompt": 3, "n_steps": 4, "no_op_share": 0.2, "alphabet_size": 5, "n_rules": 100}),
    ("unseen", 4, 300, "a72829c90a5d9dc6", short | {"rules_in_prompt": 2, "alphabet_size": 3, "n_rules": 20}),
    ("order", 3, 3000, "a59a5f7e81671651", {"n_examples": 1 << 31, "n_rules": 1}),
    ("order", 0, 3000, "9f76f8255ef7c0aa", {"n_examples": 1001, "n_rules": 1}),
]


@pytest.mark.parametrize("kind, seed, n, digest, changes", GOLDEN)
def test_the_bits_are_those_of_the_first_version(kind, seed, n, digest, changes):
    """Records name the spec alone, so the generator may get faster but must never make other examples."""
    spec = TaskSpec.of(**changes)
    if kind == "order":
        tensors = {"numbers": batch_numbers(spec, seed, 100, n, "cpu")}
    else:
        make = unseen_examples if kind == "unseen" else training_examples
        examples = make(spec, seed, torch.arange(n) * 37 + 5, copy=kind == "copy")
        tensors = {"tokens": examples.tokens} | examples.slices
    parts = [f"{name} {tensors[name].dtype} {tensors[name].tolist()}" for name in sorted(tensors)]
    assert hashlib.sha256("".join(parts).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("families, k, length, n_rules", [
    *[(families, k, length, 4) for families, k in [("uniform", 1), ("repeated", 2), ("periodic", 3), ("mirrored", 2)] for length in (3, 6)],
    ("repeated periodic mirrored", [2, 3], 6, 40), ("periodic", [2, 4], 8, 40), ("mirrored repeated", [2, 2], 5, 40),
])
def test_unseen_rules_share_neither_side_with_any_training_rule_of_whatever_family(families, k, length, n_rules):
    spec = TaskSpec.of(alphabet_size=4, x_len=length, y_len=length, z_len=20, families=families.split(), k=k, n_rules=n_rules)
    seen, unseen = (make_rules(spec, 0, torch.arange(min(spec.n_pairs(u), 5000)), u) for u in (False, True))
    assert torch.stack([unseen.family, unseen.k]).unique(dim=1).shape[1] == spec.n_groups, "each family and k is tested"
    assert len({(*x.tolist(), *y.tolist()) for x, y in zip(seen.x.letters[:n_rules], seen.y.letters[:n_rules])}) == n_rules
    for side in ("x", "y"):
        words = [{bytes(w.tolist()) for w in getattr(rules, side).letters} for rules in (seen, unseen)]
        assert words[0] and words[1] and not words[0] & words[1]


@pytest.mark.parametrize("alphabet_size, length", [(2, 3), (3, 3), (26, 2), (26, 20)])
def test_rules_are_distinct_up_to_the_last_one_there_is(alphabet_size, length):
    spec = TaskSpec.of(alphabet_size=alphabet_size, x_len=length, y_len=length, z_len=max(length, 8) if alphabet_size > 2 else 8, n_rules=4)
    n = min(spec.n_pairs(False), 20_000)
    rules = make_rules(spec, 1, torch.arange(n))
    assert len({(bytes(x.tolist()), bytes(y.tolist())) for x, y in zip(rules.x.letters, rules.y.letters)}) == n


def test_all_words_of_the_training_half_are_used_before_any_left_side_repeats():
    spec = TaskSpec.of(alphabet_size=5, x_len=3, y_len=3, z_len=10, n_rules=10)
    n = spec.n_words(spec.x_len)[0]
    rules = make_rules(spec, 0, torch.arange(2 * n))
    first, second = ({bytes(w.tolist()) for w in part} for part in rules.x.letters.split(n))
    assert len(first) == n and first == second


@pytest.mark.parametrize("name, change", [("rules/x", "x"), ("rules/False", "lengths"), ("inputs/False", "z")])
def test_a_stream_changes_what_it_feeds_and_nothing_else(monkeypatch, name, change):
    spec = TaskSpec.of(x_len=(3, 5), y_len=3, z_len=12)
    number = torch.arange(64)
    before = [parse(spec, row) for row in generate(spec, 0, number, number).tokens]
    for module in ("rules", "tasks"):
        monkeypatch.setattr(f"ditune.rewriting.{module}.stream", lambda seed, n: stream(seed + 1 if n == name else seed, n))
    after = [parse(spec, row) for row in generate(spec, 0, number, number).tokens]
    same = {
        "x": [a[0][0][0] == b[0][0][0] for a, b in zip(before, after)],
        "y": [a[0][0][1] == b[0][0][1] for a, b in zip(before, after)],
        "lengths": [len(a[0][0][0]) == len(b[0][0][0]) for a, b in zip(before, after)],
        "z": [a[1] == b[1] for a, b in zip(before, after)],
    }
    assert not all(same[change])
    if change == "x":
        assert all(same["y"]) and all(same["lengths"])
    if change == "z":
        assert all(same["x"]) and all(same["y"]) and all(same["lengths"])


@given(st.integers(1, 3000), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_permute_is_a_permutation(n, seed):
    assert permute(torch.arange(n), torch.tensor([n]), stream(seed, "order/0")).sort().values.tolist() == list(range(n))


def test_an_epoch_visits_every_example_once_and_the_next_in_another_order():
    spec = TaskSpec.of(n_examples=1000, n_rules=10)
    numbers = batch_numbers(spec, 0, 0, 2000, "cpu")
    first, second = numbers[:1000], numbers[1000:]
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(1000))
    assert not torch.equal(first, second)
    assert torch.equal(batch_numbers(spec, 0, 990, 20, "cpu"), numbers[990:1010])


def test_each_rule_gets_its_share_of_the_budget():
    spec = TaskSpec.of(n_examples=1000, n_rules=8, x_len=3, y_len=3, z_len=10)
    counts = training_examples(spec, 0, torch.arange(1000)).slices["rule"].bincount()
    assert counts.tolist() == [125] * 8


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_no_ops_have_their_share_and_occurrences_are_evenly_drawn_among_the_others(share):
    n = 20_000
    spec = TaskSpec.of(n_rules=1000, x_len=3, y_len=3, z_len=30, occurrences=(1, 2, 4), no_op_share=share)
    drawn = training_examples(spec, 0, torch.arange(n)).slices
    rest = drawn["occurrences"][~drawn["no_op"]]
    assert abs(float(drawn["no_op"].double().mean()) - share) < 4 * (share * (1 - share) / n) ** 0.5
    for number in spec.occurrences:
        assert abs(float((rest == number).double().mean()) - 1 / 3) < 4 * (2 / 9 / len(rest)) ** 0.5


def test_the_long_tail_draws_rules_in_proportion_to_their_weights():
    spec = TaskSpec.of(n_rules=20, n_examples=40_000, tail_alpha=0.7, x_len=3, y_len=3, z_len=10)
    drawn = training_examples(spec, 0, torch.arange(40_000)).slices["rule"].bincount(minlength=20) / 40_000
    weights = tasks.tail_cumulative(20, 0.7, 0, torch.device("cpu")).diff(prepend=torch.zeros(1, dtype=torch.float64))
    assert (drawn - weights / weights.sum()).abs().max() < 0.012


def test_letters_and_places_are_evenly_drawn():
    spec = TaskSpec.of(x_len=3, y_len=3, z_len=10, n_rules=8000)
    tokens = training_examples(spec, 0, torch.arange(20_000)).tokens
    for columns in (slice(0, 3), slice(4, 7), slice(8, 18)):
        share = tokens[:, columns].flatten().bincount(minlength=26)[:26] / tokens[:, columns].numel()
        assert (share - 1 / 26).abs().max() < 0.006
    first = [z.index(x) for ((x, _),), z, _ in rows(spec, 4000)[1]]
    assert all(abs(first.count(p) / 4000 - 1 / 8) < 0.03 for p in range(8))


@pytest.mark.parametrize("family, k, expected", [(1, 3, "aaabbbccc"), (2, 2, "abcabc"), (3, 3, "abccbaabc"), (3, 2, "abccba"), (0, 1, "abcdef")])
def test_families_are_the_papers_examples(family, k, expected):
    index = family_index(torch.tensor([family]), torch.tensor([k]), torch.tensor([len(expected)]), len(expected))
    assert "".join("abcdef"[i] for i in index[0]) == expected


def test_a_copy_row_holds_the_input_as_its_answer():
    spec = TaskSpec.of(x_len=3, y_len=4, z_len=(8, 10))
    number = torch.arange(20)
    for row in training_examples(spec, 0, number, copy=True).tokens:
        _, z, answer = parse(spec, row)
        assert answer == z


PAPER = {"z_len": 50, "x_len": 20, "y_len": 20}
SEVERAL = {"z_len": 50, "x_len": 2, "y_len": 2, "occurrences": [1, 5, 10, 15, 20]}


COUNTED = [PAPER, PAPER | {"no_op_share": 0.5}, PAPER | {"tail_alpha": 0.03}, ragged, SEVERAL]


@pytest.mark.parametrize("changes", COUNTED)
@pytest.mark.parametrize("n", [32 * 128, 256 * 128])
def test_a_chunk_makes_a_gpu_wait_a_few_times_whatever_its_size_and_the_occurrences(changes, n):
    """A dozen for the places in the order that fall outside, and one a round of draws, of which there are six up to
    PATIENCE and one or two behind. Slots of occurrences cost kernels, but no wait."""
    spec = TaskSpec.of(**changes)

    def chunk(first):
        training_examples(spec, 0, batch_numbers(spec, 0, first, n, "cpu"))

    chunk(0)  # makes the table of rules
    kernels, waits = asked(lambda: chunk(n))
    assert waits <= 12 + 8
    assert kernels <= (3500 if "occurrences" in changes else 900)


def test_the_tables_of_a_packs_members_are_kept():
    spec = TaskSpec.of(**PAPER | {"tail_alpha": 0.03})
    for table in (rules_of_tasks.rule_table, tasks.tail_cumulative):
        table.cache_clear()
    chunks = [lambda seed=seed: training_examples(spec, seed, torch.arange(64)) for seed in range(100)]
    made, kept = ([asked(chunk)[0] for chunk in chunks] for _ in range(2))
    assert all(again < first - 500 for again, first in zip(kept, made))


@pytest.mark.gpu
def test_the_same_bits_on_a_gpu():
    spec = TaskSpec.of(x_len=(3, 5), y_len=(2, 6), z_len=(12, 20), occurrences=(1, 2), no_op_share=0.3, tail_alpha=0.5)
    number = torch.arange(4096)
    for task in (spec, TaskSpec.of(**SEVERAL)):
        here, there = (training_examples(task, 0, n).tokens.cpu() for n in (number, number.cuda()))
        assert torch.equal(here, there)
