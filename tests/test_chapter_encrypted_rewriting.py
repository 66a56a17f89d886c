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
        run = {"start": start, "n_rules": n_rules, "n_examples": n_examples, "tail_alpha": tail_alpha, "seed": seed}
        run |= {"key": "/".join(map(str, run.values())), "copied": 0.1, "plain": 0.0} | MADE
        for name, value in (("unseen", held), ("seen", seen), ("base", held)):
            found.append(run | {"eval": name, "exact_match": value, "no_op": no_op})
    return found


def table(cells: dict, seeds=6) -> pd.DataFrame:
    found = [row for n, values in cells.items() for row in rows(n, values, seeds)]
    return pd.DataFrame(found).astype({"tail_alpha": float})


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
        ({300: (0.3, 0.95, 0.97), 500: (0.3, 0.95, 0.97)}, OPEN),  # 300 rules are not few
    ],
)
def test_d10_needs_no_ops_alone_with_few_rules_and_all_with_many(cells, expected):
    assert here.only_no_ops(table(cells)).outcome == expected


def halved(everything=MANY, even=MANY, uneven=FEW, seeds=6) -> pd.DataFrame:
    cells = rows(3000, everything, seeds) + rows(3000, even, seeds, n_examples=5000)
    cells += rows(3000, uneven, seeds, n_examples=5000, tail_alpha=0.03)
    cells += rows(10, FEW, seeds) + rows(3000, FEW, seeds, "random weights")
    return pd.DataFrame(cells).astype({"tail_alpha": float})


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


def test_figures_draw_every_seed_and_are_the_same_twice():
    made = chapter(halved(), again=["rewriter of 10,000 rules/3000/10000/None/0"])
    for draw, expected in ((here.figure_accuracy, 6 * 2 * 3), (here.figure_starts, 6 * 3)):
        figure = draw(made)
        assert len(marks(figure.axes[0])) == expected and "6 seeds" in texts(figure) and svg(figure) == svg(draw(made))


def test_words_and_table_hold_the_numbers():
    made = chapter(halved())
    assert here.answer(made).startswith("**Tuned on 10 rules, the pretrained model applies unseen rules to 0.02 [")
    lines = here.table_accuracy(made).splitlines()
    assert len(lines) == 6 + 5 and sum("5,000, uneven" in line for line in lines) == 1


def test_every_start_is_tuned_on_every_number_of_rules():
    (planned,) = notebooks.plan(["12_encrypted_rewriting"], "smoke")
    values, tuned = planned.parameters, [spec for spec in planned.specs if isinstance(spec, EncryptedSpec)]
    cells = {(spec.base.task.n_rules, spec.task.n_rules, spec.seed, spec.base.seed) for spec in tuned}
    seeds = range(values["n_seeds"])
    assert cells == {(b["n_rules"], n, s, s) for b in values["bases"] for n in values["n_rules"] for s in seeds}
    scratch = {spec.task.n_rules for spec in planned.specs if isinstance(spec, FromScratchSpec)}
    assert scratch == set(values["from_scratch"]) and "| examples | 40,000 | 1,000 |" in here.settings(
        chapter(pd.DataFrame(), specs=planned.specs)
    )
    n, tail = values["task"]["n_examples"], values["tail_alpha"]
    assert {(s.task.n_examples, s.task.tail_alpha) for s in tuned} == {(n, None), (n // 2, None), (n // 2, tail)}
    for change in ({"kept_share": 1.0}, {"task": {"n_rules": 5}}, {"bases": [{"name": "tinny"}]}):
        with pytest.raises(SpecError) as caught:
            here.runs(**values | change)
        assert "\n" not in str(caught.value)
