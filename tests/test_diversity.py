"""Diversity of rule sets: effective numbers lie between 1 and the number of kinds, and say what the generator does."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ditune.rewriting import diversity
from ditune.rewriting.diversity import forms, hill, letters_by_place, of_examples, of_rules, vendi
from ditune.rewriting.specs import TaskSpec

SHORT = {"x_len": 6, "y_len": 6, "z_len": 12}


@settings(max_examples=50)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.sampled_from([0, 0.5, 1, 2]))
def test_an_effective_number_is_between_1_and_the_number_of_kinds_and_falls_with_the_order(counts, order):
    kinds = sum(n > 0 for n in counts)
    assert 1 - 1e-9 <= hill(counts, order) <= kinds + 1e-9
    assert hill(counts, 0) == pytest.approx(kinds) and hill(counts, order + 1) <= hill(counts, order) + 1e-9
    assert hill([7] * kinds, order) == pytest.approx(kinds)
    assert hill([3 * n for n in counts], order) == pytest.approx(hill(counts, order))


def test_the_effective_number_of_order_1_is_the_limit_of_its_neighbours():
    assert hill([5, 3, 1], 1 - 1e-6) == pytest.approx(hill([5, 3, 1]), abs=1e-5) == pytest.approx(hill([5, 3, 1], 1 + 1e-6), abs=1e-5)


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=12))
def test_the_vendi_score_of_words_is_that_of_the_similarities_of_all_pairs(rows):
    words = np.array(rows)
    similar = (words[:, None] == words[None]).mean(axis=2)
    values = np.linalg.eigvalsh(similar / len(words))
    plain = math.exp(-sum(v * math.log(v) for v in values if v > 1e-12))
    assert vendi(letters_by_place(words, 4)) == pytest.approx(plain, rel=1e-4) and plain < len(words) + 1e-3
    assert vendi(letters_by_place(np.concatenate([words, words]), 4)) == pytest.approx(plain, rel=1e-4)


def test_two_words_have_the_same_form_where_a_renaming_of_letters_makes_them_equal():
    words = np.array(list(itertools.product(range(3), repeat=3)))
    for a, b in itertools.product(words, repeat=2):
        renamed = len(set(zip(a, b))) == len(set(a)) == len(set(b))
        assert (forms(np.array([a])) == forms(np.array([b]))).all() == renamed


def measured(families, k, n_rules=300) -> dict:
    return of_rules(TaskSpec.of(n_rules=n_rules, n_examples=1000, families=families, k=k, **SHORT), 0)


def test_each_family_that_is_added_and_each_letter_that_is_freed_makes_rules_more_diverse():
    mixes = [["repeated"], ["repeated", "periodic"], ["repeated", "periodic", "mirrored"]]
    scores = [measured(mix, [3, 3])["vendi"] for mix in mixes]
    free = measured(["uniform"], 1)["vendi"]
    assert scores == sorted(scores) and scores[-1] < free
    assert measured(["repeated"], [6, 6], 20)["vendi"] < measured(["repeated"], [3, 3])["vendi"] < measured(["repeated"], [2, 2])["vendi"]
    assert measured(["periodic"], [3, 3])["forms"] < 1.5 < measured(mixes[-1], [3, 3])["forms"] <= 4


def test_unrestricted_words_are_nearly_as_diverse_as_free_letters():
    """Of words of L free letters out of A the eigenvalues are one of 1 / A and L (A - 1) of 1 / (L A)."""
    L, A = 6, 26
    exact = hill([1 / A] + [1 / (L * A)] * (L * (A - 1)))
    assert measured(["uniform"], 1, 1000)["vendi"] == pytest.approx(exact, rel=0.04)


def test_different_rules_and_words_are_counted_as_sets_of_them_count_them():
    spec = TaskSpec.of(n_rules=200, n_examples=1000, families=["repeated", "mirrored"], k=[3, 4], x_len=[6, 7], y_len=6, z_len=12, alphabet_size=6)
    rules = diversity.make_rules(spec, 3, torch.arange(200))
    x, y = ([bytes(word[:n].tolist()) for word, n in zip(side.letters, side.length.tolist())] for side in (rules.x, rules.y))
    found = of_rules(spec, 3)
    assert found["different_rules"] == len(set(zip(x, y))) <= 200 and found["different_words"] == len({*x, *y})


def test_without_a_tail_all_rules_have_equally_many_examples():
    found = of_examples(TaskSpec(n_rules=100, n_examples=1000), 0)
    assert found == pytest.approx({"met": 100, "half": 100, "entropy": 100, "simpson": 100})


@pytest.mark.parametrize("alpha, share", [(0.5, 0.982), (0.2, 0.830), (0.1, 0.620), (0.07, 0.506), (0.03, 0.277)])
def test_at_the_papers_sizes_a_tail_leaves_as_many_rules_as_the_power_law_does(alpha, share):
    """Weights U^(1 / alpha) leave 982, 830 and 277 of 1,000 rules with an example: expected for the weights of numpy's own draws."""
    weights = np.random.default_rng(0).power(alpha, size=(200, 1000))
    shares = weights / weights.sum(axis=1, keepdims=True)
    expected = -np.expm1(1e6 * np.log1p(-shares.clip(max=1 - 1e-12))).mean()
    found = of_examples(TaskSpec(n_examples=1_000_000, tail_alpha=alpha), 0)
    assert found["met"] / 1000 == pytest.approx(expected, abs=0.05) == pytest.approx(share, abs=0.07)
    assert found["simpson"] < found["entropy"] < found["half"] < found["met"]
