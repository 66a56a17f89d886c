"""Chapter 10: its runs, its rules on made-up runs, its figures and tables; joins of records and pool."""

import matplotlib
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from made_up import MADE, chapter, marks, svg, texts

matplotlib.use("svg")

from ditune.active.loop import select_run  # noqa: E402
from ditune.active.specs import STRATEGIES, SelectSpec  # noqa: E402
from ditune.chapters import active_selection as here  # noqa: E402
from ditune.chapters import symbolic_pool  # noqa: E402
from ditune.notebooks import defaults  # noqa: E402
from ditune.report import plots  # noqa: E402
from ditune.report.ledger import judge  # noqa: E402
from ditune.report.stats import interval  # noqa: E402
from ditune.specs import SpecError  # noqa: E402
from ditune.store import records  # noqa: E402

FIRST, CURVE = 0.1, (0.3, 0.4, 0.5, 0.55)
HELD, FAILED, LEFT_OPEN = "holds here", "does not hold here", "not settled"
CLAIMS = {claim.id: claim for claim in here.CLAIMS}
SMALL = {
    "pool": {"n_tasks": 30, "n_instances": 4, "n_test": 8, "n_test_instances": 3},
    "model": {"n_layer": 1, "n_head": 2, "n_embd": 16}, "train": {"n_steps": 4, "batch_size": 8, "n_evals": 2},
    "n_initial": 8, "n_rounds": 2, "n_select": 6, "n": 2, "k": 2,
}  # fmt: skip


def made_up(seeds: int = 12, median_u: float = 0.04, first: float = FIRST, **ends) -> pd.DataFrame:
    """A row a run and round, 150 to 750 tasks: each strategy's accuracy after rounds 1 to 4 from that of the first
    model. Seeds differ by more than strategies do, all strategies of a seed alike; each run by up to 0.003 more."""
    rows, rng = [], np.random.default_rng(0)
    for strategy, later in ends.items():
        for seed in range(seeds):
            for number, value in enumerate((first, *later)):
                found = value + 0.05 * np.sin(seed) + (number > 0) * rng.uniform(-0.003, 0.003)
                row = {"strategy": strategy, "seed": seed, "round": number, "n_trained": 150 * (number + 1)}
                row |= {"key": f"{strategy}-{seed}", "exact_match": found, "nll": -found, "median_u": median_u}
                rows.append(row | MADE)
    return pd.DataFrame(rows)


def shifted(change: float) -> tuple:
    return tuple(value + change for value in CURVE)


BASE = {"random": shifted(0), "high_perplexity": shifted(-0.02), "low_perplexity": shifted(0)}


def verdict(id: str, frame) -> str:
    return judge(CLAIMS[id], frame).verdict


@pytest.mark.parametrize(
    "uncertain, others, expected",
    [
        (shifted(0.03), {}, HELD),
        (shifted(0.0), {}, FAILED),  # less than a fifth of what random selection adds
        (shifted(-0.1), {}, FAILED),
        (shifted(0.1), {"low_perplexity": shifted(0.1)}, FAILED),  # one of the three is enough
    ],
)
def test_a1_needs_a_gain_over_each_baseline(uncertain, others, expected):
    assert verdict("A1", made_up(**BASE | others, uncertainty=uncertain)) == expected


@pytest.mark.parametrize(("third", "expected"), [(0.6, HELD), (0.5, FAILED), (0.551, LEFT_OPEN)])  # others end at 0.55
def test_a3_compares_four_fifths_of_the_tasks_with_all(third, expected):
    found = judge(CLAIMS["A3"], made_up(**BASE, uncertainty=(0.3, 0.4, third, 0.9)))
    assert found.verdict == expected and "600 tasks of prompt uncertainty" in found.text()


def test_a3_is_open_without_a_round_of_about_four_fifths():
    assert "No round" in judge(CLAIMS["A3"], made_up(**BASE, uncertainty=shifted(0.1)).query("round < 3")).text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"median_u": 0.56}, "Not decided in this pool: its median prompt uncertainty is 0.56, above 0.1"),
        ({"median_u": float("nan")}, "not measured"),
        ({"seeds": 11}, "By 11 of 12 seeds"),
        ({"first": 0.54}, "only +0.010"),
    ],
)
def test_nothing_is_decided_in_an_unfair_pool_by_few_seeds_or_where_nothing_is_learnt(changes, words):
    for id, uncertain in (("A1", shifted(0.1)), ("A1", shifted(-0.1)), ("A3", shifted(0.2)), ("A3", shifted(-0.2))):
        found = judge(CLAIMS[id], made_up(**BASE, uncertainty=uncertain, **changes))
        assert found.verdict == LEFT_OPEN and words in found.text()


def test_missing_strategies_leave_claims_open_and_are_named():
    for id in CLAIMS:
        assert "high_perplexity" in judge(CLAIMS[id], made_up(random=shifted(0), low_perplexity=shifted(0))).text()


def test_a_run_that_lacks_a_round_counts_in_no_average():
    frame = made_up(seeds=3, **BASE).query("strategy != 'random' or seed != 2 or round != 4")
    assert len(symbolic_pool.by_seed(frame, "random", range(1, 5))) == 2
    assert symbolic_pool.rise(frame, "random", [1, 2]).mean() == pytest.approx(0.25, abs=0.01)


# ---- the runs --------------------------------------------------------------------------------------------------------


def test_a_run_a_strategy_and_seed_and_parts_that_are_not_set_are_the_studys():
    specs = here.runs(**defaults("10_active_selection"))
    assert len(specs) == 55 and {spec.strategy for spec in specs} == set(STRATEGIES)
    assert specs[0].pool.n_tasks == 1500 and specs[0].model.position == "rotary" and specs[0].n == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategies": ["uncertanty"]}, "unknown SelectSpec strategy 'uncertanty'"),
        ({"strategies": []}, "strategies = []"),
        ({"loop": {"seed": 3}}, "loop = {'seed': 3} holds seed"),
        ({"loop": {"n_roundz": 3}}, "n_roundz"),
        ({"pool": {"n_tasks": 100}}, "n_initial"),
    ],
)
def test_a_wrong_parameter_is_named_in_one_line(change, message):
    given = {"strategies": ["random"], "first_seed": 0, "n_seeds": 1, "pool": {}, "model": {}, "train": {}, "loop": {}}
    with pytest.raises(SpecError) as error:
        here.runs(**given | change)
    assert message in str(error.value) and "\n" not in str(error.value)


# ---- figures and tables ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A home with the records of random and uncertain selection, two seeds, and these records."""
    home = tmp_path_factory.mktemp("home")
    names = [(name, seed) for name in ("random", "uncertainty") for seed in (0, 1)]
    specs = [SelectSpec.of(**SMALL, strategy=name, seed=seed) for name, seed in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DITUNE_HOME", str(home))
        for spec in specs:
            records.save(records.make(spec, select_run(spec, home / f"{spec.key}.safetensors")), home / "records")
        yield chapter(records.frame(specs), specs=specs, records=[records.find(spec) for spec in specs])


@pytest.fixture(autouse=True)
def style():
    plots.use_style()
    yield
    matplotlib.pyplot.close("all")


def every_strategy(seeds: int = 6) -> pd.DataFrame:
    return made_up(seeds, **{name: shifted(0.01 * i) for i, name in enumerate(STRATEGIES)})


def test_gains_are_drawn_by_seed_in_exact_match_and_the_same_each_time():
    made = chapter(every_strategy(), again=["clean-3"], specs=[SelectSpec.of(**SMALL)])
    figure = here.figure_gains(made)
    wide = here.averaged(made.frame)
    gains = (wide - wide.loc["random"]).drop("random").to_numpy().ravel()
    assert marks(figure.axes[0], "x") == pytest.approx(sorted(gains)) and svg(here.figure_gains(made)) == svg(figure)
    assert "paper's gain" in texts(figure) and "6 seeds" in texts(figure)
    rings = [line for line in figure.axes[0].lines if line.get_markersize() > 9.5]
    assert len(rings) == 1


def test_accuracies_are_drawn_by_seed():
    made = chapter(every_strategy(3), specs=[SelectSpec.of(**SMALL)])
    assert [len(marks(ax)) for ax in here.figure_curves(made).axes] == [4 * 3 * 5, 3 * 3 * 5]


def test_the_pooled_comparison_finds_the_one_that_differs():
    alike = {name: shifted(0) for name in STRATEGIES} | {"clean": shifted(0.05)}
    frame = made_up(6, **alike)
    assert here.pooled(frame).p > 0.01 and len(here.pooled(frame).means) == 10
    clear = [name for name, found in here.gains(frame).items() if found.low > 0 or found.high < 0]
    assert clear == ["clean"]
    assert "no difference is seen among 10 ways" in here.answer(chapter(frame))
    assert "| clean tasks* | +0.05" in here.table_gains(chapter(frame))
    assert here.answer(chapter(made_up(1, random=shifted(0)))).startswith("**In this pool")


def test_the_pooled_error_is_that_of_a_two_way_analysis():
    wide = pd.DataFrame(np.random.default_rng(1).normal(size=(4, 5)), index=list("abcd"))
    centred = wide.sub(wide.mean(axis=1), axis=0) - wide.mean()
    error = ((centred + wide.to_numpy().mean()) ** 2).to_numpy().sum() / 12
    found = here.Blocks.of(wide)
    assert found.sd == pytest.approx(error**0.5) and found.df == 12
    assert found.differences("a")["c"].half == pytest.approx(2.1788 * (error * 2 / 5) ** 0.5, rel=1e-4)
    assert here.Blocks.of(wide * 0).p == 1
    two = here.Blocks.of(wide.loc[["a", "b"]])  # of two conditions it is the paired test
    paired = interval(wide.loc["b"] - wide.loc["a"])
    assert (two.differences("a")["b"].low, two.differences("a")["b"].high) == pytest.approx((paired.low, paired.high))


def test_what_was_selected_is_counted_from_the_records(recorded):
    found = here.composition(recorded.records).set_index("key")
    for key, rows in recorded.frame.groupby("key"):
        first, last = rows[rows["round"] == 0].iloc[0], rows[rows["round"] == 2].iloc[0]
        clean, n = last["n_clean"] - first["n_clean"], last["n_trained"] - first["n_trained"]
        assert found.loc[key, "noise"] == pytest.approx(1 - clean / n)
    assert [len(marks(ax, "x")) for ax in here.figure_selected(recorded).axes] == [4, 4]


def test_the_map_names_the_groups_that_would_be_selected(recorded):
    found = symbolic_pool.task_map(recorded.records)
    assert len(found) == 2 * 22 and set(found["group"]) <= {"ambiguous", "difficult", "easy", ""}
    for record in recorded.records[2:]:
        of_seed = found[found["seed"] == record.spec.seed]
        assert of_seed[of_seed["group"] == "ambiguous"]["task"].tolist() == record.result["selected"][1]
        assert of_seed["uncertainty"].tolist() == record.result["map"]["uncertainty"]
    assert symbolic_pool.task_map(recorded.records[:2]).empty  # random selection measures nothing
    medians = symbolic_pool.frame(recorded).groupby("seed")["median_u"].first()
    assert medians.to_dict() == found.groupby("seed")["uncertainty"].median().to_dict()


def test_settings_are_those_of_the_runs(recorded):
    text = symbolic_pool.settings(recorded)
    assert "| initial tasks | 68 | 8 |" in text and "| rounds, tasks of each | 4, 68 | 2, 6 |" in text
    assert "| seeds (paper: splits) | 5 | 2 |" in text
