"""Strategies against their definitions written plainly, and the laws of a selection: shares, invariance, ties, small pools."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ditune.active import specs
from ditune.active.selection import STRATEGIES, Candidates, groups, k_centre, select
from ditune.specs import SpecError


def candidates(n=40, seed=0, shift=100):
    """Random measurements of n tasks."""
    random = torch.Generator().manual_seed(seed)
    p = torch.rand(n, generator=random, dtype=torch.float64).clamp(min=0.01)
    return Candidates(
        number=torch.randperm(n, generator=random) + shift,
        decision=torch.rand(n, generator=random) < 0.4,
        family=torch.randint(0, 4, (n,), generator=random),
        clean=torch.rand(n, generator=random) < 0.7,
        uncertainty=torch.rand(n, generator=random, dtype=torch.float64) / 2,
        probability=p,
        perplexity=1 / p,
        features=torch.randn(n, 6, generator=random),
    )


def of(tasks, name):
    """A measurement by number."""
    return dict(zip(tasks.number.tolist(), getattr(tasks, name).tolist()))


def chosen(strategy, tasks, n, share=0.35, seed=5, name="selection/1", trained=None):
    return select(strategy, tasks, n, share, seed, name, trained).tolist()


def test_every_strategy_that_a_spec_may_name_is_there_and_needs_what_it_says():
    assert STRATEGIES.keys() == specs.STRATEGIES.keys()
    tasks = candidates()
    measured = {"probability": ("probability", "perplexity"), "uncertainty": ("uncertainty", "probability", "perplexity"), "features": ("features",)}
    for strategy, needs in specs.STRATEGIES.items():
        known = {field for need in needs for field in measured[need]}
        unknown = {"uncertainty", "probability", "perplexity", "features"} - known
        assert chosen(strategy, replace(tasks, **dict.fromkeys(unknown)), 9) == chosen(strategy, tasks, 9)


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 9), share=st.sampled_from([0.0, 0.35, 1.0]))
def test_a_selection_has_its_size_its_shares_and_no_task_twice_and_ignores_the_order_of_the_list(strategy, n, seed, share):
    tasks = candidates(seed=seed)
    found = chosen(strategy, tasks, n, share)
    n_decision = int(tasks.decision.sum())
    of_decision = sum(of(tasks, "decision")[number] for number in found)
    assert len(found) == len(set(found)) == min(n, 40) and found == sorted(found) and set(found) <= set(tasks.number.tolist())
    assert of_decision == min(max(round(min(n, 40) * share), min(n, 40) - (40 - n_decision)), n_decision)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    assert chosen(strategy, tasks[order], n, share) == found


@pytest.mark.parametrize("strategy, key", [
    ("high_perplexity", lambda u, p: p),
    ("low_perplexity", lambda u, p: -p),
    ("uncertainty", lambda u, p: -u),
])
def test_a_score_alone_decides_within_a_kind(strategy, key):
    tasks = candidates()
    u, p, decision = (of(tasks, name) for name in ("uncertainty", "probability", "decision"))
    found = chosen(strategy, tasks, 10, 0.3)
    for kind, n in ((False, 7), (True, 3)):
        numbers = [number for number in decision if decision[number] == kind]
        assert sorted(sorted(numbers, key=lambda r: key(u[r], p[r]))[:n]) == [r for r in found if decision[r] == kind]


@pytest.mark.parametrize(("strategy", "sign"), [("easy", -1), ("difficult", 1)])
def test_rank_merges_are_sums_of_ranks(strategy, sign):
    """Lowest rank(U) + rank(p) is difficult, lowest rank(U) + rank(-p) easy: counted one by one."""
    tasks = candidates(30)
    u, p = of(tasks, "uncertainty"), of(tasks, "probability")
    only = replace(tasks, decision=torch.zeros(30, dtype=torch.bool))
    merged = {r: sum(u[s] < u[r] for s in u) + sum(sign * p[s] < sign * p[r] for s in p) for r in u}
    found = chosen(strategy, only, 8)
    assert max(merged[r] for r in found) <= min(merged[r] for r in u if r not in found)


def test_the_groups_of_the_map_are_what_the_strategies_select():
    tasks = candidates()
    found = groups(tasks, 10, 0.35, 5, "selection/1")
    assert {name: numbers.tolist() for name, numbers in found.items()} == {
        "ambiguous": chosen("uncertainty", tasks, 10), "difficult": chosen("difficult", tasks, 10), "easy": chosen("easy", tasks, 10),
    }  # fmt: skip


def test_ties_are_broken_by_a_hashed_order_and_not_by_number():
    tasks = replace(candidates(), uncertainty=torch.zeros(40), perplexity=torch.ones(40), probability=torch.ones(40), features=torch.zeros(40, 6))
    found = {seed: [chosen(strategy, tasks, 8, seed=seed) for strategy in ("uncertainty", "high_perplexity", "easy", "random")] for seed in range(20)}
    assert all(of_seed == [of_seed[0]] * 4 for of_seed in found.values())
    often = Counter(number for of_seed in found.values() for number in of_seed[0])
    assert len(often) > 36 and max(often.values()) < 14
    assert chosen("random", tasks, 8, name="selection/2") != chosen("random", tasks, 8)


def test_inverse_confidence_draws_in_proportion_to_one_over_p():
    tasks = Candidates(torch.arange(3), torch.zeros(3, dtype=torch.bool), probability=torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64))
    drawn = Counter(chosen("inverse_confidence", tasks, 1, seed=seed)[0] for seed in range(600))
    expected = [1 / p / (1 / 0.1 + 1 / 0.2 + 1 / 0.4) for p in (0.1, 0.2, 0.4)]
    for number, share in enumerate(expected):
        assert abs(drawn[number] / 600 - share) < 4 * math.sqrt(share * (1 - share) / 600)


def test_oracles_know_family_and_noise():
    tasks = candidates(80)
    family, clean = of(tasks, "family"), of(tasks, "clean")
    assert set(Counter(family[r] for r in chosen("balanced", tasks, 16, 0.5)).values()) == {4}
    assert all(clean[r] for r in chosen("clean", tasks, 20))
    assert sum(clean[r] for r in chosen("clean", tasks, 80, 0.35)) == sum(clean.values())


def test_k_centre_takes_the_farthest_again_and_again():
    features, centres = candidates().features, torch.randn(3, 6, generator=torch.Generator().manual_seed(9))
    known, plainly = centres.tolist(), []
    for _ in range(12):
        farthest = max((r for r in range(40) if r not in plainly), key=lambda r: min(math.dist(features[r].tolist(), c) for c in known))
        plainly.append(farthest)
        known.append(features[farthest].tolist())
    assert k_centre(features, centres, 12).tolist() == plainly
    assert sorted(k_centre(torch.zeros(5, 2), torch.zeros(1, 2), 5).tolist()) == [0, 1, 2, 3, 4]


def test_diversity_stays_away_from_what_was_trained_on_and_uncertainty_in_its_quarter():
    tasks = replace(candidates(), decision=torch.zeros(40, dtype=torch.bool))
    near = tasks.features[:20]
    assert set(chosen("diversity", tasks, 20, trained=near)) == set(tasks.number[20:].tolist())
    u = of(tasks, "uncertainty")
    assert set(chosen("uncertainty_diversity", tasks, 6)) <= set(sorted(u, key=u.get)[-10:])
    assert chosen("uncertainty_diversity", tasks, 20) == chosen("uncertainty", tasks, 20)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_from_a_pool_smaller_than_a_step_all_is_taken_and_from_none_nothing(strategy):
    tasks = candidates(5)
    assert chosen(strategy, tasks, 9) == sorted(tasks.number.tolist())
    assert chosen(strategy, tasks[torch.tensor([], dtype=torch.int64)], 9) == chosen(strategy, tasks, 0) == []


def test_a_strategy_that_does_not_exist_is_refused():
    with pytest.raises(SpecError, match="unknown strategy 'uncertain'; did you mean 'uncertainty'"):
        select("uncertain", candidates(), 3, 0.35, 0, "")
