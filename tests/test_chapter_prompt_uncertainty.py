"""Chapter 09: its runs, and that figures, tables and sentences say what made-up measurements hold."""

import pytest
from made_up import chapter, marks, svg

from ditune.chapters import prompt_uncertainty as here
from ditune.notebooks import defaults
from ditune.specs import SpecError
from ditune.store import records

PARAMETERS = {
    "first_seed": 3, "n_seeds": 2, "pool": {"n_tasks": 12, "n_instances": 4, "n_test": 8, "n_test_instances": 3},
    "model": {"n_layer": 1, "n_head": 2, "n_embd": 16}, "train": {"n_steps": 10, "batch_size": 8},
    "measurement": {"n_initial": 8, "n": 2, "k": 2, "k_most": 4, "n_points": 2, "drop_rates": [0.1]},
}  # fmt: skip
EARLY, LATE = [0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.3, 0.4]  # one exchange among four: rank correlation 0.8
P = {5: [0.4, 0.3, 0.2, 0.1], 10: [0.9, 0.9, 0.9, 0.9]}  # against U early; no order at the end
SIZES = [(1, 1, 0.5, 0.3), (2, 1, 0.96, None), (2, 4, 1.0, None)]  # n, k, rank, again
NAMES = ("signed difference", "standard deviation", "definition only", "examples only", "drop rate 0.1")
VARIANTS = [("as selected", 0.3, 1.0, 0.2, 20, 8), ("gold answer", 0.2, -0.5, None, 16, 0)]
VARIANTS += [(name, -0.2, -0.95, 0.1, 20, 8) for name in NAMES]


def result(spec) -> dict:
    """A measurement with known numbers; the second seed's agreements are lower by 0.02."""
    less, steps = 0.02 * (spec.seed - 3), {5: EARLY, 10: LATE}
    maps = {f"step {s}": {"task": [0, 1, 2, 3], "uncertainty": u, "probability": P[s]} for s, u in steps.items()}
    sizes = [
        {"n": n, "k": k, "mean": 0.25, "rank": rank if rank == 1 else rank - less, "again": again and again - less}
        for n, k, rank, again in SIZES
    ]
    names = ("name", "mean", "rank", "probability", "n_scored", "n_answered")
    return {
        "metrics": {f"step {s}": {"step": s, "exact_match": s / 20} for s in (10, 5)}, "maps": maps, "sizes": sizes,
        "variants": [dict(zip(names, v)) for v in VARIANTS], "seconds": {"as selected": 2.0}, "train_s": 30.0,
        "example": {"task": 2, "answers": [[0, 1, 2, 3], [1]], "p": [[0.9, 0.5, 0.9], [0.5, 0.1, 0.6]]},
        "device": "cpu", "wall_s": 40.0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The chapter of made-up records, the second of which was computed again."""
    home, specs = tmp_path_factory.mktemp("home"), here.runs(**PARAMETERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DITUNE_HOME", str(home))
        for spec in specs:
            records.save(records.make(spec, result(spec)), home / "records")
        found = [records.find(spec) for spec in specs]
        yield chapter(records.frame(specs), again=[specs[1].key], specs=specs, records=found)


def test_a_run_a_seed_and_parts_that_are_not_set_are_the_studys():
    specs = here.runs(**PARAMETERS | {"model": {}})
    assert [spec.seed for spec in specs] == [3, 4] and specs[0].model.position == "rotary" and specs[0].k_most == 4
    assert len(here.runs(**defaults("09_prompt_uncertainty"))) == 5


@pytest.mark.parametrize(("measurement", "words"), [
    ({"seed": 1}, "measurement = {'seed': 1} holds seed"),
    ({"n_initial": 8, "k_most": 4}, "MeasureSpec.k_most = 4; allowed: 10 to 1000"),
    ({"strategy": "random"}, "strategy"),
])  # fmt: skip
def test_what_a_measurement_cannot_have_is_refused_in_one_line(measurement, words):
    with pytest.raises(SpecError) as error:
        here.runs(**PARAMETERS | {"measurement": measurement})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_sentences_hold_the_numbers_of_the_records(made):
    text = here.answer(made)
    assert "pool is 0.25 [0.25, 0.25], the paper's 0.038" in text
    assert "correlation of 0.95 [0.95, 0.95], so that U" in text
    assert "(n = 1, k = 1) agree at 0.29 [0.16, 0.42]" in text  # there are none of 5 and 10
    assert "a share of 0.75 [0.75, 0.75] lost" in here.strength(made)  # 12 of 16 pairs with a copy
    assert "its mean is 0.33 [0.33, 0.33] of the mean of p₀" in here.strength(made)  # 0.3 / 0.9


def test_figures_hold_every_variant_and_seed(made):
    figure, sizes = here.figure_agreement(made), here.figure_sizes(made)
    assert marks(figure.axes[0], "x") == pytest.approx([-0.95] * 10 + [-0.5] * 2 + [0.2] * 2 + [0.28, 0.3])
    assert sum(line.get_markersize() > 9.5 for line in figure.axes[0].lines) == 8
    assert svg(here.figure_agreement(made)) == svg(figure) and svg(here.figure_sizes(made)) == svg(sizes)
    assert [len(marks(ax)) for ax in sizes.axes] == [2, 6]
