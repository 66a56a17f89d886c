"""05: the rules decide as they are written, lower k is what no run was trained on, figures show every seed."""

from types import SimpleNamespace

import pandas as pd
import pytest
from made_up import chapter, marks, svg, table, texts

from ditune.chapters import semantic_families as here
from ditune.report.ledger import judge

R, P, M, RP, RM, PM = ("repeated",), ("periodic",), ("mirrored",), ("repeated", "periodic"), ("repeated", "mirrored"), ("periodic", "mirrored")
ALL = tuple(here.FAMILIES)
PARAMETERS = {"mixes": [["repeated"], ["uniform"], here.FAMILIES], "k_ranges": [[3, 4], [3, 3]], "n_rules": [10, 100], "lowest_k": 2,
              "first_seed": 3, "n_seeds": 2, "n_test": 50, "task": {"x_len": 9, "y_len": 9, "z_len": 11}, "model": {}, "train": {}}  # fmt: skip
CLAIMS = {claim.id: claim for claim in here.CLAIMS}
HOLDS, FAILS, OPEN = "holds here", "does not hold here", "not settled"


def runs(found: dict, seeds: int = 6, own=0.97) -> pd.DataFrame:
    """Runs by (mix, range of k, number of rules): accuracy on lower k and on unrestricted words, `own` on rules of their kind."""
    parts = []
    for (mix, k, n), (lower, uniform) in found.items():
        cell = {"mix": mix, "range": k, "x_len": 9}
        both = table({n: lower}, uniform, seeds, **cell)
        other = table({n: own}, own, seeds, **cell)
        parts += [both.assign(eval=both["eval"].map({"unseen": "lower k", "seen": "uniform"})), other]
    return pd.concat(parts, ignore_index=True)


def mixes(one, two, three, alone=(R, P, M), pairs=(RP, RM, PM), **more) -> pd.DataFrame:
    """One, two and three families at the same place: accuracy on lower k and on unrestricted words; three with fewer rules too."""
    found = dict.fromkeys(alone, one) | dict.fromkeys(pairs, two) | {ALL: three, here.FREE_WORDS: (0.9, 0.95)}
    places = {(mix, (1, 1) if mix == here.FREE_WORDS else (3, 4), 3000): value for mix, value in found.items()}
    return runs(places | {(ALL, (3, 4), 500): three}, **more)


@pytest.mark.parametrize("claim, place", [("D7", 0), ("D16", 1)])
@pytest.mark.parametrize(
    "values, more, expected",
    [
        ((0.1, 0.3, 0.6), {}, HOLDS),
        ((0.1, 0.6, 0.6), {}, FAILS),  # a third family is no help
        ((0.1, 0.3, 0.2), {}, FAILS),  # it does harm
        ((0.1, 0.3, 0.36), {"seeds": 3}, OPEN),
        ((0.1, 0.3, 0.6), {"seeds": 5}, OPEN),
        ((0.1, 0.3, 0.6), {"alone": (R, P)}, OPEN),  # not each family alone
        ((0.1, 0.3, 0.6), {"own": 0.5}, OPEN),  # own rules not learnt
        ((0.1, 0.6, 0.2), {"own": 0.85}, FAILS),  # unseen rules of their kind are applied
    ],
)
def test_d7_and_d16_ask_for_a_gain_over_every_mix_of_fewer(claim, place, values, more, expected):
    pairs = [(v, 0.4) if place == 0 else (0.4, v) for v in values]
    assert judge(CLAIMS[claim], mixes(*pairs, **more)).verdict == expected


@pytest.mark.parametrize(
    "values, more, expected",
    [
        ((0.1, 0.3, 0.7), {}, HOLDS),
        ((0.1, 0.7, 0.8), {}, FAILS),  # two families do
        ((0.1, 0.3, 0.4), {}, FAILS),  # three do not, at two numbers of rules
        ((0.1, 0.5, 0.7), {}, OPEN),
        ((0.1, 0.3, 0.7), {"pairs": (RP,)}, OPEN),  # not every mix
        ((0.1, 0.3, 0.4), {"own": 0.5}, OPEN),
        ((0.1, 0.3, 0.7), {"seeds": 5}, OPEN),
    ],
)
def test_d7n_needs_three_to_reach_lower_k_and_fewer_not_to(values, more, expected):
    assert judge(CLAIMS["D7n"], mixes(*((v, 0.4) for v in values), **more)).verdict == expected


def test_d7n_takes_no_low_accuracy_at_one_number_of_rules():
    frame = mixes((0.1, 0.1), (0.3, 0.3), (0.4, 0.4))
    assert judge(CLAIMS["D7n"], frame[frame["n_rules"] == 3000]).verdict == OPEN


@pytest.mark.parametrize(
    "few, many, own, expected",
    [(0.1, 0.5, 0.97, HOLDS), (0.5, 0.5, 0.97, FAILS), (0.5, 0.5, 0.5, OPEN)],
)
def test_d8_needs_help_of_more_rules(few, many, own, expected):
    found = {(ALL, (3, 4), 500): few, (ALL, (3, 4), 3000): many, (ALL, (3, 3), 3000): 0.2}
    assert judge(CLAIMS["D8"], runs({cell: (v, 0.1) for cell, v in found.items()}, own=own)).verdict == expected


@pytest.mark.parametrize(
    "narrow, wide, ranges, expected",
    [
        (0.6, 0.3, ((3, 3), (3, 4)), HOLDS),
        (0.6, 0.6, ((3, 3), (3, 4)), FAILS),
        (0.6, 0.8, ((3, 3), (3, 4)), FAILS),
        (0.05, 0.05, ((3, 3), (3, 4)), OPEN),  # nothing to lose
        (0.6, 0.3, ((3, 4), (3, 6)), OPEN),  # k = 6 leaves two free letters of nine
    ],
)
def test_d8k_compares_ranges_whose_words_training_cannot_exhaust(narrow, wide, ranges, expected):
    found = {(ALL, k, 3000): (v, 0.1) for k, v in zip(ranges, (narrow, wide))}
    assert judge(CLAIMS["D8k"], runs(found)).verdict == expected


def test_without_the_cells_that_a_rule_asks_for_nothing_is_settled():
    alone = runs({(R, (3, 4), 3000): (0.1, 0.1)})
    assert {judge(claim, alone).verdict for claim in here.CLAIMS} == {OPEN, "out of reach"}


def test_lower_k_is_what_no_restricted_run_was_trained_on(monkeypatch):
    frame = pd.concat([table({3000: 0.0}, seeds=1, families=families, k=k) for families, k in ((ALL, (3, 4)), ("uniform", 1))])
    frame = frame[frame["eval"] == "unseen"].assign(eval="families", n=200)
    by_k = {1: (0.5, 10), 2: (0.2, 30), 3: (0.9, 99), 4: (1.0, 99)}
    parts = [frame.assign(slice="k", value=str(k), exact_match=right, n=n) for k, (right, n) in by_k.items()]
    monkeypatch.setattr(here.records, "frame", lambda specs: frame)
    found = here.frame(SimpleNamespace(specs=[], slices=pd.concat([*parts, parts[0].assign(slice="family")])))
    lower = found[found["eval"] == "lower k"]
    assert lower["exact_match"].tolist() == pytest.approx([(0.5 * 10 + 0.2 * 30) / 40] * 2) and len(found) == len(frame) + 2
    assert list(found["mix"])[:2] == [ALL, here.FREE_WORDS] and list(found["range"])[:2] == [(3, 4), (1, 1)]


def test_each_mix_is_trained_at_the_first_range_and_the_last_one_at_all():
    specs = here.runs(**PARAMETERS)
    cells = {(s.task.families, s.task.k, s.task.n_rules) for s in specs}
    assert cells == {(R, (3, 4), 100), (here.FREE_WORDS, (1, 1), 100), (ALL, (3, 4), 100), (ALL, (3, 3), 100), (ALL, (3, 4), 10)}
    assert len(specs) == 2 * len(cells) == len(set(specs)) and {s.seed for s in specs} == {3, 4}
    families = {s.task.families: s.evals[2].task for s in specs if s.task.k != (3, 3)}
    assert all(task.families == ALL and task.k == (2, 4) for task in families.values())
    assert {e.name for s in specs for e in s.evals} == {"seen", "unseen", "families", "uniform"}


def test_figures_show_every_seed_and_give_the_same_bytes_twice():
    frame = mixes((0.1, 0.0), (0.3, 0.2), (0.6, 0.5), seeds=3)
    own = chapter(frame, again=frame["key"][:1])
    figure = here.figure_mixes(own)
    assert marks(figure.axes[0], "x") == pytest.approx(sorted(frame[frame["eval"].isin(here.SETS)]["exact_match"]))
    assert "periodic + mirrored\n3k rules, k = 3 to 4" in texts(figure) and "all three\n500 rules" in texts(figure)
    assert svg(figure) == svg(here.figure_mixes(own))


def test_answer_and_table_hold_the_numbers_of_the_runs():
    frame, specs = mixes((0.1, 0.0), (0.3, 0.2), (0.6, 0.5), seeds=3), here.runs(**PARAMETERS)[:1]
    frame["key"] = specs[0].key
    own = chapter(frame, specs=specs)
    assert here.answer(own).startswith("**On new rules whose words have no form, exact match is 0.00 [0.00, 0.00] after training on one family of forms, 0.20 [")
    assert "| repeated + periodic | 3 to 4 | 3,000 |" in here.table_mixes(own)
