"""D10: the rule decides as it is written, on made-up tables; figures and tables of its chapter, from the same."""

import math

import matplotlib
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402

from ditune import notebooks
from ditune.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, judge  # noqa: E402
from ditune.figures import encrypted, long_tail, plotting  # noqa: E402
from ditune.language.specs import EncryptedSpec  # noqa: E402
from ditune.store import records  # noqa: E402

NOISE = (0.0, -0.01, 0.01, 0.02)
FEW, MANY = (0.02, 0.95, 0.97), (0.9, 0.97, 0.95)
"""Accuracy on inputs of unseen rules that hold x, on their no-ops, and on inputs of seen rules that hold x."""


def table(found: dict, seeds: int = 3) -> pd.DataFrame:
    """Runs by number of rules: rows as those of `figures.encrypted.answers`."""
    rows = []
    for n_rules, (has_op, no_op, seen) in found.items():
        for seed in range(seeds):
            run = {"key": f"{n_rules}/{seed}", "n_rules": n_rules, "n_examples": 10_000, "seed": seed, "state": "fresh"}
            for name, values in {"unseen": (has_op, no_op), "seen": (seen, seen)}.items():
                noisy = [min(max(value + NOISE[seed % 4], 0), 1) for value in values]
                rows.append(run | {"eval": name, "exact_match": noisy[0], "no_op": noisy[1]})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    "found, expected",
    [
        ({10: FEW, 1000: MANY}, REPRODUCED),
        ({10: (0.02, 0.5, 0.97), 100: FEW, 1000: MANY}, REPRODUCED),  # somewhere no-ops alone are solved
        ({10: FEW, 1000: FEW}, UNDECIDED),  # many rules do not suffice either: nothing to compare few with
        ({10: (0.02, 0.95, 0.5), 1000: MANY}, UNDECIDED),  # the few rules themselves are not learnt
        ({10: (0.3, 0.95, 0.97), 1000: MANY}, NOT_REPRODUCED),  # more than the no-ops is solved
        ({10: (0.3, 0.95, 0.5), 1000: MANY}, NOT_REPRODUCED),
        ({10: (0.02, 0.4, 0.97), 1000: MANY}, NOT_REPRODUCED),  # less than the no-ops is solved
        ({10: (0.02, 0.4, 0.5), 1000: MANY}, UNDECIDED),
        ({300: (0.3, 0.95, 0.97), 1000: MANY}, UNDECIDED),  # 300 rules are not few
        ({10: (0.3, 0.95, 0.97), 100: FEW, 1000: MANY}, REPRODUCED),
    ],
)
def test_d10_needs_no_ops_alone_with_few_rules_and_all_with_many(found, expected):
    assert judge("D10", table(found)).verdict == expected


def test_d10_is_decided_by_three_seeds():
    verdict = judge("D10", table({10: FEW, 1000: MANY}, seeds=2))
    assert verdict.verdict == UNDECIDED and verdict.finding.outcome == "open" and verdict.lacks == ["seeds 2 < 3"]


# ---- figures and tables ----------------------------------------------------------------------------------------------


def answer(spec, name: str, shown: float) -> dict:
    """What a model is made to do on a set: right on this share of inputs that hold x, copies half of the others."""
    slices = {"no_op": {"False": [shown, 300], "True": [0.9, 200]}}
    return {"exact_match": 0.6 * shown + 0.36, "nll": 0.1, "n": 500, "copies": 0.3 * (1 - shown), "slices": slices} | ({} if name == "base" else {"plain": 0.01})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The runs of the profile smoke with records that were made up: accuracy grows with rules in pretraining and tuning."""
    folder = tmp_path_factory.mktemp("made")
    specs = notebooks.plan(["12_encrypted_rewriting"], "smoke")[0].specs
    for spec in specs:
        before = math.log10(spec.base.task.n_rules) / 4 if isinstance(spec, EncryptedSpec) else 0.0
        names = {"base": before, "unseen": before + math.log10(spec.task.n_rules) / 8, "seen": 0.97} if before else {"unseen": 0.1, "seen": 0.5}
        result = {"metrics": {n: answer(spec, n, v) for n, v in names.items()}, "curve": [], "wall_s": 1.0, "device": "cpu"}
        records.save(records.make(spec, result), folder)
    plotting.use_style()
    return specs, encrypted.answers(specs, [folder])


def test_a_table_has_inputs_that_hold_x_apart_from_no_ops_and_says_where_a_model_started(made):
    specs, frame = made
    assert frame.attrs == {"runs": len(specs), "starts": ["rewriter of 100 rules", "rewriter of 10 rules", "random weights"]}
    unseen = encrypted.of_start(frame, "rewriter of 100 rules").query("eval == 'unseen' and n_rules == 10")
    assert len(unseen) == 2 and set(unseen["no_op"]) == {0.9}
    assert set(unseen["exact_match"]) == {0.625} and set(unseen["copied"].round(6)) == {round(0.5 * 0.375, 6)}
    one = encrypted.decisive(specs, frame)
    assert encrypted.halved(specs, frame)["key"].nunique() == encrypted.halved(specs, frame).attrs["runs"] == 8
    assert set(one["start"]) == {"rewriter of 100 rules"} and one["key"].nunique() == one.attrs["runs"] == 4 and one["tail_alpha"].isna().all()


def test_figures_have_a_curve_for_each_kind_of_input_and_each_start(made):
    specs, frame = made
    runs, tables = {"profile smoke": specs}, {"profile smoke": frame}
    for figure, labels in (
        (encrypted.kinds_of_inputs(runs, tables), ["unseen rules, input holds x", "unseen rules, no-op", "seen rules, input holds x"]),
        (encrypted.by_start(tables), frame.attrs["starts"]),
        (long_tail.halving({"profile smoke": encrypted.halved(specs, frame)}), ["unseen rules", "seen rules"]),
    ):
        assert [text.get_text() for text in figure.legends[0].get_texts()] == labels
        plt.close(figure)


def test_tables_and_words_have_the_numbers(made):
    specs, frame = made
    text = encrypted.results_table(frame, "A caption", "tab-a")
    assert "| rewriter of 100 rules | 10 | 0.62 [0.62, 0.62] | 0.62, 0.62 | 0.90 [0.90, 0.90] | 0.19 [0.19, 0.19] | 0.01 [0.01, 0.01] | 0.97 [0.97, 0.97] |" in text
    assert "| rewriter of 10 rules | 0.25 [0.25, 0.25] |" in encrypted.starts_table(frame, "A caption", "tab-b")
    assert "| LoRA rank | 512 | 2 |" in encrypted.settings_table({"profile smoke": specs}, "A caption", "tab-c")
    assert encrypted.few_in_words(frame).startswith("After tuning on 10 rules, 0.90 [0.90, 0.90] of the no-ops")
    why = encrypted.why_in_words(frame)
    assert "10 rules: 0.62 [0.62, 0.62] from the rewriter of 100 rules, 0.38 [0.38, 0.38] from the rewriter of 10 rules, difference 0.25 [0.25, 0.25]" in why
    assert "Of the rewriter of 100 rules: " in encrypted.halving_in_words(judge("D11", encrypted.halved(specs, frame)), frame.attrs["starts"][0])


def test_an_example_shows_a_rewriting_a_no_op_and_the_whole_circle():
    (spec, *_) = notebooks.plan(["12_encrypted_rewriting"], "smoke")[0].specs
    _, rewritten, unchanged, _, circle, _ = encrypted.example(spec).split("\n")
    (x, y), z = rewritten.split("|")[0].split(">"), rewritten.split("|")[1].split("=")[0]
    assert x in z and f"={z.replace(x, y, 1)}." in rewritten
    x, z = unchanged.split(">")[0], unchanged.split("|")[1].split("=")[0]
    assert x not in z and f"={z}." in unchanged
    following = dict(zip(circle.split()[:-1], circle.split()[1:]))
    assert len(following) == spec.task.alphabet_size and unchanged.split("=")[-1] == "".join(following[letter] for letter in z) + "."
