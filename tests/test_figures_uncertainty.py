"""Chapter 09: its runs, its example, and that figures, tables and words say what made-up measurements hold."""

import matplotlib
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402

from ditune import experiments
from ditune.active.pool import pool_tasks  # noqa: E402
from ditune.experiments.selection import prompt_uncertainty  # noqa: E402
from ditune.figures import prompt_uncertainty as chapter  # noqa: E402
from ditune.rewriting.tasks import Alphabet  # noqa: E402
from ditune.specs import SpecError  # noqa: E402
from ditune.store import records  # noqa: E402

PARAMETERS = {
    "first_seed": 3, "n_seeds": 2, "pool": {"n_tasks": 12, "n_instances": 4, "n_test": 8, "n_test_instances": 3},
    "model": {"n_layer": 1, "n_head": 2, "n_embd": 16}, "train": {"n_steps": 10, "batch_size": 8},
    "measurement": {"n_initial": 8, "n": 2, "k": 2, "k_most": 4, "n_points": 2, "drop_rates": [0.1]},
}  # fmt: skip
EARLY, LATE = [0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.3, 0.4]  # one exchange among four: rank correlation 0.8
P = {5: [0.4, 0.3, 0.2, 0.1], 10: [0.9, 0.9, 0.9, 0.9]}  # against U early; no order at the end
SIZES = [(1, 1, 0.5, 0.3), (2, 1, 0.96, None), (2, 4, 1.0, None)]  # n, k, rank, again
VARIANTS = [("as selected", 0.3, 1.0, 0.2, 20, 8), ("gold answer", 0.2, -0.5, None, 16, 0)]


def result(spec) -> dict:
    """A measurement with known numbers; the second seed's agreements are lower by 0.1."""
    less, steps = 0.1 * (spec.seed - 3), {5: EARLY, 10: LATE}
    maps = {f"step {s}": {"task": [0, 1, 2, 3], "uncertainty": u, "probability": P[s], "perplexity": [1 / p for p in P[s]]} for s, u in steps.items()}
    sizes = [{"n": n, "k": k, "mean": 0.25, "rank": rank if rank == 1 else rank - less, "again": again and again - less} for n, k, rank, again in SIZES]
    names = ("name", "mean", "rank", "probability", "n_scored", "n_answered")
    return {
        "metrics": {f"step {s}": {"step": s, "exact_match": s / 20} for s in (10, 5)}, "maps": maps, "sizes": sizes,
        "variants": [dict(zip(names, v)) for v in VARIANTS], "seconds": {"as selected": 2.0, "gold answer": 1.0}, "train_s": 30.0,
        "example": {"task": 2, "answers": [[0, 1, 2, 3], [1]], "p": [[0.9, 0.5, 0.9], [0.5, 0.1, 0.6]]}, "device": "cpu", "wall_s": 40.0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The runs, the table of their records, and their home; all by "profile smoke"."""
    home, specs = tmp_path_factory.mktemp("home"), prompt_uncertainty(**PARAMETERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DITUNE_HOME", str(home))
        for spec in specs:
            records.save(records.make(spec, result(spec)), home / "records")
        yield {"profile smoke": specs}, {"profile smoke": records.frame(specs)}
    plt.close("all")


def text_of(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_a_run_a_seed_and_parts_that_are_not_set_are_the_studys():
    specs = experiments.SPECS["09_prompt_uncertainty"](**PARAMETERS | {"model": {}})
    assert [spec.seed for spec in specs] == [3, 4] and specs[0].model == prompt_uncertainty(**PARAMETERS | {"model": {}, "first_seed": 9})[0].model
    assert (specs[0].model.position, specs[0].n, specs[0].k_most, specs[0].pool.n_tasks) == ("rotary", 2, 4, 12)


@pytest.mark.parametrize(("measurement", "words"), [
    ({"seed": 1}, "measurement = {'seed': 1} holds seed"),
    ({"n_initial": 8, "k_most": 4}, "MeasureSpec.k_most = 4; allowed: 10 to 1000"),
    ({"strategy": "random"}, "strategy"),
])  # fmt: skip
def test_what_a_measurement_cannot_have_is_refused_in_one_line(measurement, words):
    with pytest.raises(SpecError) as error:
        prompt_uncertainty(**PARAMETERS | {"measurement": measurement})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_example_shows_the_prompts_of_the_task_and_the_mean_of_its_changes(measured):
    (specs,) = measured[0].values()
    text, letters = chapter.example(specs, "tab-x"), Alphabet(8)
    row = letters.text(pool_tasks(specs[0].pool, 3).tokens[2, 0].tolist())
    prompt, gold = row[: row.rindex("=") + 1], row[row.rindex("=") + 1 : -1]
    assert f"`{prompt}`".replace("|", "\\|") in text and f"`{gold}`" in text and "`abcd`" in text
    assert "mean 0.200 over the 2 copies" in text and "U = 0.225" in text  # (0.4 + 0) / 2; (0.4 + 0 + 0.4 + 0.1) / 4
    shown = [line.split("`")[1].replace("\\|", "|") for line in text.splitlines() if line.startswith("| $I_")]
    assert len(shown) == 3 and all(len(copy) <= len(prompt) and copy.count("=") == prompt.count("=") for copy in shown)


def test_rank_correlations_in_the_course_of_training_are_over_the_tasks_of_a_seed(measured):
    (specs,) = measured[0].values()
    table = chapter.over_training(specs)
    assert table[["seed", "step"]].values.tolist() == [[3, 5], [3, 10], [4, 5], [4, 10]]
    assert table["with_last"].tolist() == pytest.approx([0.8, 1, 0.8, 1]) and table["exact_match"].tolist() == [0.25, 0.5] * 2
    assert table["with_probability"].tolist()[::2] == pytest.approx([-1, -1]) and table["with_probability"].isna().tolist() == [False, True] * 2
    assert table["with_perplexity"].tolist()[::2] == pytest.approx([1, 1])
    words = chapter.training_in_words(specs)
    assert "U is 0.25 [0.25, 0.25]" in words and "with p₀ is –" in words and "at no earlier point" in words


def test_words_name_the_cheapest_measurement_that_orders_tasks_alike(measured, monkeypatch):
    words = chapter.said(measured[0], chapter.sizes_in_words)
    assert words.startswith("Profile smoke: The largest measurement has n = 2 and k = 4, 10 pairs")
    assert f"is {chapter.STABLE} or more has n = 2, k = 1, 4 pairs" in words  # its mean over seeds is 0.91
    monkeypatch.setattr(chapter, "STABLE", 0.95)
    assert "No smaller one has a mean rank correlation of 0.95" in chapter.said(measured[0], chapter.sizes_in_words)
    assert "n = 1 and k = 1 agree with a rank correlation of 0.25 [0.20, 0.30]" in words


def test_tables_hold_every_size_and_every_variant_with_what_was_asked(measured):
    (specs,) = measured[0].values()
    rows = [line for line in chapter.sizes_table("x", specs, "tab-x").splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[:3] for row in rows] == [["| 1", "1", "2"], ["| 2", "1", "4"], ["| 2", "4", "10"]] and rows[1].endswith("– |")
    table = chapter.variants_table("x", specs, "tab-x")
    assert "| as selected | 0.30 [0.30, 0.30] | 1.00 [1.00, 1.00] | 0.20 [0.20, 0.20] | 75% | 8 | 20 | 2 |" in table  # 12 of 16 pairs with a copy
    assert "| gold answer | 0.20 [0.20, 0.20] | -0.50 [-0.50, -0.50] | – | 50% | 0 | 16 | 1 |" in table


def test_strength_and_cost_are_those_of_the_records(measured):
    (specs,) = measured[0].values()
    strength = chapter.strength_in_words(specs)
    assert "over tasks is 0.25 [0.25, 0.25] here" in strength and "is 0.28 [0.28, 0.28] of the mean of p₀" in strength  # 0.25 / 0.9
    cost = chapter.cost_in_words(specs)
    assert "4 tasks asks for 2 greedy answers and at most 6 scored pairs a task, 24 pairs" in cost and "took 2 s, the training before it 30 s" in cost


def test_the_speed_is_read_from_the_measurements_of_machines(measured, monkeypatch):
    row = {"what": "prompt uncertainty", "peer_name": "a loop", "ours": 2.0, "peer": 30.0, "unit": "s", "ratio": 15.0, "note": "n"}
    other = row | {"what": "training"}
    content = {"machine": {"cpu": "a CPU"}, "benchmarks": {"all": {"rows": [row, other, {"curve": "prompt uncertainty"}]}}}
    monkeypatch.setattr(chapter.bench, "read", lambda: [content])
    table = chapter.speed_table("tab-x")
    assert "| prompt uncertainty | a loop | 2 s | 30 s | **15** | a CPU |" in table and table.endswith("*n.*") and "training" not in table
    monkeypatch.setattr(chapter.bench, "read", list)
    assert "not measured on any machine yet" in chapter.speed_table("tab-x")


def test_figures_have_a_panel_for_each_question_and_set_of_runs(measured):
    runs, frames = ({name: value for name in ("profile smoke", "profile paper")} | found for found in measured for value in found.values())
    training, sizes, variants = (draw(runs, frames) for draw in (chapter.training_figure, chapter.sizes_figure, chapter.variants_figure))
    assert [len(figure.axes) for figure in (training, sizes, variants)] == [4, 4, 2]
    for figure in (training, sizes, variants):
        assert "Profile paper" in text_of(figure) and "2 seeds" in text_of(figure)
        figure.savefig("/dev/null", format="svg")
    marks = [x for line in variants.axes[0].lines if line.get_markerfacecolor() == "white" for x in line.get_xdata()]
    assert sorted(marks) == pytest.approx([-0.5, -0.5, 0.2, 0.2, 1, 1])


def test_settings_are_those_of_the_runs(measured):
    table = chapter.settings_table(measured[0], "tab-x")
    assert "| tasks that the model is trained on | 68 | 8 |" in table and "| seeds | 5 splits | 2 |" in table and "| 2, 2, 0.2 |" in table
