"""06: the rules decide as they are written, gaps vanish by the count that decides, figures show every seed."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest
from made_up import chapter, marks, svg, table, texts

from ditune import notebooks
from ditune.chapters import long_tail as here
from ditune.chapters import number_of_rules
from ditune.report.ledger import judge
from ditune.specs import SpecError

PARAMETERS = {"tail_alphas": [1.0, 0.2], "n_rules": [10, 100], "kept_share": 0.5, "halved_rules": 100, "first_seed": 3, "n_seeds": 2,
              "n_test": 50, "task": {"x_len": 3, "n_examples": 1000}, "model": {}, "train": {}}  # fmt: skip
CLAIMS = {claim.id: claim for claim in here.CLAIMS}
HOLDS, FAILS, OPEN = "holds here", "does not hold here", "not settled"


def runs(found: dict, seeds: int = 6, seen=0.97) -> pd.DataFrame:
    """Runs by (number of rules, alpha or None, number of examples): accuracy on unseen rules; seen: on seen ones, with a tail."""
    parts = []
    for (n, alpha, size), value in found.items():
        tail = math.nan if alpha is None else alpha
        parts.append(table({n: value}, 0.97 if alpha is None else seen, seeds, tail_alpha=tail, n_examples=size))
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
    most, even = frame["n_examples"] == 50_000, frame["tail_alpha"].isna()
    for part in (most, even, ~most | (frame["n_rules"] == 1000)):
        assert judge(CLAIMS["D11"], frame[part]).verdict == OPEN


def test_the_cells_are_tails_and_halves_and_the_curve_is_that_of_02():
    specs = here.runs(**PARAMETERS)
    cells = {(s.task.n_rules, s.task.tail_alpha, s.task.n_examples) for s in specs}
    assert cells == {(n, a, 1000) for n in (10, 100) for a in (None, 1.0, 0.2)} | {(100, None, 500), (100, 0.2, 500)}
    assert len(specs) == 2 * len(cells) == len(set(specs)) and {s.seed for s in specs} == {3, 4}
    assert [(s.task.n_rules, s.task.tail_alpha, s.seed) for s in here.sample(specs)] == [(100, 0.2, 3)]
    shared = set(here.borrowed(**notebooks.defaults("06_long_tail"))) & set(number_of_rules.runs(**notebooks.defaults("02_number_of_rules")))
    assert {spec.task.n_rules for spec in shared} == set(here.CURVE)
    (planned,) = notebooks.plan(["06"], "study")
    files = {path.stem for path in notebooks.sources(planned)}
    assert {spec.key for spec in shared} <= files  # the page is executed again when one of them changes


@pytest.mark.parametrize("wrong", [{"tail_alphas": []}, {"tail_alphas": [0.0]}, {"kept_share": 0}, {"task": {"tail_alpha": 1.0}}, {"halved_rules": "many"}])
def test_a_wrong_parameter_is_one_line(wrong):
    with pytest.raises(SpecError) as error:
        here.runs(**PARAMETERS | wrong)
    assert "\n" not in str(error.value)


# ---- counts of rules -------------------------------------------------------------------------------------------------

LEFT = {None: 1, 0.5: 2, 0.03: 5}


@pytest.fixture
def made(monkeypatch) -> SimpleNamespace:
    """Runs whose accuracy is a function of the logarithm of the rules with an example, which a tail divides by 2 and by 5."""
    frame = runs({(n, alpha, 50_000): 0.5 for n in (100, 1000, 10_000) for alpha in LEFT}, seeds=3)
    frame = pd.concat([frame, runs({(10_000, None, 25_000): 0.75, (10_000, 0.03, 25_000): 0.5}, seeds=3)], ignore_index=True)
    left = frame["n_rules"] / [LEFT[None if math.isnan(a) else a] for a in frame["tail_alpha"]]
    curve = (frame["eval"] == "unseen") & (frame["n_examples"] == 50_000)
    frame.loc[curve, "exact_match"] = left[curve].map(math.log10) / 5
    frame = frame.assign(met=left, half=left / 1.5, entropy=left / 2, simpson=left / 4)
    own = chapter(frame, again=frame["key"][:1])
    unseen = here.whole(frame)[here.whole(frame)["eval"] == "unseen"]
    monkeypatch.setattr(here, "counted", lambda chapter: unseen[unseen["tail_alpha"].notna()])
    monkeypatch.setattr(here, "even", lambda chapter: unseen[unseen["tail_alpha"].isna()].sort_values(["seed", "n_rules"]))
    return own


def test_by_the_count_that_decides_the_gaps_vanish_and_by_another_they_do_not(made):
    found = {count: here.gaps(here.counted(made), here.even(made), count)["gap"].mean() for count in here.COUNTS}
    assert found["met"] == pytest.approx(0, abs=1e-9)
    assert found["n_rules"] == pytest.approx(-(math.log10(2) + math.log10(5)) / 10)
    assert found["entropy"] == pytest.approx(math.log10(2) / 5)  # half as many rules are expected to do worse
    outside = here.gaps(here.counted(made), here.even(made), "met")
    assert set(outside["n_rules"]) == {1000, 10_000}  # 100 rules with a tail have fewer than the curve begins with
    assert "| rules with an example | 12 | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] |" in here.table_gaps(made)


def test_figures_show_every_seed_and_give_the_same_bytes_twice(made):
    unseen = made.frame[made.frame["eval"] == "unseen"]
    cut = made.frame["n_examples"] == 25_000
    halved = made.frame[cut | ((made.frame["n_rules"] == 10_000) & made.frame["tail_alpha"].isna())]
    drawn = {draw: draw(made) for draw in (here.figure_tails, here.figure_halving, here.figure_redrawn)}
    by_alpha, by_part, redrawn = drawn.values()
    assert marks(by_alpha.axes[0]) == pytest.approx(sorted(here.whole(unseen)["exact_match"]))
    assert marks(by_part.axes[0], "x") == pytest.approx(sorted(halved["exact_match"]))
    for ax, count in zip(redrawn.axes, here.COUNTS):
        assert marks(ax, "x") == pytest.approx(sorted(here.counted(made)[count]))
    assert "no tail" in texts(by_alpha) and "of order ½" in texts(redrawn)
    assert all(svg(figure) == svg(draw(made)) for draw, figure in drawn.items())


def test_answer_and_table_hold_the_numbers_of_the_runs(made):
    assert here.answer(made).startswith("**The longest tail (α = 0.03) changes the accuracy on unseen rules by -0.14 [-0.14, -0.14] with 10,000")
    assert "| 50,000 | 10,000 | none | 0.80 [0.80, 0.80] | 0.80, 0.80, 0.80 |" in here.table_accuracy(made)
