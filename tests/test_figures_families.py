"""Chapters 05 and 06: figures draw every seed and the same table gives the same bytes; tables and sentences hold their numbers."""

import math

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
import test_claims_families  # noqa: E402
import test_claims_long_tail  # noqa: E402
from scipy import stats  # noqa: E402
from test_plotting import svg, texts  # noqa: E402

from ditune.figures import (  # noqa: E402
    families,
    long_tail,
    plotting,  # noqa: E402
)
from ditune.figures.intervals import interval  # noqa: E402

ALL = test_claims_families.ALL
CELLS = {
    (("repeated",), (3, 4), 3000): (0.1, 0.2), (("mirrored",), (3, 4), 3000): (0.15, 0.1), (("repeated", "periodic"), (3, 4), 3000): (0.2, 0.3),
    (ALL, (3, 4), 3000): (0.6, 0.5), (ALL, (3, 5), 3000): (0.5, 0.5), (ALL, (3, 4), 500): (0.3, 0.4), (("uniform",), 1, 3000): (0.7, 0.9),
}  # fmt: skip
VENDI = dict(zip(CELLS, (59, 50, 74, 85, 84, 82, 144)))


@pytest.fixture(autouse=True)
def style():
    plotting.use_style()
    yield
    plt.close("all")


def runs(**more) -> pd.DataFrame:
    """Families: made-up results of the workstation's training sets."""
    frame = test_claims_families.table(CELLS).assign(device="a CPU", commit="1a2b3c4d5", **more)
    place = [(families.mix_of(m), k, n) for m, k, n in zip(frame["families"], frame["k"], frame["n_rules"])]
    return frame.assign(vendi=[VENDI[p] for p in place], forms=2.0, different_words=[10 * VENDI[p] for p in place], different_rules=frame["n_rules"])


def slices_of(frame) -> pd.DataFrame:
    """Slices by k 2 to 4 and by family of the sets that restricted runs have; lower k is 0.1, all else 0.9."""
    rows = frame[(frame["k"].map(lambda k: k == (3, 4))) & frame["eval"].isin(["families", "unseen"])]
    parts = [rows[rows["eval"] == "families"].assign(slice="k", value=str(k), exact_match=0.1 if k == 2 else 0.9, n=100) for k in (2, 3, 4)]
    for i in (1, 2, 3):
        parts.append(rows[rows["eval"] == "families"].assign(slice="family", value=str(i), exact_match=(0.1 + 0.9 + 0.9) / 3, n=100))
        mixed = rows[(rows["eval"] == "unseen") & (rows["families"].map(lambda mix: len(families.mix_of(mix))) >= max(i, 2))]
        parts.append(mixed.assign(slice="family", value=str(i), exact_match=0.9, n=100))
    return pd.concat(parts)


def test_each_training_set_has_a_line_with_all_its_seeds():
    frame = runs()
    figure = families.by_cell({"profile workstation": frame})
    (ax,) = figure.axes
    drawn = sorted(float(x) for line in ax.lines if line.get_linestyle() == "None" and line.get_marker() in "osD" for x in line.get_xdata())
    shown = families.sections(frame)
    assert [len(group) for group in shown.values()] == [5, 2, 2] and {cell for group in shown.values() for cell in group} == set(families.cells(frame))
    expected = [families.by_seed(families.cells(frame)[cell], name).tolist() for group in shown.values() for cell in group for name in families.SETS]
    assert drawn == pytest.approx(sorted(value for values in expected for value in values))
    assert "R+P+M, k 3–5, 3k rules" in texts(figure) and "3 seeds" in texts(figure)
    assert svg(figure) == svg(families.by_cell({"profile workstation": frame}))


def test_lower_k_of_a_family_is_what_all_k_and_the_trained_ones_leave():
    frame = runs(unseen=0)
    frame.loc[frame["eval"] == "unseen", "exact_match"] = 0.9
    found = families.lower_by_family(frame, slices_of(frame))
    assert {cell[0] for cell in found} == {cell[0] for cell in CELLS} - {("uniform",)}
    assert found[ALL, (3, 4), 3000].keys() == set(ALL)
    assert all(value.mean == pytest.approx(0.1) for own in found.values() for value in own.values())
    text = families.family_table(frame, slices_of(frame), "caption", "tab-name")
    assert "| repeated + periodic | 3–4 | 3,000 | repeated 0.10 [0.10, 0.10], periodic 0.10 [0.10, 0.10] | mirrored 0.63 [0.63, 0.63] |" in text
    assert "constrainedness" in texts(families.by_k(frame, slices_of(frame), "profile workstation"))


def test_the_best_rising_curve_rises_gives_equal_places_one_value_and_beats_other_rising_curves():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 40), rng.random(40)
    best = families.rising(x, y)
    assert all(np.ptp(best[x == value]) < 1e-12 for value in set(x)) and (np.diff(best[np.argsort(x)]) >= -1e-12).all()
    others = (np.sort(rng.random(6))[x] for _ in range(200))
    assert all(((y - best) ** 2).sum() <= ((y - other) ** 2).sum() for other in others) and ((y - best) ** 2).sum() <= ((y - y.mean()) ** 2).sum()


def test_a_measure_that_orders_all_results_explains_them_and_one_that_does_not_vary_says_nothing():
    frame = runs()
    rows = frame[frame["eval"] == "lower k"]
    exact = rows.assign(exact_match=rows["vendi"] / 200)
    assert families.rank_correlation(exact, "vendi").mean == pytest.approx(1) and families.unexplained(exact, "vendi") == pytest.approx(0, abs=1e-12)
    assert families.rank_correlation(rows, "forms") is None and families.unexplained(rows, "forms") == pytest.approx(1)
    by_hand = [stats.spearmanr(own["vendi"], own["exact_match"]).statistic for _, own in rows.groupby("seed")]
    assert families.rank_correlation(rows, "vendi").mean == pytest.approx(np.mean(by_hand))
    assert f"{families.unexplained(rows, 'vendi'):.0%} of the variance" in families.explained(frame, "profile workstation")
    assert "too few" in families.explained(frame[frame["n_rules"] == 500], "profile workstation")
    assert len(families.explanation_table(frame, "caption", "tab-name").splitlines()) == 5 + 2 * len(families.MEASURES) + 1
    assert "R+P+M" in texts(families.against_diversity({"profile workstation": frame}))


def test_the_control_compares_the_training_sets_whose_words_are_nearest_in_number():
    text = families.same_words(runs())
    assert text.startswith("Repeated alone has 590 different words, the largest mix with 500 rules has 820;") and "changes by 0.2" in text
    assert "no two training sets" in families.same_words(runs().query("n_rules == 3000"))


def test_tables_and_sentences_of_families_hold_the_numbers():
    frame = runs()
    assert "| repeated + periodic + mirrored | 3–5 | 3,000 |" in families.results_table(frame, "caption", "tab-name")
    assert "| unrestricted | – | 3,000 | 1,000,000 |" in families.rules_table(frame, "caption", "tab-name")
    alone = interval(frame[(frame["families"] == "repeated") & (frame["eval"] == "lower k")]["exact_match"])
    assert f"accuracy on unseen rules of lower k by mix: repeated: {alone}; mirrored: " in families.in_words({"profile workstation": frame})


# ---- long tail -------------------------------------------------------------------------------------------------------


def tails() -> pd.DataFrame:
    """Runs whose accuracy is a function of the logarithm of the rules with an example, which a tail divides by 2 and by 5."""
    left = {None: 1, 0.5: 2, 0.03: 5}
    found = {(n, alpha, 50_000): math.log10(n / divided) / 5 for n in (100, 1000, 10_000) for alpha, divided in left.items()}
    found |= {(10_000, None, 25_000): 0.75, (10_000, 0.03, 25_000): 0.5}
    frame = test_claims_long_tail.table(found).assign(device="a CPU", commit="1a2b3c4d5")
    frame["exact_match"] = [math.log10(n / left[None if math.isnan(a) else a]) / 5 if e == "unseen" and N == 50_000 else value for n, a, N, e, value in zip(frame["n_rules"], frame["tail_alpha"], frame["n_examples"], frame["eval"], frame["exact_match"])]  # fmt: skip
    met = [n / left[None if math.isnan(a) else a] for n, a in zip(frame["n_rules"], frame["tail_alpha"])]
    return frame.assign(met=met, half=np.array(met) / 1.5, entropy=np.array(met) / 2, simpson=np.array(met) / 4)


def test_redrawn_by_the_number_that_decides_the_gaps_vanish_and_by_another_they_do_not():
    frame = tails()
    even = long_tail.without_tail(frame, pd.DataFrame())
    assert set(even["n_rules"]) == {100, 1000, 10_000} and even["tail_alpha"].isna().all() and set(even["n_examples"]) == {50_000}
    gap = {measure: long_tail.gap_by_seed(long_tail.gaps(frame, even, measure), False).mean for measure in long_tail.MEASURES}
    assert gap["met"] == pytest.approx(0, abs=1e-9) and gap["n_rules"] == pytest.approx(-(math.log10(2) + math.log10(5)) / 10)
    assert gap["entropy"] == pytest.approx(math.log10(2) / 5)  # half as many rules are expected to do worse
    outside = long_tail.gaps(frame, even, "met")
    assert set(outside["n_rules"]) == {1000, 10_000}, "100 rules with a tail have fewer than the curve begins with"
    text = long_tail.closest(frame, even, "profile workstation")
    assert "by the rules with an example: the gap is 0.00" in text and "by the effective number of order ½ (seed by seed larger by 0.04" in text
    assert "no tails" in long_tail.closest(even, even, "profile workstation")


def test_runs_of_another_chapter_are_added_only_with_the_same_settings_and_seeds():
    frame, other = tails(), test_claims_long_tail.table({(300, None, 50_000): 0.4}, seeds=4)
    found = long_tail.without_tail(frame, other)
    assert set(found["n_rules"]) == {100, 300, 1000, 10_000} and set(found["seed"]) == {0, 1, 2}
    assert set(long_tail.without_tail(frame, other.assign(train_n_steps=5))["n_rules"]) == {100, 1000, 10_000}
    assert set(long_tail.without_tail(frame, other.assign(n_examples=25_000))["n_rules"]) == {100, 1000, 10_000}


def test_figures_of_tails_draw_every_run():
    frame = tails()
    even = long_tail.without_tail(frame, pd.DataFrame())
    figure = long_tail.redrawn(frame, even, ["origin"])
    for ax, measure in zip(figure.axes, long_tail.DRAWN):
        drawn = sorted(float(x) for line in ax.lines if line.get_linestyle() == "None" for x in line.get_xdata())
        rows = frame[(frame["eval"] == "unseen") & frame["tail_alpha"].notna() & (frame["n_examples"] == 50_000)]
        assert drawn == pytest.approx(sorted(rows[measure]))
    text = texts(long_tail.by_alpha({"profile workstation": frame}))
    assert "no tail" in text and "0.03" in text and "paper" in text
    assert "50%, α = 0.03" in texts(long_tail.halving({"profile workstation": frame}))


def test_tables_of_tails_hold_the_numbers():
    frame = tails()
    even = long_tail.without_tail(frame, pd.DataFrame())
    lines = long_tail.tails_table(frame, even, "caption", "tab-name").splitlines()
    assert "| 10,000 | 0.03 | 0.66 [0.66, 0.66] | 2,000 (0.66) | 1,333 (0.62) | 1,000 (0.60) | 500 (0.54) |" in "\n".join(lines)
    assert "| rules with an example | 12 | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] |" in long_tail.gap_table(frame, even, "caption", "tab-name")
    assert "| 50%, even | 25,000 | 10,000 | 5,000 | 0.76 [" in long_tail.halving_table(frame, "caption", "tab-name")
