"""Chapter 07: conditions are told apart by their runs, the rule decides as written, figures and tables hold the numbers."""

import matplotlib
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402

from ditune import experiments
from ditune.figures import (
    plotting,  # noqa: E402
    probes,
    shared,  # noqa: E402
    thresholds,
)
from ditune.figures.thresholds import UNCHANGED, conditions  # noqa: E402
from ditune.rewriting.probe import COMBINATIONS  # noqa: E402
from ditune.rewriting.specs import (
    ProbeSpec,  # noqa: E402
    RunSpec,  # noqa: E402
)
from ditune.store.records import columns  # noqa: E402

VARIANTS = {
    "900 steps": {"train": {"n_steps": 900}},
    "rotary": {"model": {"position": "rotary"}, "n_rules": [10, 100, 1000]},
    "1 layer": {"model": {"n_layer": 1}},
    "|z| = 5": {"task": {"z_len": 5}},
    "N = 10,000": {"task": {"n_examples": 10_000}},
    "AdamW": {"train": {"optimizer": "adamw"}},
}
PARAMETERS = {
    "variants": VARIANTS, "n_rules": [100, 1000, 10_000], "probed": [100], "first_seed": 0, "n_seeds": 3, "n_test": 50,
    "task": {"x_len": 3, "y_len": 3, "z_len": 6, "n_examples": 50_000}, "model": {"n_layer": 3, "n_head": 2, "n_embd": 64}, "train": {"n_steps": 450, "optimizer": "muon"},
}  # fmt: skip
PLACES = {UNCHANGED: 1000, "900 steps": 500, "rotary": 50, "1 layer": 3000, "|z| = 5": 1100, "N = 10,000": 1000, "AdamW": 10**6}
WOBBLE = (0.8, 1.0, 1.25)


def name_of(run) -> str:
    if run.train.optimizer == "adamw":
        return "AdamW"
    marks = {"rotary": run.model.position == "rotary", "1 layer": run.model.n_layer == 1, "|z| = 5": run.task.z_len == (5, 5)}
    marks |= {"N = 10,000": run.task.n_examples == 10_000, "900 steps": run.train.n_steps == 900}
    return next((name for name, so in marks.items() if so), UNCHANGED)


def runs(**changed) -> pd.DataFrame:
    """A table in which each condition passes one half at its place, times the seed's wobble; one layer learns no rules."""
    rows = []
    for run in experiments.SPECS["07_what_moves_the_threshold"](**PARAMETERS | changed):
        place = PLACES[name_of(run)] * WOBBLE[run.seed]
        unseen = 1 / (1 + (place / run.task.n_rules) ** 4)
        sets = {"unseen": unseen, "seen": 0.5 if run.model.n_layer == 1 else 0.95}
        if isinstance(run, ProbeSpec):
            sets |= {which: 0.9 if which == "trained rule" else 0.1 for which in COMBINATIONS}
        for name, value in sets.items():
            more = {"memorised": 0.3 * (1 - value)} if name in ("y of another", "new y") else {}
            made = {"eval": name, "exact_match": value, "copies": 0.6 * (1 - value), "state": "fresh", "device": "a CPU", "commit": "1a2b3c4d5"}
            rows.append({"key": run.key} | columns(run) | made | more)
    return pd.DataFrame(rows)


FRAME = runs()
FOUND = conditions(FRAME, PARAMETERS)
BY_NAME = {c.name: c for c in FOUND}


@pytest.fixture(autouse=True)
def style():
    plotting.use_style()
    yield
    plt.close("all")


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_each_condition_has_its_own_runs_in_the_order_of_the_kinds():
    assert [(c.name, c.kind) for c in FOUND] == [
        (UNCHANGED, UNCHANGED), ("rotary", "model"), ("1 layer", "model"), ("|z| = 5", "task"), ("N = 10,000", "data"), ("900 steps", "training"), ("AdamW", "training"),
    ]  # fmt: skip
    for condition in FOUND:
        assert set(condition.frame["eval"]) == {"unseen", "seen"} and condition.frame["key"].nunique() == 9
    assert set(BY_NAME["rotary"].frame["n_rules"]) == {10, 100, 1000}


def test_a_condition_without_records_is_left_out():
    rotary = set(BY_NAME["rotary"].frame["key"])
    assert "rotary" not in [c.name for c in conditions(FRAME[~FRAME["key"].isin(rotary)], PARAMETERS)]
    assert conditions(pd.DataFrame(), PARAMETERS) == []


def test_the_rule_decides_as_it_is_written():
    moved = {name: c.moved for name, c in BY_NAME.items() if name != UNCHANGED}
    assert moved == {"rotary": "lower", "1 layer": "not comparable", "|z| = 5": "higher", "N = 10,000": "open", "900 steps": "lower", "AdamW": "higher"}
    assert BY_NAME["N = 10,000"].ratio.by_seed == {0: (1, 1), 1: (1, 1), 2: (1, 1)}
    assert str(BY_NAME["AdamW"].place) == "> 10,000" and BY_NAME["AdamW"].ratio.interval is None


def test_a_grid_alone_makes_no_ratio():
    base = BY_NAME[UNCHANGED]
    sparse = base.frame[base.frame["n_rules"] != 1000]
    assert thresholds.bounds(sparse).interval != base.place.interval
    assert len({str(bounds) for bounds in thresholds.on_common_numbers(sparse, base)}) == 1


def test_fewer_than_three_seeds_decide_nothing():
    two = PARAMETERS | {"n_seeds": 2}
    assert {c.moved for c in conditions(runs(n_seeds=2), two)} == {"open", "not comparable"}


def test_rules_count_as_learnt_where_they_are_just_below_the_threshold():
    frame = BY_NAME[UNCHANGED].frame.copy()
    above = (frame["eval"] == "seen") & (frame["n_rules"] == 10_000)
    frame.loc[above, "exact_match"] = 0.2
    assert thresholds.unlearnt(frame) == []
    frame.loc[(frame["eval"] == "seen") & (frame["n_rules"] == 100), "exact_match"] = 0.2
    assert thresholds.unlearnt(frame) == [0, 1]  # the third is below one half at 1,000 rules too, and has learnt those
    assert thresholds.unlearnt(BY_NAME["1 layer"].frame) == [0, 1, 2]


def test_a_seed_that_has_not_learnt_its_rules_without_a_change_is_no_base():
    frame = FRAME.copy()
    base = frame["key"].isin(set(BY_NAME[UNCHANGED].frame["key"])) & (frame["eval"] == "seen") & (frame["seed"] == 1)
    frame.loc[base, "exact_match"] = 0.5
    found = {c.name: c for c in conditions(frame, PARAMETERS)}
    assert found[UNCHANGED].unlearnt == [1] and set(found["rotary"].ratio.by_seed) == {0, 2} and found["rotary"].moved == "open"


def test_expectations_follow_the_direction_of_the_change():
    assert {c.name: c.expected for c in FOUND if c.expected} == {"rotary": "lower", "|z| = 5": "lower", "N = 10,000": "the same"}
    learned, rotary = (RunSpec.of(model={"position": position}) for position in ("learned", "rotary"))
    assert thresholds.expected(learned, rotary) == "higher" and thresholds.expected(learned, learned) == ""
    assert thresholds.expected(RunSpec.of(task={"z_len": 60}), learned) == "higher" and thresholds.expected(RunSpec.of(train={"n_steps": 9}), learned) == ""
    assert thresholds.agreement(BY_NAME["rotary"]) == "yes" and thresholds.agreement(BY_NAME["N = 10,000"]) == "not contradicted"


def test_words_name_every_change_with_its_ratio():
    text = thresholds.in_words(FOUND)
    assert all(f"{c.name} (× {c.ratio})" in text for c in FOUND[1:] if c.name != "1 layer") and f"one half at {BY_NAME[UNCHANGED].place} rules" in text
    assert text.endswith("seen rules are not learnt: 1 layer.") and str(BY_NAME["1 layer"].ratio) not in text
    assert "nothing to compare with" in thresholds.in_words(FOUND[1:]) and "AdamW" in thresholds.constant_in_words(FOUND)
    assert "runs of no change" in thresholds.constant_in_words(FOUND[:1])


def test_the_dots_are_the_thresholds_and_an_arrow_leaves_where_there_is_none():
    figure = thresholds.dots({"profile laptop": FOUND[:2], "profile paper": FOUND}, {"profile laptop": FRAME, "profile paper": FRAME})
    assert [len(ax.get_yticks()) for ax in figure.axes] == [2, len(FOUND)] and "1 layer †" in texts(figure)
    drawn = sorted(float(x) for line in figure.axes[1].lines if line.get_linestyle() == "None" and line.get_marker() in "ox" for x in line.get_xdata())
    assert drawn == pytest.approx(sorted(high if low == 0 else low for c in FOUND for low, high in c.place.by_seed.values()))
    arrows = [a for a in figure.axes[1].texts if getattr(a, "arrow_patch", None)]
    assert len(arrows) == sum(low != high for c in FOUND for low, high in c.place.by_seed.values()) > 0


def test_each_condition_has_a_panel_and_a_row():
    figure = thresholds.panels(FOUND, FRAME, "profile laptop")
    assert [ax.get_title(loc="left").removesuffix(" †") for ax in figure.axes] == [c.name for c in FOUND]
    lines = thresholds.threshold_table(FOUND, "Thresholds", "tab-t").splitlines()[5:-1]
    assert len(lines) == len(FOUND) and all(str(c.place) in line for c, line in zip(FOUND, lines))
    assert [c.name for c, line in zip(FOUND, lines) if str(c.ratio) not in line] == [UNCHANGED, "1 layer"]


# ---- probes ------------------------------------------------------------------------------------------------------------


def test_the_kinds_of_answers_add_up():
    rows = probes.answers(FRAME)
    assert rows[list(probes.ANSWERS)].sum(axis=1).to_numpy() == pytest.approx(1.0)


def test_answers_are_shown_without_a_change_and_with_rotary_positions():
    panels = probes.answers_to_unseen({"profile laptop": FOUND})
    assert list(panels) == ["Profile laptop: no change", "Profile laptop: rotary"] and probes.BY_HEART not in panels["Profile laptop: rotary"]
    assert len(shared.grouped_panels(panels, ["origin"], y="share").axes) == 2


def test_a_probe_has_a_bar_for_each_combination_and_kind_of_answer():
    rows = probes.of_probes(FRAME)
    assert set(rows["eval"]) == set(COMBINATIONS) and rows["key"].nunique() == 6
    figure = probes.probe_panels({"profile laptop": rows})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["learned, 100 rules", "rotary, 100 rules"]
    assert all(len(ax.patches) == len(COMBINATIONS) * len(probes.ANSWERS) for ax in figure.axes)
    assert all(max(p.get_x() + p.get_width() for p in ax.patches) == pytest.approx(1.0) for ax in figure.axes)
    table = probes.probe_table(rows, "Parts", "tab-p")
    assert "| learned | 100 | y of another | 0.10 [0.10, 0.10] | 0.27 [0.27, 0.27] | 0.54 [0.54, 0.54] |" in table
    assert "learned positions, 100 rules: 0.90 [0.90, 0.90] and 0.10 [0.10, 0.10], and in 0.27 [0.27, 0.27]" in probes.by_heart_in_words(rows)


def curves(frame, steps: dict) -> pd.DataFrame:
    """Learning curves that rise evenly and pass one half of the unseen rules at the given step, times the wobble."""
    points = []
    for c in FOUND:
        for run in c.frame.drop_duplicates("key").itertuples():
            half = steps[c.name] * WOBBLE[run.seed]
            points += [{"key": run.key, "n_rules": run.n_rules, "seed": run.seed, "step": t, "unseen": min(t / half / 2, 1), "seen": min(t / 100, 1)} for t in (50, 200, 450)]
    return pd.DataFrame(points)


def test_paces_are_of_the_fewest_rules_and_of_the_most():
    pace = probes.paces(curves(FRAME, dict.fromkeys(PLACES, 300)), BY_NAME["rotary"])
    assert pace["seen"][0] == 10 and pace["unseen"][0] == 1000
    assert pace["seen"][1].by_seed == {seed: (50, 50) for seed in range(3)} and pace["unseen"][1].by_seed[0] == pytest.approx((240, 240))


def test_the_correlation_is_over_the_conditions_that_are_known_and_learnt():
    assert "is 1.00" in probes.pace_in_words(curves(FRAME, {name: 20 + place / 20 for name, place in PLACES.items()}), FOUND)
    assert "learnt their rules: 3, too few" in probes.pace_in_words(curves(FRAME, dict.fromkeys(PLACES, 100)), FOUND[:4])
    table = probes.pace_table(curves(FRAME, dict.fromkeys(PLACES, 10**6)), FOUND, "Paces", "tab-paces")
    assert "> 450 (10,000 rules)" in table


def test_the_origin_of_probes_does_not_count_the_other_runs():
    frame = FRAME.copy()
    frame.attrs["runs"] = 1000
    assert "recorded" not in plotting.made_by(probes.of_probes(frame), "profile laptop") and probes.of_probes(pd.DataFrame()).empty


def test_expectations_are_counted_by_what_was_measured():
    text = thresholds.expectations_in_words(FOUND)
    assert text == "Of 3 expected changes 1 came out as expected, 1 came out otherwise, 1 not contradicted."
