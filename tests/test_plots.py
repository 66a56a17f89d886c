"""The one style: every seed, the mean, its interval; what was computed here is ringed; who made it stands below."""

import matplotlib.pyplot as plt
import pytest
from made_up import marks, svg, table, texts

from ditune.report import plots
from ditune.report.stats import interval

UNSEEN = {100: 0.0, 300: 0.1, 1000: 0.8}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(frame, again=()):
    figure, (ax,) = plots.panels(1)
    rows = frame[frame["eval"] == "unseen"]
    plots.curve(ax, rows, "n_rules", "exact_match", "unseen rules", again, **plots.UNSEEN)
    return plots.finished(figure, frame), ax


def rings(ax) -> int:
    found = [line for line in ax.lines if line.get_markerfacecolor() == "none" and line.get_marker() == "o"]
    return sum(len(line.get_xdata()) for line in found)


def test_a_curve_has_every_seed_the_means_and_their_intervals():
    frame = table(UNSEEN, seeds=3)
    rows = frame[frame["eval"] == "unseen"]
    _, ax = drawn(frame, again=["300-1", "300-2", "of another chapter"])
    assert marks(ax) == pytest.approx(sorted(rows["exact_match"])) and rings(ax) == 2
    means = [list(line.get_ydata()) for line in ax.lines if list(line.get_xdata()) == list(UNSEEN)]
    assert pytest.approx([interval(own["exact_match"]).mean for _, own in rows.groupby("n_rules")]) in means
    ends = [float(y) for bars in ax.collections for part in bars.get_segments() for y in part[:, 1]]
    found = interval(rows[rows["n_rules"] == 300]["exact_match"])
    assert min(abs(y - found.low) for y in ends) < 1e-9 and min(abs(y - found.high) for y in ends) < 1e-9


def test_a_single_seed_has_no_interval():
    figure, ax = drawn(table(UNSEEN, seeds=1))
    assert len(ax.collections) == 0 and b"nan" not in svg(figure)


def test_a_forest_has_every_seed_in_its_line_and_headings_without_any():
    figure, (ax,) = plots.panels(1)
    rows = plots.of_runs(table({100: 0.5}, seeds=3))
    plots.forest(ax, {"Group": None, "one": rows, "two": [0.1, 0.3]}, again=["100-1"])
    assert marks(ax, "x") == pytest.approx(sorted([*rows, 0.1, 0.3])) and rings(ax) == 1
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"] and "Group" in texts(figure)


def test_marks_of_seeds_stand_apart_around_the_value():
    frame = table({100: 0.5}, seeds=4)
    _, ax = drawn(frame)
    places = marks(ax, "x")
    assert len(set(places)) == 4 and 90 < places[0] < 100 < places[-1] < 110


def test_ordered_styles_go_from_dark_to_light_and_labels_keep_theirs():
    styles = plots.styles("abcd", ordered=True).values()
    light = [sum(plt.matplotlib.colors.to_rgb(style["color"])[:2]) for style in styles]
    assert light == sorted(light) and len({style["marker"] for style in styles}) == 4
    assert plots.styles("ab")["a"] == plots.styles("a")["a"]


def test_below_stand_seeds_machine_commit_and_runs_of_earlier_sources():
    frame = table(UNSEEN, seeds=3)
    assert plots.origin(frame) == ["3 seeds", "a CPU", "1a2b3c4d5"]
    frame.loc[frame["n_rules"] == 100, "state"] = "stale"
    assert plots.origin(frame)[-1] == "3 of 9 runs are of EARLIER SOURCES"
    frame["device"] = ["a CPU", "a GPU"] * (len(frame) // 2)
    assert plots.origin(frame.drop_duplicates("key", keep="last"))[1] == "a GPU" and plots.origin(frame[:0]) == []


def test_the_legend_is_no_wider_than_the_figure():
    figure, (ax,) = plots.panels(1)
    for label in ("no no-ops, 50 % of the examples", "50 % no-ops", "no no-ops", "10 % no-ops", "20 % no-ops"):
        ax.plot([1, 2], [0, 1], label=label)
    plots.legend(figure, [ax], ["50 % no-ops"])
    figure.canvas.draw()
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width
    assert figure.legends[0].get_texts()[0].get_text() == "50 % no-ops"


def test_the_same_table_gives_the_same_bytes():
    first, second = (svg(drawn(table(UNSEEN))[0]) for _ in range(2))
    assert first == second and b"<dc:date>" not in first
