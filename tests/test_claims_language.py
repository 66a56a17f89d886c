"""D12 to D15: each rule decides as it is written, on tables of mixtures; chapters 13 and 14: figures and tables hold the numbers."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from scipy.stats import binomtest  # noqa: E402

from ditune.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, judge  # noqa: E402
from ditune.claims.language import arms, at_total, crossed, gain, named, problems  # noqa: E402
from ditune.figures import (
    code_generation,  # noqa: E402
    plotting,
)
from ditune.figures import instruction_map as chapter  # noqa: E402
from ditune.language import instruction_map
from ditune.language.pretrained import tune_spec  # noqa: E402
from ditune.language.specs import (
    InstructionMapSpec,  # noqa: E402
    LanguageSpec,  # noqa: E402
)
from ditune.specs import SpecError  # noqa: E402
from ditune.store import records  # noqa: E402
from ditune.store.records import columns  # noqa: E402

SETS = ("stdlib", "made_general", "made_reasoning")
CODE, TENTH, QUARTER, THREE = (1.0,), (0.9, 0.1), (0.75, 0.25), (0.9, 0.05, 0.05)
P = 60


def table(gains: dict, seeds=3, more=None, taught=5.0, taken=5.0, **added) -> pd.DataFrame:
    """Runs by mixture with a gain over code alone, in hundredths of a nat a token; `more`: that of more examples of code alone.

    taught: gain of all mixtures over the untuned model on held-out code; taken: of mixtures over code alone on the others."""
    rows, draw = [], np.random.default_rng(0)
    level, noise = draw.uniform(0.5, 1.5, P), draw.normal(0, 0.02, P)
    for total, shares, found in [(0, (), -4.0), *((80, shares, found) for shares, found in gains.items()), *([(300, CODE, more)] if more is not None else [])]:
        tune = tune_spec("cpu", n_steps=max(1, total // 8))
        for seed in range(seeds if total else 1):
            spec = LanguageSpec(sets=SETS[: len(shares)], shares=shares, total=total, tune=tune, seed=seed)
            learnt = {"stdlib": taught * bool(total), "made_general": taken * (len(shares) > 1), "made_reasoning": taken * (len(shares) > 2)}
            for name, value in ({"humaneval": found, "mbpp": found} | learnt).items():
                each = level - value / 100 + noise * (0.01 * (len(shares) + seed))
                made = {"eval": name, "nll": each.mean(), "nll_each": each.tolist(), "n": P, "state": "fresh", "device": "a CPU", "commit": "1a2b3c4d5"}
                rows.append({"key": spec.key} | columns(spec) | made | added)
    return pd.DataFrame(rows)


def mixtures(tenth=2.0, quarter=2.0, three=2.0, **more) -> pd.DataFrame:
    return table({CODE: 0.0, TENTH: tenth, QUARTER: quarter, THREE: three}, **more)


@pytest.mark.parametrize(
    ("tenth", "quarter", "expected"),
    [(2.0, 2.0, REPRODUCED), (3.0, -1.0, REPRODUCED), (-2.0, -2.0, NOT_REPRODUCED), (0.0, 0.1, NOT_REPRODUCED), (0.5, 0.5, UNDECIDED)],
)
def test_d12_is_about_the_mean_gain_of_the_mixtures(tenth, quarter, expected):
    assert judge("D12", mixtures(tenth, quarter)).verdict == expected


@pytest.mark.parametrize(
    ("tenth", "quarter", "expected"),
    [
        (2.0, 0.0, REPRODUCED),
        (2.0, 0.8, NOT_REPRODUCED),  # the gain is not gone
        (0.0, -2.0, NOT_REPRODUCED),  # there is none
        (0.9, 0.45, NOT_REPRODUCED),  # hardly more than at a quarter
        (0.5, -1.0, UNDECIDED),
    ],
)
def test_d13_needs_a_gain_at_a_tenth_that_is_gone_at_a_quarter(tenth, quarter, expected):
    assert judge("D13", mixtures(tenth, quarter)).verdict == expected


@pytest.mark.parametrize(("more", "expected"), [(0.0, REPRODUCED), (3.0, NOT_REPRODUCED), (2.0, NOT_REPRODUCED), (1.5, UNDECIDED), (None, UNDECIDED)])
def test_d14_compares_a_mixture_with_more_examples_of_code_alone(more, expected):
    assert judge("D14", mixtures(more=more)).verdict == expected


@pytest.mark.parametrize(("three", "expected"), [(3.0, REPRODUCED), (2.0, NOT_REPRODUCED), (1.0, NOT_REPRODUCED), (2.5, UNDECIDED)])
def test_d15_compares_three_domains_with_two_at_the_same_share_of_code(three, expected):
    assert judge("D15", mixtures(three=three)).verdict == expected


@pytest.mark.parametrize("claim", ["D12", "D13", "D14", "D15"])
def test_what_has_taught_nothing_decides_nothing_against(claim):
    none = {"tenth": -2.0, "quarter": -2.0, "three": -3.0, "more": 1.0}
    assert judge(claim, mixtures(**none)).verdict == NOT_REPRODUCED
    assert judge(claim, mixtures(**none, taught=0.0)).verdict == UNDECIDED
    assert judge(claim, mixtures(**none, taken=0.0)).verdict == UNDECIDED
    assert judge(claim, mixtures(**none, seeds=2)).verdict == UNDECIDED
    lone = mixtures(**none)
    assert judge(claim, lone[lone["total"] == 0]).verdict == UNDECIDED


def test_a_mixture_lacks_no_seed_of_those_it_is_compared_with():
    frame = mixtures()
    keys = set(at_total(frame)[TENTH]["key"])
    cut = frame[~(frame["key"].isin(keys) & (frame["seed"] == 2))]
    assert judge("D12", cut).verdict == UNDECIDED and gain(at_total(cut)[CODE], at_total(cut)[TENTH]).n == 2


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 100))
def test_the_interval_holds_the_mean_and_lies_within_the_values(S, P, seed):
    values = np.random.default_rng(seed).normal(size=(S, P))
    found = crossed(values)
    assert found.mean == pytest.approx(values.mean()) and values.min() - 1e-9 <= found.low <= found.high <= values.max() + 1e-9 and found.n == S


def test_the_interval_counts_both_seeds_and_problems():
    noise = np.random.default_rng(0).normal(size=(40, 40))
    of_seeds, of_problems = np.broadcast_to(noise[:, :1], noise.shape), np.broadcast_to(noise[:1], noise.shape)
    width = [found.high - found.low for found in map(crossed, (noise, of_seeds, of_problems))]
    assert width[1] == pytest.approx(4 / 40**0.5, rel=0.3) and width[2] == pytest.approx(4 / 40**0.5, rel=0.3) and width[0] < 0.5 * min(width[1:])


# ---- figures and tables ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def style():
    plotting.use_style()
    yield
    plt.close("all")


def test_the_gains_are_drawn_where_the_mixtures_are():
    frame = mixtures(1.0, -1.0, 3.0, more=2.0)
    figure = code_generation.gains_figure({"profile laptop": frame, "profile paper": frame})
    assert len(figure.axes) == 3
    found = {(round(x), round(i.mean, 2)) for n in (2, 3) for x, i, _ in code_generation.points(frame, n)}
    assert found == {(10, 1.0), (25, -1.0), (10, 3.0)}
    ((label, interval, *_),) = code_generation.references(frame)
    assert label == "code only, 3.75 × as many" and interval.mean == pytest.approx(2.0, abs=0.01)


def test_each_mixture_has_its_row():
    frame = mixtures(more=2.0)
    lines = code_generation.results_table(frame, "Gains", "tab-x").splitlines()[5:-1]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == ["not tuned", "code only", "10 % general", "25 % general", "5 % general + 5 % reasoning", "code only"]
    assert all("not generated" in line for line in lines) and "2.00 [" in lines[2]
    assert str(gain(arms(frame)[0, ()], at_total(frame)[CODE])) in lines[1]


def test_pass_at_1_counts_all_answers_and_says_why_there_are_none():
    frame = mixtures(passed=None, not_tested=None)
    frame["passed"] = [[True, False] if name == "humaneval" else None for name in frame["eval"]]
    interval = binomtest(1, 2).proportion_ci(method="wilson")  # two problems, whatever the number of seeds
    assert code_generation.passed(at_total(frame)[CODE]) == f"3 of 6: 0.50 [{interval.low:.2f}, {interval.high:.2f}]"
    assert code_generation.passed(mixtures(passed=None, not_tested="no sandbox")) == "not tested: no sandbox"


def test_words_and_tables_name_what_is_there():
    frame = mixtures()
    assert all(named(shares) in code_generation.summary(frame, "profile laptop") for shares in (TENTH, QUARTER, THREE)) and problems(frame) == ["humaneval", "mbpp"]
    data = code_generation.data_table({"profile laptop": frame}, "Data", "tab-d")
    assert data.count("profile laptop") == 3 + 2 + 1 and "| mbpp | code, tested on | CC BY 4.0" in data and "| smollm2 | model | Apache-2.0 |" in data
    assert "same in all four scores" in code_generation.identical_rows() and code_generation.paper_tables("tab-p").count(":::{table}") == 3


def test_the_map_tells_sets_apart_and_shows_all_of_them(monkeypatch, tmp_path):
    monkeypatch.delenv("DITUNE_DATA", raising=False)
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path))
    spec = InstructionMapSpec(sets=("made_general", "made_reasoning", "humaneval"), n_texts=20, n_draws=5, embedding="tiny")
    result = instruction_map.map_run(spec, tmp_path / "none")
    assert result["n_drawn"] == 10 and all(1 <= low <= mean <= high <= 10 for mean, low, high in (known["vendi"] for known in result["metrics"].values()))
    assert {name: len(places) for name, places in result["places"].items()} == dict.fromkeys(spec.sets, 20)
    records.save(records.make(spec, result))
    maps = chapter.results({"profile test": [spec], "profile other": [spec.replace(seed=1)]})
    figures = chapter.map_figure(maps, ["made by"]), chapter.diversity_figure(maps, ["made by"])
    assert list(maps) == ["profile test"] and len(figures[0].axes[0].collections) == 3 and all("made by" in f._supxlabel.get_text() for f in figures)
    assert chapter.sets_table(maps, "Sets", "tab-s").count("no other set of the domain") == 3 and "most diverse set is" in chapter.in_words(maps["profile test"], "x")
    assert result["mixtures"] is None and "no set about code" in chapter.mixtures_table(maps, "Mixtures", "tab-m")


def test_neighbours_are_sought_in_other_sets_and_chance_is_their_share():
    x, y = np.eye(4, dtype=np.float32)[[0, 0]], np.eye(4, dtype=np.float32)[[1, 1]]
    assert instruction_map.neighbours({"stdlib": x, "humaneval": x, "made_general": y}) == {"stdlib": (1.0, 0.5), "humaneval": (1.0, 0.5), "made_general": (None, None)}


def test_a_mixture_of_two_unlike_sets_is_more_diverse_than_either():
    code, general = (np.repeat(np.eye(8, dtype=np.float32)[rows], 5, axis=0) for rows in ([0, 1], [2, 3]))
    mixed = instruction_map.of_mixtures({"stdlib": code, "made_general": general}, 20, 0)
    scores = {share: mean for share, mean, _, _ in mixed["scores"]}
    assert mixed["n"] == 5 and scores[0.5] > scores[0.0] and scores[0.0] <= 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": ["stdlib"]}, "InstructionMapSpec.sets = ('stdlib',); allowed: two different sets or more"),
        ({"sets": ["stdlib", "stdlibs"]}, "unknown set 'stdlibs'; did you mean 'stdlib'"),
        ({"embedding": "mini"}, "unknown embedding 'mini'"),
        ({"n_texts": 1}, "InstructionMapSpec.n_texts = 1; allowed: 4 to 1000000"),
    ],
)
def test_an_impossible_map_is_refused(changes, message):
    with pytest.raises(SpecError) as caught:
        InstructionMapSpec.of(**{"sets": ["stdlib", "made_general"], "embedding": "tiny"} | changes)
    assert str(caught.value).startswith(message)
