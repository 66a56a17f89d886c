"""Figures and tables of the chapters on no-ops and on occurrences, and those that several chapters share: from made-up tables."""

import matplotlib
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
from test_claims import LAPTOP_SIZE, table  # noqa: E402
from test_claims_inputs import CURVE, LATE, ONCE, lifted, runs_by_kind, runs_by_share  # noqa: E402

from ditune import specs
from ditune.claims.occurrences import PAPER_TABLE  # noqa: E402
from ditune.figures import (
    no_ops,
    occurrences,
    plotting,
    shared,  # noqa: E402
)
from ditune.store import records  # noqa: E402

MADE = {"device": "a CPU", "commit": "1a2b3c4d5"}
SINGLE, MIX = (1,), (1, 2, 3)


@pytest.fixture(autouse=True)
def style():
    plotting.use_style()
    yield
    plt.close("all")


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def rows_of(text: str) -> list[list[str]]:
    """The cells of a table below its header."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[5:-1]]


# ---- shared ----------------------------------------------------------------------------------------------------------


def points(ax) -> list[float]:
    """Heights of the open marks."""
    return sorted(float(y) for line in ax.lines if line.get_linestyle() == "None" and line.get_markerfacecolor() == "white" for y in line.get_ydata())


def unseen(curve) -> pd.DataFrame:
    frame = table(curve, size=LAPTOP_SIZE)
    return frame[frame["eval"] == "unseen"]


def test_a_group_keeps_its_colour_and_mark_in_all_panels():
    figure = shared.grouped_panels({"one": {"a": unseen(CURVE), "b": unseen(LATE)}, "two": {"b": unseen(LATE)}}, ["made by a test"])
    styles = shared.group_styles(["a", "b"])
    curves = [[line for line in ax.lines if line.get_marker() == "" and len(line.get_xdata()) == len(CURVE)] for ax in figure.axes]
    assert [[line.get_color() for line in lines] for lines in curves] == [[styles["a"]["color"], styles["b"]["color"]], [styles["b"]["color"]]]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b"] and "made by a test" in texts(figure)


def test_every_seed_of_every_group_is_a_point_and_papers_curve_and_band_are_drawn():
    groups = {"a": unseen(CURVE), "b": unseen(LATE)}
    figure = shared.grouped_panels({"one": groups}, [], paper={"paper": {100: 0.0, 1000: 1.0}}, band=(300, 500, "about 400"))
    (ax,) = figure.axes
    assert points(ax) == pytest.approx(sorted([*groups["a"]["exact_match"], *groups["b"]["exact_match"]]))
    assert any(list(line.get_xdata()) == [100, 1000] for line in ax.lines)
    assert [t.get_text() for t in figure.legends[0].get_texts()][:2] == ["a", "b"] and {"paper", "about 400"} <= set(texts(figure).split("\n"))


def test_ordered_groups_are_drawn_dark_to_light():
    light = [matplotlib.colors.rgb_to_hsv(matplotlib.colors.to_rgb(style["color"]))[2] for style in shared.group_styles("abcd", ordered=True).values()]
    assert light == sorted(light) and len(set(light)) == 4


def test_the_legend_is_no_wider_than_the_figure():
    labels = ["no no-ops, 50 % of the examples", "50 % no-ops", "no no-ops", "10 % no-ops", "20 % no-ops"]
    figure = shared.grouped_panels({"one": {label: unseen(CURVE) for label in labels}}, [])
    figure.canvas.draw()
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width


# ---- no-ops ----------------------------------------------------------------------------------------------------------


def share_runs(**more) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs without no-ops, with 10 % and 50 %, and the control on half of the examples."""
    frame = runs_by_share({0.0: CURVE, 0.1: CURVE, 0.5: LATE}).assign(copied=0.25, **MADE, **more)
    frame.loc[frame["no_op_share"] == 0, ["no_op", "mean"]] = float("nan")
    control = runs_by_share({0.0: lifted(-0.1)}).assign(copied=0.25, n_examples=frame["n_examples"].iloc[0] // 2, **MADE)
    return frame, control


def test_each_share_is_a_curve_beside_the_papers_band():
    frame, control = share_runs()
    figure = no_ops.accuracy_by_share({"profile laptop": frame})
    assert [t.get_text() for t in figure.legends[0].get_texts()][:3] == ["no no-ops", "10 % no-ops", "50 % no-ops"]
    assert "paper: about 400" in texts(figure) and "profile laptop · 3 seeds" in texts(figure)
    assert len(no_ops.kinds_of_answers(frame, "profile laptop").axes) == 3
    two = no_ops.with_control({"profile laptop": (frame, control), "profile paper": (frame, control[:0])})
    assert [t.get_text() for t in two.legends[0].get_texts()] == ["no no-ops", "no no-ops, 50 % of the examples", "50 % no-ops"]


def test_thresholds_and_their_ratios_are_those_of_the_curves():
    found = rows_of(no_ops.threshold_table(*share_runs(), "Thresholds", "tab-t"))
    assert [row[0] for row in found] == ["no no-ops", "10 % no-ops", "50 % no-ops", "no no-ops, 50 % of the examples"]
    assert found[0][1].startswith("40") and found[0][2] == "1" and found[1][2].startswith("1.00 [") and found[2][2].startswith("2.5")


def test_the_control_is_compared_with_the_largest_share_seed_by_seed():
    found = {row[0]: row for row in rows_of(no_ops.control_table(no_ops.conditions(*share_runs()), "Control", "tab-c"))}
    assert list(found) == ["100", "300", "400", "600", "1,000", "3,000"]
    assert found["600"][-3:-1] == ["-0.75 [-0.75, -0.75]", "-0.65 [-0.65, -0.65]"]
    text = no_ops.control_in_words(no_ops.conditions(*share_runs()))
    assert "50 % no-ops: 1,0" in text and "it is 2.5" in text
    assert no_ops.control_in_words(no_ops.conditions(share_runs()[0], share_runs()[1][:0])) == "There is no control among these runs."


def test_what_few_rules_give_is_said_with_its_numbers():
    text = no_ops.few_in_words(share_runs()[0])
    assert "With 100 rules and 50 % no-ops in training, 1.00 [1.00, 1.00] of the no-ops" in text
    assert "0.00 [0.00, 0.00] are answered right, 0.25 [0.25, 0.25] are copied, and 0.75 [0.75, 0.75] get another" in text and text.endswith("copy 0.25 [0.25, 0.25].")
    assert rows_of(no_ops.results_table(share_runs()[0], "Results", "tab-r"))[0][:6] == ["no no-ops", "100", "0.00 [0.00, 0.00]", "0.00, 0.00, 0.00", "–", "–"]


# ---- occurrences -----------------------------------------------------------------------------------------------------


def kind_runs() -> pd.DataFrame:
    values = {SINGLE: {200: 0.0, 1000: 0.5}, (3,): {200: 0.0, 1000: 0.3}, MIX: {200: 0.0, 1000: 0.9}}
    size = {"n_examples": 50_000, "x_len": 3, "z_len": 9, "n_layer": 3, "n_embd": 64, "train_n_steps": 600, "optimizer": "muon"}
    return runs_by_kind(values, ONCE).assign(**size, **MADE)


def by_number() -> pd.DataFrame:
    """The mix gains 0.1 on one occurrence and 0.5 on the others, of which there are twice as many examples."""
    accuracy = {SINGLE: {1: 0.8, 2: 0.4, 3: 0.2}, MIX: {1: 0.9, 2: 0.9, 3: 0.7}}
    rows = [
        {"kind": kind, "tested": v, "n_rules": 1000, "seed": s, "eval": e, "n": 10, "exact_match": right + 0.01 * s}
        for kind, values in accuracy.items() for v, right in values.items() for s in range(3) for e in ("unseen", "seen")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_gain_is_told_apart_by_the_numbers_that_training_had():
    found = occurrences.gains(by_number(), MIX, SINGLE)
    assert found[1000, True][2].mean == pytest.approx(0.1) and found[1000, False][2].mean == pytest.approx(0.5) and found[1000, True][2].n == 3
    assert [row[1:3] + row[-1:] for row in rows_of(occurrences.gains_table(by_number(), "Gain", "tab-g"))] == [["1", "1, which it had", "0.10 [0.10, 0.10]"], ["1", "the others", "0.50 [0.50, 0.50]"]]
    assert "changes the accuracy on 1 by 0.10 [0.10, 0.10] and on the other tested numbers by 0.50 [0.50, 0.50]." in occurrences.gains_in_words(by_number())


def test_the_papers_table_has_a_panel_of_its_own_and_the_same_colours_by_role():
    figure = occurrences.accuracy_by_kind({"profile laptop": kind_runs()})
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["1 occurrence", "the most", "mixed", "in between"]
    assert "Paper, table 1" in figure.axes[1].get_title(loc="left") and "x occurs 1 to 3 times" in figure.axes[0].get_title(loc="left")
    assert points(figure.axes[1]) == sorted(value for row in PAPER_TABLE.values() for value in row.values())
    assert rows_of(occurrences.paper_table("Paper", "tab-p"))[-1] == ["1, 5, 10, 15, 20 mixed", "0.00", "0.62", "0.94", "0.94"]


def test_numbers_that_training_had_are_marked_where_they_are_tested():
    figure = occurrences.accuracy_by_tested(by_number(), kind_runs(), "profile laptop")
    marked = [list(line.get_xdata()) for line in figure.axes[0].lines if line.get_markersize() == 8]
    assert marked == [[1], [1, 2, 3]] and figure.axes[0].get_title(loc="left") == "1,000 training rules"


def test_results_stand_by_kind_and_number_of_rules():
    found = rows_of(occurrences.results_table(kind_runs(), "Results", "tab-r"))
    assert [row[:2] for row in found] == [["1", "200"], ["1", "1,000"], ["3", "200"], ["3", "1,000"], ["1, 2, 3 mixed", "200"], ["1, 2, 3 mixed", "1,000"]]
    assert found[1][2].startswith("0.50 [") and found[1][4] == "0.95 [0.95, 0.95]"


def test_tables_come_from_the_records_of_the_runs(tmp_path):
    """A share of no-ops, its control, and two kinds of occurrences, with records made up."""
    folder = tmp_path / "records"
    metrics = {"exact_match": 0.6, "nll": 0.1, "n": 10, "copies": 0.1, "slices": {"no_op": {"False": [0.25, 4], "True": [0.75, 6]}, "occurrences": {"1": [0.25, 4], "2": [0.75, 6]}}}
    result = {"metrics": {"unseen": metrics, "seen": metrics}, "curve": [], "device": "cpu", "wall_s": 1.0}
    small = {"x_len": 3, "y_len": 3, "z_len": 9, "n_rules": 10}
    tasks = [small | {"n_examples": 100, "no_op_share": 0.5}, small | {"n_examples": 50}]
    runs = [specs.RunSpec.of(task=task) for task in tasks]
    for run in runs:
        records.save(records.make(run, result), folder)
    frame, control = no_ops.answers(runs, [folder])
    assert list(frame["exact_match"]) == [0.25] * 2 and list(frame["copied"]) == pytest.approx([0.25] * 2) and len(control) == 2 and frame.attrs == control.attrs == {"runs": 1}
    table, tested = occurrences.answers(runs[1:], [folder])
    assert list(table["met"]) == [0.25] * 2 and list(table["not_met"]) == [0.75] * 2 and sorted(tested["tested"]) == [1, 1, 2, 2]
    assert occurrences.scale_in_words({"profile laptop": runs}) == "In profile laptop the largest number is 1; these occurrences make up 3 of the 9 letters of an input."
