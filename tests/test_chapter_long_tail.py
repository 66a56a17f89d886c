"""06: the rules decide as they are written, gaps vanish by the count that decides, figures show every seed."""

import pandas as pd
import pytest
from made_up import chapter, marks, svg, table, texts

from ditune.chapters import long_tail as here
from ditune.report.ledger import judge

PARAMETERS = {"tail_alphas": [1.0, 0.2], "n_rules": [10, 100], "kept_share": 0.5, "halved_rules": 100, "first_seed": 3, "n_seeds": 2,
              "n_test": 50, "task": {"x_len": 3, "n_examples": 1000}, "model": {}, "train": {}}  # fmt: skip
CLAIMS = {claim.id: claim for claim in here.CLAIMS}
HOLDS, FAILS, OPEN = "holds here", "does not hold here", "not settled"


def runs(found: dict, seeds: int = 6, seen=0.97) -> pd.DataFrame:
    """Runs by (number of rules, alpha or None, number of examples): accuracy on unseen rules; seen: on seen ones, with a tail."""
    parts = []
    for (n, alpha, size), value in found.items():
        tail = here.NO_TAIL if alpha is None else alpha
        parts.append(table({n: value}, 0.97 if alpha is None else seen, seeds, alpha=tail, n_examples=size))
    return pd.concat(parts, ignore_index=True)


def tails(few, many, alphas=(0.5, 0.03), numbers=(1000, 10_000), **more) -> pd.DataFrame:
    """Accuracy without a tail and with each, for few and for many rules."""
    cells = {(n, alpha): v for n, values in zip(numbers, (few, many)) for alpha, v in zip((None, *alphas), values)}
    return runs({(n, alpha, 50_000): value for (n, alpha), value in cells.items()}, **more)


FEW, MANY = (0.9, 0.9, 0.3), (0.95, 0.95, 0.94)


@pytest.mark.parametrize(
    "few, many, more, d6, d6f",
    [
        (FEW, MANY, {}, HOLDS, HOLDS),
        (FEW, (0.95, 0.95, 0.5), {}, FAILS, HOLDS),  # the longest hurts many
        (FEW, (0.95, 0.5, 0.94), {}, FAILS, HOLDS),  # a milder one does
        ((0.9, 0.9, 0.9), MANY, {}, HOLDS, FAILS),  # few do not suffer
        ((0.3, 0.3, 0.1), MANY, {}, HOLDS, OPEN),  # few are not enough to begin with
        (FEW, (0.3, 0.3, 0.3), {}, OPEN, HOLDS),
        (FEW, (0.95, 0.95, 0.5), {"seen": 0.6}, OPEN, OPEN),  # seen rules fall as well
        (FEW, MANY, {"seen": 0.6}, HOLDS, OPEN),
        (FEW, MANY, {"seeds": 5}, OPEN, OPEN),
        (FEW, MANY, {"alphas": (1.0, 0.2)}, HOLDS, OPEN),  # no long tail
        (FEW, MANY, {"numbers": (1000, 9000)}, OPEN, OPEN),  # not far apart
    ],
)
def test_d6_asks_for_no_harm_with_many_rules_and_d6f_for_harm_with_few(few, many, more, d6, d6f):
    frame = tails(few, many, **more)
    assert [judge(CLAIMS[claim], frame).verdict for claim in ("D6", "D6f")] == [d6, d6f]


def test_no_part_of_the_budget_is_taken_for_the_whole():
    frame = pd.concat([tails(FEW, MANY), runs({(10_000, None, 25_000): 0.5, (10_000, 0.03, 25_000): 0.1})])
    assert judge(CLAIMS["D6"], frame).verdict == HOLDS


def halves(everything, even, uneven, **more) -> pd.DataFrame:
    found = {(10_000, None, 50_000): everything, (10_000, None, 25_000): even, (10_000, 0.03, 25_000): uneven}
    return runs(found | {(1000, None, 50_000): 0.2, (10_000, 0.03, 50_000): 0.1}, **more)


@pytest.mark.parametrize(
    "values, more, expected",
    [
        ((0.95, 0.94, 0.5), {}, HOLDS),
        ((0.95, 0.5, 0.5), {}, FAILS),  # the even part does harm
        ((0.95, 0.94, 0.94), {}, FAILS),  # the uneven one does none
        ((0.3, 0.3, 0.1), {}, OPEN),  # all examples are not enough
        ((0.95, 0.94, 0.5), {"seen": 0.6}, OPEN),
        ((0.95, 0.94, 0.5), {"seen": 0.94}, HOLDS),
        ((0.95, 0.94, 0.5), {"seeds": 5}, OPEN),
    ],
)
def test_d11_needs_no_harm_of_the_even_part_and_harm_of_the_uneven_one(values, more, expected):
    assert judge(CLAIMS["D11"], halves(*values, **more)).verdict == expected


def test_d11_needs_all_three_kinds_of_runs():
    frame = halves(0.95, 0.94, 0.5)
    most, even = frame["n_examples"] == 50_000, frame["alpha"] == here.NO_TAIL
    for part in (most, even, ~most | (frame["n_rules"] == 1000)):
        assert judge(CLAIMS["D11"], frame[part]).verdict == OPEN


def test_the_cells_are_tails_and_halves():
    specs = here.runs(**PARAMETERS)
    cells = {(s.task.n_rules, s.task.tail_alpha, s.task.n_examples) for s in specs}
    assert cells == {(n, a, 1000) for n in (10, 100) for a in (None, 1.0, 0.2)} | {(100, None, 500), (100, 0.2, 500)}
    assert len(specs) == 2 * len(cells) == len(set(specs)) and {s.seed for s in specs} == {3, 4}
    assert [(s.task.n_rules, s.task.tail_alpha, s.seed) for s in here.sample(specs)] == [(100, 0.2, 3)]


def test_the_figure_shows_every_seed_and_answer_and_table_hold_the_numbers():
    frame, specs = pd.concat([tails(FEW, MANY, seeds=3), runs({(10_000, None, 25_000): 0.9}, seeds=3)]), here.runs(**PARAMETERS)[:1]
    own = chapter(frame.assign(key=specs[0].key), again=[], specs=specs)
    whole = here.whole(frame[frame["eval"] == "unseen"])
    figure = here.figure_tails(own)
    assert marks(figure.axes[0]) == pytest.approx(sorted(whole["exact_match"]))
    assert "no tail" in texts(figure) and svg(figure) == svg(here.figure_tails(own))
    assert "(α = 0.03) changes the accuracy on unseen rules by -0.01 [-0.01, -0.01] with 10,000 rules, by -0.60" in here.answer(own)
    assert "| 50,000 | 10,000 | no tail | 10 | 10 | 10 | 0.95 [0.93, 0.97] | 0.95, 0.94, 0.96 |" in here.table_accuracy(own)
