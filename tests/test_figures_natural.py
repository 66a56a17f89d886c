"""Figures and tables of the chapters on tasks in natural language and on instructions: from made-up tables and small records."""

import matplotlib
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
from test_claims_natural import BASE, rounds, shifted, tuned  # noqa: E402

from ditune.claims import UNDECIDED, judge  # noqa: E402
from ditune.figures import natural, paraphrases, plotting, self_instruct  # noqa: E402
from ditune.figures.selection import clear  # noqa: E402
from ditune.language import natural_runs
from ditune.language.natural_runs import first_run, map_run, rounds_run  # noqa: E402
from ditune.language.pretrained import tune_spec  # noqa: E402
from ditune.language.specs import (  # noqa: E402
    InstructSpec,  # noqa: E402
    MapSpec,
    RoundsSpec,
)
from ditune.store import records  # noqa: E402

OTHERS = {name: shifted(0.01 * i) for i, name in enumerate(("uncertainty", "inverse_confidence", "easy", "difficult"), 1)}
SMALL = {"model": "tiny", "most_letters": 40, "k": 1, "max_tokens": 1, "n": 1, "most_head": 40, "pool": ["made_tasks"]}


@pytest.fixture(autouse=True)
def style(monkeypatch):
    monkeypatch.delenv("DITUNE_DATA", raising=False)
    plotting.use_style()
    yield
    plt.close("all")


def specs() -> list:
    loop = {"test": ["made_tasks"], "n_test": 2, "n_test_instances": 1, "n_written": 1, "n_validation": 0, "n_initial": 2, "n_candidates": 5, "n_rounds": 1, "n_select": 2, "n_instances": 1, "passes": 1.0}
    runs = [RoundsSpec.of(**SMALL, **loop, tune=tune_spec("cpu", rank=2, alpha=4), strategy=name, seed=0) for name in ("random", "uncertainty")]
    return [MapSpec.of(**SMALL, seed=0), runs[0].first, *runs]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the records of a map, a first round and two strategies."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DITUNE_HOME", str(folder))
        few = [task for task in natural_runs.usable(("made_tasks",), 40) if task.split == "train"][:20:2]
        patch.setattr(natural_runs, "usable", lambda pools, most_letters, split="": few[:7] if split == "train" else few[7:] if split == "test" else few)
        for spec, run in zip(specs(), (map_run, first_run, rounds_run, rounds_run)):
            records.save(records.make(spec, run(spec, folder / f"{spec.key}.safetensors")))
    return folder


@pytest.fixture
def recorded(home, monkeypatch) -> dict:
    monkeypatch.setenv("DITUNE_HOME", str(home))
    return {"profile test": specs()}


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


# ---- chapter 15 ------------------------------------------------------------------------------------------------------


def test_curves_show_the_rise_above_the_first_model_and_the_papers_with_its_whole_deviation():
    frame = rounds(**BASE, **OTHERS)
    figure = natural.curves_figure({"profile test": frame})
    ours, papers = figure.axes
    assert len(ours.get_legend_handles_labels()[1]) == 5 and "profile test · 3 seeds" in texts(figure)
    means = [line for line in ours.lines if len(line.get_xdata()) == 3 and line.get_linestyle() == "-"]
    assert [line.get_ydata()[0] for line in means] == [0.0] * 5 and means[0].get_ydata()[2] == pytest.approx(20.0)
    bars = papers.collections[0].get_segments()
    assert {round(float(top[1] - low[1]), 6) for low, top in bars} == {1.3} and [round(float(x)) for x in papers.get_xticks()] == [68, 136, 204, 272, 340]


def test_groups_are_named_as_on_the_map():
    figure = natural.groups_figure({"profile test": rounds(**BASE, **OTHERS)})
    assert sorted(figure.axes[0].get_legend_handles_labels()[1]) == sorted(figure.axes[1].get_legend_handles_labels()[1]) == ["ambiguous", "difficult", "easy", "random"]


def test_gains_are_paired_by_seed_and_in_the_units_they_are_named_in():
    text = natural.gains_table({"profile test": rounds(**BASE, **OTHERS)}, "Gains", "tab-gains")
    (row,) = [line for line in text.splitlines() if "| uncertainty |" in line]
    assert row.split("|")[3:6] == [" +1.0 [+1.0, +1.0] ", " +1.0, +1.0, +1.0 ", " +0.0 [+0.0, +0.0] "]
    assert "gains +1.0 [+1.0, +1.0] hundredths" in natural.summary(rounds(**BASE, **OTHERS), "profile test") and "No rounds" in natural.summary(rounds(seeds=0), "x")


def test_the_summary_says_for_which_selections_all_seeds_agree_and_how_often_that_is_chance():
    frame = rounds(**BASE, **OTHERS)
    frame.loc[(frame["strategy"] == "easy") & (frame["seed"] == 0), "nll"] += 1.0  # one seed on the other side of random selection
    text = natural.summary(frame, "profile test")
    assert "Of the 5 other selections, the likelihoods of all 3 seeds are on one side of random selection for 2: inverse confidence (+2.0" in text
    assert "difficult tasks (+4.0 [+4.0, +4.0]; after the last round alone +4.0 [+4.0, +4.0]); by chance one in 4 would be." in text
    assert "other selections" not in natural.summary(rounds(seeds=1, **BASE, **OTHERS), "x")


def test_two_seeds_agree_on_the_candidates_that_both_have():
    one = pd.DataFrame({"seed": 0, "task": list("abcd"), "uncertainty": [0.1, 0.2, 0.3, 0.4], "probability": [0.1, 0.2, 0.3, 0.4]})
    other = pd.DataFrame({"seed": 1, "task": list("ecba"), "uncertainty": [0.9, 0.3, 0.2, 0.1], "probability": [0.9, 0.1, 0.2, 0.3]})
    text = paraphrases.between_seeds(pd.concat([one, other]), "x")
    assert "rank correlation of 1.00 to 1.00" in text and "one of -1.00 to -1.00" in text
    assert paraphrases.between_seeds(one, "x") == paraphrases.between_seeds(pd.DataFrame(), "x") == ""


def test_maps_hold_every_task_in_groups_of_the_papers_share_and_are_drawn_beside_the_papers(recorded):
    maps = natural.maps(recorded)
    assert list(maps) == ["profile test: pretrained model", "profile test: first tuned model, seed 0"]
    whole, first = maps.values()
    assert len(whole) == 10 and (whole["group"] == "ambiguous").sum() == round(natural.OF_GROUP * len(whole)) and (first["group"] == "ambiguous").sum() == 2
    assert set(whole.nlargest(1, "uncertainty")["group"]) == {"ambiguous"}
    figure = natural.map_figure(maps, ["made by"])
    assert len(figure.axes) == 3 and "Kung et al. 2023 (read off)" in texts(figure) and f"{len(whole)} tasks" in texts(figure)
    table = natural.ranges_table(maps, "Ranges", "tab-ranges")
    assert table.count("\n") == 5 + 3 * 4 and f"{whole['uncertainty'].max():.3f}" in table


def test_one_task_of_each_group_is_shown_with_what_the_model_wrote(recorded):
    text = natural.examples(recorded["profile test"], next(iter(natural.maps(recorded).values())))
    assert text.count("```text") == text.count("Definition: ") == text.count("Right: ") == text.count("Model:") >= 2
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_rightness_is_the_mean_of_each_group_of_the_first_models_map(recorded):
    table = natural.rightness(recorded["profile test"])
    assert set(table["group"]) == {"ambiguous", "difficult", "easy", "all"} and set(table["state"]) == {"fresh"} and table.set_index("group")["n"]["all"] == 5
    assert natural.rightness([]).empty


def test_agreement_is_a_rank_correlation_over_the_tasks_that_have_paraphrases():
    rows = pd.DataFrame({"definition": [0.1, 0.2, 0.3, 0.9], "uncertainty": [0.3, 0.2, 0.1, 0.1], "paraphrased": [0.3, 0.2, 0.1, None], "probability": [0.1, 0.2, 0.3, 0.5]})
    found = paraphrases.agreement(rows)
    assert {name: (each.mean, each.n) for name, each in found.items()} == {"definition": (-1, 3), "whole prompt": (1, 3), "definition, probability": (1, 3), "paraphrased, probability": (-1, 3)}
    assert "rank correlation -1.00" in texts(paraphrases.agreement_figure({"a map": rows}, ["made by"])) and "over 3 tasks" in paraphrases.agreement_in_words(rows, "a map")
    assert "too few" in paraphrases.agreement_in_words(rows[:2], "a map")


def test_the_interval_of_a_correlation_holds_it_and_is_drawn_over_tasks():
    a, b = range(30), [x + 9 * (-1) ** x for x in range(30)]
    found = paraphrases.correlation(a, b)
    assert -1 <= found.low < found.mean < found.high <= 1 and found.n == 30 and found.mean == pytest.approx(pd.Series(a).corr(pd.Series(b), method="spearman"))


def test_what_prompts_hold_is_counted():
    mapped = pd.DataFrame({"defined": [3, 0, 2, 1], "n_examples": [2, 2, 1, 0], "cut": [1.0, 0.0, 0.5, 0.0]})
    candidates = pd.DataFrame({"defined": [0], "n_examples": [1], "cut": [1.0]})
    text = natural.prompts_in_words(mapped, candidates, "profile x")
    assert "of the 4 tasks of the map 3 have a definition that stands apart; 2 have two worked examples, 1 one, 1 none; 1 have both a definition and two" in text
    assert "of the 1 candidates of the loop" in text and "38% in the map and 100% in the loop reached the longest" in text
    assert "candidates" not in natural.prompts_in_words(mapped, pd.DataFrame(), "x") and "nothing is recorded" in natural.prompts_in_words(pd.DataFrame(), pd.DataFrame(), "x")


def test_tables_of_costs_settings_and_pools_have_a_row_for_each(recorded):
    costs = natural.costs_table(recorded, "Costs", "tab-costs")
    assert costs.count("pretrained model, all tasks") == costs.count("first model, seed 0") == 1
    assert "| map: instances n, perturbed prompts k, drop rate | 10, 10, 0.2 | 1, 1, 0.2 |" in natural.settings_table(recorded, "Settings", "tab-settings")
    assert "| initial tasks, tasks of a selection, candidates | 68, 68, 620 | 2, 2, 5 |" in natural.settings_table(recorded, "Settings", "tab-settings")
    assert "| made_tasks | mapped, trained on, tested | MIT (made by this package) |" in natural.pools_table(recorded, "Pools", "tab-pools")


# ---- chapter 16 ------------------------------------------------------------------------------------------------------


def test_gains_and_wins_are_drawn_beside_the_papers_judges():
    frame = tuned(uncertainty=0.05, high_perplexity=-0.05)
    figure = self_instruct.gains_figure({"profile test": frame})
    assert figure.axes[0].get_legend_handles_labels()[1] == ["uncertainty", "high perplexity"] and "40 answers" in texts(figure)
    figure = self_instruct.wins_figure({"profile test": frame})
    assert len(figure.axes) == 4 and all(f"judged by {judge}" in texts(figure) for judge in ("GPT-4", "ChatGPT", "people"))
    assert list(figure.axes[1].lines[0].get_ydata()) == [11, 27, -19, 14, -5]


def test_the_results_are_in_a_table_and_in_words(monkeypatch):
    frame = tuned(uncertainty=0.05)
    spec = InstructSpec.of(model="tiny", pool="made_general", test=["made_reasoning", "stdlib"], n_candidates=40, n_test=30, budgets=[8, 16])
    done = {"data": {"made_reasoning": {"instructions": 30}, "stdlib": {"instructions": 10}}, "curve": [{"budget": 8, "tokens": 270.0}, {"budget": 16, "tokens": 600.0}]}
    monkeypatch.setattr(self_instruct, "found", lambda specs: [(spec, done)])
    text = self_instruct.results_table({"profile test": frame}, {"profile test": [spec]}, "Results", "tab-results")
    assert text.count("| profile test |") == 4 and "| random | 8 | 90 | – | – | – | +20." in text
    text = self_instruct.sets_table({"profile test": frame}, {"profile test": [spec]}, "Sets", "tab-sets")
    assert "| uncertainty | made_reasoning | 30 | +4.9" in text and "| uncertainty | stdlib | 10 | +4.8" in text
    assert "clearly more" in self_instruct.summary(frame, "profile test") and "No runs" in self_instruct.summary(frame[:0], "x")


def test_runs_of_which_a_part_is_recorded_are_shown_as_far_as_they_go_and_decide_nothing():
    whole, (first, untested) = tuned(uncertainty=0.05), (InstructSpec.of(model="tiny", pool="made_general", test=["made_reasoning"], n_candidates=40, n_test=30, budgets=[8, 16], strategy=s) for s in ("random", "uncertainty"))
    only_measured, without_random = whole[whole["n_trained"] == 0].drop(columns="strategy"), whole[whole["strategy"] != "random"]
    for frame, said in ((only_measured, "No runs of profile x"), (without_random, "Of profile x no seed is recorded with both")):
        tables, runs = {"profile x": frame}, {"profile x": [first, untested]}
        assert self_instruct.summary(frame, "profile x").startswith(said) and judge("A2", frame).verdict == UNDECIDED
        text = self_instruct.results_table(tables, runs, "Results", "tab-results") + self_instruct.settings_table(runs, "Settings", "tab-settings")
        assert "nan" not in text and ("not run" in text) and text.count("| uncertainty |") == 2 * (frame is without_random)
        self_instruct.gains_figure(tables), self_instruct.wins_figure(tables)
    rows = rounds(uncertainty=shifted(0.1))
    assert "Of profile x no seed is recorded with both" in natural.summary(rows, "profile x") and "nan" not in natural.gains_table({"profile x": rows}, "Gains", "tab-gains")
    assert clear(natural.gain(rows, "uncertainty", "test", "likelihood")[0]) == "not run"


def test_the_sets_of_the_runs_are_listed_with_their_licences():
    spec = InstructSpec.of(model="tiny", pool="alpaca_general", test=["self_instruct_seed", "dolly_3k"], n_candidates=50, n_test=9, budgets=[2])
    text = self_instruct.data_table({"profile test": [spec]}, "Sets", "tab-sets")
    assert "| alpaca_general | 50 candidates a seed | CC BY-NC 4.0 |" in text and "| self_instruct_seed | up to 9 tested | Apache-2.0 |" in text
