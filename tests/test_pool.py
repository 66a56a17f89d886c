"""The symbolic pool against plain strings: prompts are well formed, clean answers are those of `ditune.markov`, noise is noise."""

from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ditune.active.pool import Tasks, pool_tasks, rule_numbers, shared_out, unseen_tasks
from ditune.active.specs import NOISE, PoolSpec
from ditune.rewriting.markov import rewrite
from ditune.rewriting.rules import make_rules
from ditune.rewriting.specs import FAMILIES
from ditune.rewriting.tasks import Alphabet
from ditune.specs import SpecError

SPEC = PoolSpec(n_tasks=60, n_instances=5, n_test=16, n_test_instances=4, alphabet_size=12, side_len=3, z_len=5)


@st.composite
def specs(draw):
    """Random pools; those that PoolSpec refuses are skipped."""
    parts = draw(st.lists(st.integers(0, 4), min_size=4, max_size=4).filter(any))
    try:
        return PoolSpec(
            n_tasks=draw(st.integers(1, 30)),
            n_instances=draw(st.integers(1, 3)),
            n_test=draw(st.integers(1, 9)),
            n_test_instances=draw(st.integers(1, 3)),
            alphabet_size=draw(st.integers(8, 30)),
            side_len=draw(st.integers(3, 5)),
            z_len=draw(st.integers(3, 9)),
            shares=[part / sum(parts) for part in parts],
            decision_share=draw(st.sampled_from([0.0, 0.35, 1.0])),
            noisy_share=draw(st.sampled_from([0.0, 0.2])),
            contradictory_share=draw(st.sampled_from([0.0, 0.3, 0.8])),
        )
    except SpecError:
        assume(False)


anything = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def parse(tasks: Tasks, r: int, i: int) -> tuple[tuple[str, str], list[tuple[str, str]]]:
    """Definition (x, y) and the pairs (z, a) of a row, the two worked examples first; fails unless it is well formed."""
    text = Alphabet(tasks.spec.alphabet_size).text(tasks.tokens[r, i].tolist())
    definition, *worked = text.removesuffix(".").split("|")
    assert text.endswith(".") and len(worked) == 3
    x, y = definition.split(">")
    return (x, y), [tuple(pair.split("=")) for pair in worked]


def every_row(tasks: Tasks):
    return ((r, *parse(tasks, r, i)) for r in range(len(tasks)) for i in range(tasks.tokens.shape[1]))


@anything
@given(specs(), st.integers(0, 3))
def test_every_clean_answer_is_what_the_markov_algorithm_computes(spec, seed):
    for tasks in (pool_tasks(spec, seed), unseen_tasks(spec, seed)):
        for r, (x, y), worked in every_row(tasks):
            assert len(x) == len(y) == spec.side_len and all(len(z) == len(a) == spec.z_len for z, a in worked)
            if NOISE[tasks.noise[r]] == "clean":
                assert all(a == rewrite(z, x, y) for z, a in worked)


@anything
@given(specs(), st.integers(0, 3))
def test_no_x_of_a_test_task_is_a_pool_tasks_x_and_no_y_its_y(spec, seed):
    def sides(tasks):
        return {side for _, definition, _ in every_row(tasks) for side in zip("xy", definition)}

    assert not sides(pool_tasks(spec, seed)) & sides(unseen_tasks(spec, seed))


@given(st.integers(1, 200), st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any), st.integers(0, 5))
def test_shares_are_exact_to_within_rounding(n, parts, key):
    shares = [part / sum(parts) for part in parts]
    counts = torch.bincount(shared_out(n, tuple(shares), (key, 1)), minlength=len(parts)).tolist()
    assert sum(counts) == n and all(abs(count - n * share) <= 1 for count, share in zip(counts, shares))


def test_the_pool_has_its_shares_and_the_test_is_clean_and_balanced():
    pool, test = pool_tasks(SPEC, 0).columns(), unseen_tasks(SPEC, 0).columns()
    assert [Counter(pool["family"])[f] / 60 for f in FAMILIES] == pytest.approx(SPEC.shares)
    assert Counter(pool["kind"])["decision"] == 21 and Counter(pool["noise"]) == {"clean": 48, "noisy": 6, "contradictory": 6}
    assert Counter(test["family"]) == dict.fromkeys(FAMILIES, 4) and set(test["noise"]) == {"clean"}


def test_inputs_of_rewriting_tasks_hold_x_and_half_of_those_of_decision_tasks_do():
    spec = SPEC.replace(n_instances=40, noisy_share=0, contradictory_share=0)
    pool, held = pool_tasks(spec, 1), {False: [], True: []}
    for r, (x, _), worked in every_row(pool):
        held[bool(pool.decision[r])].append(x in worked[2][0])
    assert all(held[False]) and 0.45 < sum(held[True]) / len(held[True]) < 0.55


def test_a_family_has_its_form():
    forms = {"repeated": lambda w: w[0] == w[1], "periodic": lambda w: w[0] == w[2], "mirrored": lambda w: w[1] == w[2]}
    for tasks in (pool_tasks(SPEC, 2), unseen_tasks(SPEC, 2)):
        for r, definition, _ in every_row(tasks):
            family = FAMILIES[tasks.family[r]]
            assert all({name: form(w) for name, form in forms.items()} == {name: name == family for name in forms} for w in definition)


def test_contradictory_definitions_are_of_no_rule_of_the_pool_and_their_answers_of_one():
    pool = pool_tasks(SPEC, 3)
    own = make_rules(SPEC.task("rewriting"), 3, rule_numbers(pool.family, torch.zeros(4, dtype=torch.int64)))
    rules = [tuple(Alphabet(12).text(side.letters[r].tolist()) for side in (own.x, own.y)) for r in range(len(pool))]
    for r, definition, worked in every_row(pool):
        contradictory = NOISE[pool.noise[r]] == "contradictory"
        assert definition not in rules if contradictory else definition == rules[r]
        assert NOISE[pool.noise[r]] == "noisy" or all(a == rewrite(z, *rules[r]) for z, a in worked)


def test_noisy_answers_are_random_letters():
    spec = SPEC.replace(n_tasks=200, n_instances=10, noisy_share=1.0, contradictory_share=0.0)
    answers = [a for _, _, worked in every_row(pool_tasks(spec, 0)) for _, a in worked[2:]]
    counts = Counter("".join(answers))
    assert len(set(answers)) > 1980 and len(counts) == 12 and max(counts.values()) < 1.25 * min(counts.values())


def test_prompts_are_the_rows_cut_at_what_can_be_dropped():
    pool = pool_tasks(SPEC, 0)
    for r, task in enumerate(pool.prompts(torch.arange(len(pool)))):
        shared = [token for segment in task.prompt for unit in segment.units for token in unit]
        assert shared == pool.heads(torch.tensor([r]))[0].tolist()
        for i, row in enumerate(pool.tokens[r].tolist()):
            assert [*shared, *task.inputs[i], *task.golds[i], Alphabet(12).eos] == row
        (x, y), worked = parse(pool, r, 0)
        droppable = {part: "".join(Alphabet(12).text([t for u in s.units for t in u]) for s in task.prompt if s.part == part) for part in ("definition", "examples")}
        assert droppable == {"definition": x + y, "examples": worked[0][0] + worked[1][0]}


def test_a_seed_changes_the_tasks_and_more_tasks_or_instances_do_not_change_the_first_inputs():
    assert not torch.equal(pool_tasks(SPEC, 0).tokens, pool_tasks(SPEC, 1).tokens)
    more = pool_tasks(SPEC.replace(n_instances=9), 0)
    assert torch.equal(more.tokens[:, :5], pool_tasks(SPEC, 0).tokens)
