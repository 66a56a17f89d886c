"""Chapter 12: the rules decide as they are written, figures draw every seed, runs are what they say."""

import pandas as pd
import pytest
from made_up import MADE, NOISE, chapter, marks, svg, texts

from ditune import notebooks
from ditune.chapters import encrypted_rewriting as here
from ditune.language.specs import EncryptedSpec, FromScratchSpec
from ditune.report.ledger import judge
from ditune.report.stats import FAILS, HOLDS, OPEN
from ditune.specs import SpecError

D10, D11E = here.CLAIMS
FEW, MANY = (0.02, 0.95, 0.97), (0.9, 0.97, 0.95)
"""Accuracy on inputs of unseen rules that hold x, on their no-ops, and on inputs of seen rules that hold x."""


def rows(n_rules, values, seeds=6, start="rewriter of 10,000 rules", n_examples=10_000, tail_alpha=None):
    """The rows of a cell, as those of `frame`."""
    found = []
    for seed in range(seeds):
        held, no_op, seen = (min(max(value + NOISE[seed] * (0 < value < 1), 0), 1) for value in values)
        run = {"key": f"{start}/{n_rules}/{n_examples}/{tail_alpha}/{seed}", "seed": seed, "start": start, "n_rules": n_rules}
        run |= {"n_examples": n_examples, "tail_alpha": tail_alpha, "copied": 0.1, "plain": 0.0} | MADE
        found += [run | {"eval": e, "exact_match": x, "no_op": no_op} for e, x in (("unseen", held), ("seen", seen), ("base", held))]
    return found


def table(cells: dict, seeds=6) -> pd.DataFrame:
    return pd.DataFrame([row for n, values in cells.items() for row in rows(n, values, seeds)]).astype({"tail_alpha": float})


@pytest.mark.parametrize(
    "cells, expected",
    [
        ({10: FEW, 1000: MANY}, HOLDS),
        ({10: (0.02, 0.5, 0.97), 100: FEW, 1000: MANY}, HOLDS),  # somewhere no-ops alone are solved
        ({10: (0.3, 0.95, 0.97), 100: FEW, 1000: MANY}, HOLDS),
        ({10: FEW, 1000: FEW}, OPEN),  # many rules do not suffice either: nothing to compare few with
        ({10: (0.02, 0.95, 0.5), 1000: MANY}, OPEN),  # the few rules themselves are not learnt
        ({10: (0.3, 0.95, 0.97), 1000: MANY}, OPEN),  # a single cell does not speak against it
        ({10: (0.3, 0.95, 0.97), 100: (0.3, 0.95, 0.5), 1000: MANY}, FAILS),  # more than the no-ops is solved
        ({10: (0.02, 0.4, 0.97), 100: (0.3, 0.95, 0.5), 1000: MANY}, FAILS),  # less than the no-ops is
        ({10: (0.02, 0.4, 0.5), 100: (0.3, 0.95, 0.5), 1000: MANY}, OPEN),
        ({300: (0.3, 0.95, 0.97), 500: (0.3, 0.95, 0.97)}, OPEN),  # 300 rules are not few
    ],
)
def test_d10_needs_no_ops_alone_with_few_rules_and_all_with_many(cells, expected):
    assert here.only_no_ops(table(cells)).outcome == expected


def halved(everything=MANY, even=MANY, uneven=FEW, seeds=6) -> pd.DataFrame:
    cells = rows(3000, everything, seeds) + rows(3000, even, seeds, n_examples=5000) + rows(3000, uneven, seeds, n_examples=5000, tail_alpha=0.03)
    return pd.DataFrame(cells + rows(10, FEW, seeds) + rows(3000, FEW, seeds, "random weights")).astype({"tail_alpha": float})


@pytest.mark.parametrize(
    "even, uneven, expected",
    [
        (MANY, (0.5, 0.9, 0.97), HOLDS),
        (MANY, (0.5, 0.9, 0.6), OPEN),  # the uneven part was not learnt: that is no harm to generalisation
        ((0.7, 0.9, 0.95), (0.5, 0.9, 0.97), FAILS),  # the even part harms
        (MANY, MANY, FAILS),  # the uneven part does not
    ],
)
def test_d11e_needs_an_uneven_half_that_harms_and_an_even_one_that_does_not(even, uneven, expected):
    assert here.halving(halved(even=even, uneven=uneven)).outcome == expected


def test_all_examples_must_be_enough():
    assert here.halving(halved(everything=(0.3, 0.9, 0.95), even=(0.1, 0.9, 0.95))).outcome == OPEN


def test_few_seeds_decide_nothing():
    assert judge(D10, table({10: FEW, 1000: MANY}, seeds=5)).verdict == "not settled"
    assert judge(D11E, halved(seeds=5)).verdict == "not settled" and judge(D11E, halved()).verdict == "holds here"


@pytest.mark.parametrize("name", ["figure_accuracy", "figure_starts", "figure_halving"])
def test_a_figure_draws_every_seed_and_is_the_same_twice(name):
    made = chapter(halved(), again=["rewriter of 10,000 rules/3000/10000/None/0"])
    figure = getattr(here, name)(made)
    drawn = marks(figure.axes[0], "x" if name == "figure_halving" else "y")
    held = made.frame[made.frame["eval"] == "unseen"]
    expected = {"figure_accuracy": 6 * 2 * 3, "figure_starts": 6 * 3, "figure_halving": 6 * 3}[name]
    assert len(drawn) == expected and set(drawn) >= set(held[held["n_examples"] == 10_000].query("start != 'random weights' and n_rules == 3000")["exact_match"])
    assert svg(figure) == svg(getattr(here, name)(made)) and "6 seeds" in texts(figure)


def test_words_and_table_hold_the_numbers():
    made = chapter(halved())
    assert here.answer(made).startswith("**Tuned on 10 rules, the pretrained model applies unseen rules to 0.02 [")
    assert "exceeds random weights by 0.88 [0.88, 0.88] at 3,000 rules" in here.before(made)
    lines = here.table_accuracy(made).splitlines()
    assert len(lines) == 6 + 5 and sum("5,000, uneven" in line for line in lines) == 1


def test_every_start_is_tuned_on_every_number_of_rules_and_the_largest_rewriter_comes_first():
    (planned,) = notebooks.plan(["12_encrypted_rewriting"], "smoke")
    values, tuned = planned.parameters, [spec for spec in planned.specs if isinstance(spec, EncryptedSpec)]
    cells = {(spec.base.task.n_rules, spec.task.n_rules, spec.seed) for spec in tuned}
    assert cells == {(b["n_rules"], n, seed) for b in values["bases"] for n in values["n_rules"] for seed in range(values["n_seeds"])}
    assert {spec.task.n_rules for spec in planned.specs if isinstance(spec, FromScratchSpec)} == set(values["from_scratch"])
    whole = values["task"]["n_examples"]
    assert {(s.task.n_examples, s.task.tail_alpha) for s in tuned} == {(whole, None), (whole // 2, None), (whole // 2, values["tail_alpha"])}
    with pytest.raises(SpecError, match="bases: allowed first: a language model where there is one, else the rewriter of the most rules"):
        here.runs(**values | {"bases": values["bases"][::-1]})


@pytest.mark.parametrize(
    "changes, message",
    [({"kept_share": 1.0}, "kept_share = 1.0"), ({"task": {"n_rules": 5}}, "n_rules is a parameter of its own"), ({"bases": [{"name": "tiny", "n_rules": 3}]}, "name of a language model alone")],
)
def test_a_wrong_parameter_is_refused_in_a_line(changes, message):
    (planned,) = notebooks.plan(["12_encrypted_rewriting"], "smoke")
    with pytest.raises(SpecError, match=message) as caught:
        here.runs(**planned.parameters | changes)
    assert "\n" not in str(caught.value)


def test_an_example_shows_a_rewriting_a_no_op_and_the_whole_circle():
    (spec, *_) = notebooks.plan(["12_encrypted_rewriting"], "smoke")[0].specs
    _, rewritten, unchanged, _, circle, _ = here.example(chapter(pd.DataFrame(), specs=[spec])).split("\n")
    (x, y), z = rewritten.split("|")[0].split(">"), rewritten.split("|")[1].split("=")[0]
    assert x in z and f"={z.replace(x, y, 1)}." in rewritten
    x, z = unchanged.split(">")[0], unchanged.split("|")[1].split("=")[0]
    assert x not in z and f"={z}." in unchanged
    following = dict(zip(circle.split()[:-1], circle.split()[1:]))
    assert len(following) == spec.task.alphabet_size and unchanged.split("=")[-1] == "".join(following[letter] for letter in z) + "."
