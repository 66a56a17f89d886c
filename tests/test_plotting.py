"""Figures show every seed and say who made them; the same table gives the same bytes; tables hold the table's numbers."""

import io

import matplotlib
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
from test_claims import LAPTOP_SIZE, PAPER_SIZE, table  # noqa: E402

from ditune import claims
from ditune.figures import plotting  # noqa: E402

UNSEEN = {100: 0.0, 300: 0.1, 1000: 0.8, 10_000: 0.95}


@pytest.fixture(autouse=True)
def style():
    plotting.use_style()
    yield
    plt.close("all")


def runs(state="fresh", size=LAPTOP_SIZE, **more) -> pd.DataFrame:
    return table(UNSEEN, size=size).assign(state=state, device="a CPU", commit="1a2b3c4d5", **more)


def curves() -> pd.DataFrame:
    points = [{"n_rules": n, "seed": s, "step": t, "unseen": UNSEEN[n] * t / 100, "seen": t / 100} for n in UNSEEN for s in range(3) for t in (50, 100)]
    return pd.DataFrame(points)


def svg(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_the_same_table_gives_the_same_bytes():
    first, second = (svg(plotting.accuracy_by_rules({"profile laptop": runs()})) for _ in range(2))
    assert first == second and b"<dc:date>" not in first


def test_every_seed_is_a_point_and_every_mean_a_vertex():
    frame = runs()
    (ax,) = plotting.accuracy_by_rules({"profile laptop": frame}).axes
    points = [line for line in ax.lines if line.get_linestyle() == "None" and line.get_marker() in "os"]
    drawn = sorted(float(y) for line in points for y in line.get_ydata())
    assert drawn == pytest.approx(sorted(frame["exact_match"]))
    means = [line for line in ax.lines if line.get_marker() == "" and len(line.get_xdata()) == len(UNSEEN)]
    assert any(list(line.get_ydata()) == pytest.approx(list(UNSEEN.values()), abs=0.01) for line in means)


def test_the_papers_curve_is_drawn_beside_ours_and_labelled_as_read_off():
    figure = plotting.accuracy_by_rules({"profile laptop": runs()})
    assert "read off ±0.005" in texts(figure) and "chance" in texts(figure)
    drawn = [dict(zip(line.get_xdata(), line.get_ydata())) for line in figure.axes[0].lines]
    assert claims.number_of_rules.PAPER_CURVE in drawn


def test_each_profile_with_records_has_a_panel_and_a_line_on_its_origin():
    figure = plotting.accuracy_by_rules({"profile laptop": runs(), "profile paper": runs(size=PAPER_SIZE), "profile workstation": pd.DataFrame()})
    assert len(figure.axes) == 2 and "profile laptop" in texts(figure) and "profile paper" in texts(figure)
    assert "workstation" not in texts(figure) and "N = 1M" in texts(figure) and "N = 128k" in texts(figure)


def test_each_panel_says_how_its_models_were_trained():
    figure = plotting.accuracy_by_rules({"profile laptop": runs(), "profile workstation": runs(train_n_steps=900)})
    assert [ax.get_title(loc="left").split("\n")[0] for ax in figure.axes] == ["Profile laptop: 390,625 steps of Muon", "Profile workstation: 900 steps of Muon"]
    width = figure.get_size_inches()[0] * figure.dpi
    assert all(ax.title.get_window_extent().width < width for ax in figure.axes)


def test_numbers_of_rules_are_on_a_logarithmic_axis_with_its_name():
    (ax,) = plotting.accuracy_by_rules({"profile laptop": runs()}).axes
    assert ax.get_xscale() == "log" and "number of training rules" in ax.get_xlabel() and "exact match" in ax.get_ylabel()


def test_a_single_seed_is_drawn_without_an_interval():
    drawn = svg(plotting.accuracy_by_rules({"profile laptop": table(UNSEEN, seeds=1).assign(device="a CPU", commit="")}))
    assert b"<path" in drawn and b"nan" not in drawn


def test_the_origin_names_profile_seeds_machine_and_commit():
    assert plotting.made_by(runs(), "profile laptop") == "profile laptop · 3 seeds · a CPU · 1a2b3c4d5"


def test_the_origin_marks_runs_of_earlier_sources_and_missing_ones():
    frame = runs()
    frame.loc[frame["n_rules"] == 100, "state"] = "stale"
    frame.attrs["runs"] = 15
    assert "OUT OF DATE: 3 of 12 runs" in plotting.made_by(frame, "laptop") and "12 of 15 runs recorded" in plotting.made_by(frame, "laptop")
    assert plotting.made_by(pd.DataFrame(), "paper") == "paper: no records"


def test_learning_curves_have_a_mean_and_a_line_a_seed_for_each_number_of_rules():
    figure = plotting.learning_curves(curves(), runs(), "profile laptop")
    assert [len(ax.lines) for ax in figure.axes] == [4 * len(UNSEEN)] * 2 and "profile laptop" in texts(figure)
    assert figure.axes[1].get_xlabel() == "optimiser steps"


@pytest.mark.parametrize("rows", [["abc>xyz|qwabcertyu=qwxyzertyu."], ["ab>c|zab=zc.", "ab>c|zzz=zzz.__"], ["a" * 20 + ">" + "b" * 20 + "|" + "c" * 50 + "=" + "c" * 50 + "."]])
def test_a_row_of_tokens_has_a_square_for_each_token(rows):
    figure = plotting.token_rows(rows, "profile laptop")
    letters = [row.rstrip("_") for row in rows]
    assert len(figure.axes[0].patches) == sum(map(len, letters))
    assert "".join(t.get_text() for t in figure.axes[0].texts) == "".join(letters) and "profile laptop" in texts(figure)


def test_even_shares_draw_the_shares_within_the_axes():
    figure = plotting.even_shares({"Letters": ("abc", [10, 20, 30])}, ["letter"], "seed 0")
    (points,) = [line for line in figure.axes[0].lines]
    assert list(points.get_ydata()) == pytest.approx([1 / 6, 2 / 6, 3 / 6]) and figure.axes[0].get_ylim()[1] > 0.5


def test_the_results_table_holds_the_values_of_the_seeds():
    lines = plotting.results_table(runs(), "Results", "tab-results").splitlines()
    assert lines[:2] == [":::{table} Results", ":name: tab-results"] and lines[-1] == ":::"
    assert lines[-3].startswith("| 1,000 | 128 | 0.80 [0.79, 0.81] | 0.80, 0.79, 0.81 | 0.97 [")


def test_verdicts_of_two_profiles_stand_together_and_say_what_was_not_decided():
    tables = {"profile laptop": runs(), "profile paper": runs(size=PAPER_SIZE)}
    found = {name: [claims.judge(id, frame) for id in ("D1", "D2")] for name, frame in tables.items()}
    lines = plotting.verdict_table(found, "Verdicts", "tab-verdicts").splitlines()[5:-1]
    assert [[cell.strip() for cell in line.split("|")[1:4:2]] for line in lines] == [["D1", "profile laptop"], ["", "profile paper"], ["D2", "profile laptop"], ["", "profile paper"]]
    stale = [claims.judge("D1", runs(state="stale"))]
    assert f"| **{stale[0].verdict} (earlier sources)** |" in plotting.verdict_table({"profile laptop": stale}, "Verdicts", "tab-verdicts")
    assert plotting.not_decided(found) == "No verdict on D2 from profile laptop: " + "; ".join(found["profile laptop"][1].lacks) + "."
