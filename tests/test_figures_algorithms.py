"""Figures, tables and words of chapter 08 show what is in the records: made-up ones here."""

import matplotlib.pyplot as plt
import pytest

from ditune import notebooks
from ditune.figures import algorithms as chapter
from ditune.figures import algorithms_words as words
from ditune.figures import plotting
from ditune.figures.intervals import interval
from ditune.rewriting.specs import AlgorithmSpec
from ditune.store import records

SPECS = notebooks.plan(["08_running_algorithms"], "smoke")[0].specs
RIGHT = {"oracle": 0.9, "in_order": 0.6, "prompted": 0.7}


def share_of(spec, harness: str, steps: int = 0) -> float:
    """What is written into the made-up record: falls with the steps, differs by seed."""
    return RIGHT[harness] - 0.1 * steps + 0.08 * spec.seed


def made_up(spec) -> dict:
    """A result of the shape that the runners give."""
    metrics = {e.name: {"exact_match": 0.5, "n": 10, "slices": {}} for e in spec.evals}
    if "lengths" in metrics:
        low, high = spec.evals[-1].task.z_len
        metrics["lengths"]["slices"] = {"z_len": {str(n): [0.8 if 5 <= n <= 6 else 0.1, 10] for n in range(low, high + 1)}}
    for harness in ("prompted",) if spec.task.rules_in_prompt > 1 else ("oracle", "in_order"):
        for n_rules in getattr(spec, "algorithm_rules", ()):
            steps = {str(t): [share_of(spec, harness, t), 10] for t in (1, 2)}
            slices = {"steps": steps, "predicted": {t: [value - 0.04, n] for t, (value, n) in steps.items()}}
            slices |= {"answers": {"applies": [share_of(spec, harness), 30], "refuses": [0.4, 30]}, "ambiguous": {"no": [0.9, 30]}}
            slices |= {"broke": {"copied": [0.25, 4 + 4 * spec.seed], "wrong letters": [0.75, 4 + 4 * spec.seed]}}
            slices |= {"place": {"1": [0.9, 20], "2": [0.7, 10]}}
            metrics[f"{harness}/{n_rules}"] = {"exact_match": 0.5, "followed": 0.5, "n": 20, "slices": slices}
    return {"metrics": metrics, "curve": [], "device": "cpu", "wall_s": 1.0}


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path))
    for spec in SPECS:
        records.save(records.make(spec, made_up(spec)))
    with plt.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


@pytest.fixture
def outs(store):
    return chapter.outcomes(SPECS)


def curves(ax) -> dict:
    """The lines through means by colour: full ones, and dashed ones."""
    found = {"-": [], "--": []}
    for line in ax.lines:
        if len(line.get_xdata()) == 2 and line.get_linestyle() in found:
            found[line.get_linestyle()].append((line.get_color(), [round(float(y), 6) for y in line.get_ydata()]))
    return {style: dict(lines) for style, lines in found.items()}


@pytest.mark.parametrize("harness", ["oracle", "in_order"])
def test_the_figure_of_a_harness_has_the_means_of_the_seeds_and_the_predictions_below(outs, harness):
    frame = records.frame(SPECS)
    figure = chapter.success({"profile smoke": outs}, {"profile smoke": frame}, harness)
    (ax,) = figure.axes
    expected = [RIGHT[harness] - 0.1 * t + 0.04 for t in (1, 2)]  # the mean of seeds 0 and 1
    found = curves(ax)
    assert ax.get_title(loc="left").startswith("Profile smoke") and "3 rules" in ax.get_title(loc="left")
    assert len(found["-"]) == 2 and found["-"].keys() == found["--"].keys()  # two models with one rule in the prompt
    for color, means in found["-"].items():
        assert means == pytest.approx(expected) and found["--"][color] == pytest.approx([y - 0.04 for y in expected])


def test_the_comparison_of_choosing_shows_the_same_numbers_of_rules_and_only_models_trained_with_no_ops(outs):
    (ax,) = chapter.choosing({"profile smoke": outs}, {"profile smoke": records.frame(SPECS)}).axes
    labels = [text.get_text() for text in ax.figure.legends[0].texts]
    assert ax.get_title(loc="left") == "Profile smoke: algorithms of 2 rules" and len(labels) == 2
    assert all("no-ops" in label for label in labels) and "in order" in labels[0] and "in the prompt" in labels[1]


def test_first_errors_are_shares_of_the_runs_of_all_seeds(outs):
    rows = outs[(outs["harness"] == "oracle") & (outs["slice"] == "broke") & (outs["rules"] == 3) & (outs["model"] == words.plain_model(outs))]
    assert chapter.first_errors(rows) == {"copied": 0.25, "wrong letters": 0.75} | {kind: 0 for kind in chapter.KINDS if kind not in ("copied", "wrong letters")}
    figure = chapter.breaks(outs, records.frame(SPECS), "profile smoke")
    assert len(figure.axes[0].get_yticklabels()) == 5  # two models in two harnesses, one in the third


def test_the_gap_is_what_is_measured_less_what_is_predicted_by_seed(outs):
    for harness in ("oracle", "in_order"):
        assert chapter.gap(outs, harness, words.plain_model(outs), "predicted").mean == pytest.approx(0.04)
    table = chapter.runs_table(outs, "A caption", "tab-x")
    assert table.count("\n| ") == 1 + 2 * 2 * 2 + 1 and ":name: tab-x" in table  # a header, two models in two harnesses on 2 and 3 rules, one in the third
    assert "R = 2 | 100 × 2 rules, no-ops, rotary | 1: 0.64 [0.60, 0.68], predicted 0.60 | 2: 0.54 [0.50, 0.58], predicted 0.50 | 0.04 [0.04, 0.04] |" in table


def test_lengths_are_the_slices_of_the_runs_tested_on_them_and_the_band_is_what_was_trained():
    rows = chapter.lengths_of(SPECS)
    assert set(rows["length"]) == {4, 5, 6, 7, 8} and set(rows["position"]) == {"learned", "rotary"}
    (ax,) = chapter.lengths({"profile smoke": rows}, {"profile smoke": records.frame(SPECS)}).axes
    assert [round(edge, 1) for edge in (ax.patches[0].get_x(), ax.patches[0].get_x() + ax.patches[0].get_width())] == [4.6, 6.4]
    assert "0.80 [0.80, 0.80] on trained lengths, 0.10 [0.10, 0.10] on shorter lengths, 0.10 [0.10, 0.10] on longer lengths" in words.lengths_in_words(rows)


def test_sentences_follow_the_numbers(outs):
    said = " ".join(words.findings(outs, records.frame(SPECS)))
    assert "the states are easier (0.44 [0.40, 0.48])" in said  # 0.90 and 0.98 there, 0.50 in the test
    assert "runs end right more often than predicted (0.04 [0.04, 0.04])" in said
    assert "trying in order does worse (-0.30 [-0.30, -0.30])" in said and "the second does better (0.10 [0.10, 0.10])" in said
    assert "With 0.50 [0.50, 0.50] and 0.50 [0.50, 0.50] right answers on seen rules" in said and "compares trainings and not ways of asking" in said
    assert "“wrong letters” where the rule is chosen exactly (75%)" in said
    assert "0.90 [0.90, 0.90] are right at step 1 and 0.70 [0.70, 0.70] at step 2" in said
    assert words.compared(interval([-0.1, 0.1]), "more", "less", "even") == "even (0.00 [-0.10, 0.10])"


def test_tables_of_single_answers_and_of_occurrences_name_their_runs(outs):
    frame = records.frame(SPECS)
    table = chapter.answers_table(outs, frame, "A caption", "tab-x")
    models = [chapter.model_name(row) for _, row in frame[frame["key"].isin([s.key for s in SPECS if isinstance(s, AlgorithmSpec)])].iterrows()]
    assert all(f"| {model} |" in table for model in models) and len(set(models)) == 3
    which = chapter.which_table(frame[frame["key"].isin([s.key for s in SPECS if max(s.task.occurrences) > 1])], records.slices(SPECS), "A caption", "tab-y")
    assert "| first |" in which and "| number 2 |" in which
