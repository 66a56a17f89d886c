"""08: the rules decide as they are written, runs are those that are compared, figures and tables show what is recorded."""

import pandas as pd
import pytest
from made_up import marks, svg

from ditune import notebooks, study
from ditune.chapters import running_algorithms as here
from ditune.report import ledger
from ditune.report.stats import FAILS, HOLDS, OPEN
from ditune.rewriting.specs import AlgorithmSpec
from ditune.store import records

PARAMETERS = notebooks.profile_parameters("smoke")["08_running_algorithms"]
CLAIMS = {claim.id: claim for claim in here.CLAIMS}
PLAIN, CAREFUL, SEVERAL = "plain", "careful", "several"
MODELS = {PLAIN: (0.0, 1), CAREFUL: (0.5, 1), SEVERAL: (0.5, 2)}


def outcomes(right: dict, predicted=None, seen=0.95, seeds: int = 6) -> pd.DataFrame:
    """What models make of algorithms of 2 rules, {(model, harness): share of runs that end right}, at 1 and at 2 steps."""
    rows = []
    for (model, harness), share in right.items():
        no_ops, several = MODELS[model]
        for seed in range(seeds):
            own = {"key": f"{model}-{seed}", "seed": seed, "model": model, "no_op_share": no_ops, "rules_in_prompt": several, "n_rules": 10}
            rows.append(own | {"eval": "seen", "exact_match": seen})
            for part, value in (("steps", share), ("predicted", share if predicted is None else predicted)):
                more = {"harness": harness, "rules": 2.0, "slice": part, "n": 10}
                rows += [own | more | {"value": t, "exact_match": value + 0.01 * (-1) ** seed} for t in "12"]
    return pd.DataFrame(rows)


def both(chosen, tried, listed=0.5, own=0.5, **more) -> pd.DataFrame:
    """The three models: the careful one with the rule chosen and rules tried, the one that reads several, and the plain one."""
    right = {(CAREFUL, "oracle"): chosen, (CAREFUL, "in_order"): tried, (SEVERAL, "prompted"): listed}
    return outcomes(right | {(PLAIN, "in_order"): own, (PLAIN, "oracle"): chosen}, **more)


@pytest.mark.parametrize(
    "id, frame, outcome",
    [
        ("R1", both(0.7, 0.1), HOLDS),
        ("R1", both(0.3, 0.1), FAILS),
        ("R1", both(0.5, 0.1), OPEN),
        ("R2", both(0.5, 0.1, predicted=0.47), HOLDS),
        ("R2", both(0.5, 0.1, predicted=0.3), FAILS),
        ("R2", both(0.5, 0.1, predicted=0.7), FAILS),
        ("R3", both(0.6, 0.1), HOLDS),
        ("R3", both(0.6, 0.5), FAILS),
        ("R3", both(0.6, 0.3), OPEN),
        ("R4", both(0.6, 0.5, own=0.1), HOLDS),
        ("R4", both(0.6, 0.5, own=0.5), FAILS),
        ("R4", both(0.6, 0.5, own=0.1, seen=0.8), OPEN),  # not learnt
        ("R5", both(0.6, 0.5, listed=0.5), HOLDS),
        ("R5", both(0.6, 0.5, listed=0.2), FAILS),
        ("R5", both(0.6, 0.5, listed=0.2, seen=0.8), OPEN),
    ],
)
def test_the_rules_decide_as_they_are_written(id, frame, outcome):
    assert CLAIMS[id].decide(frame).outcome == outcome


@pytest.mark.parametrize("id", CLAIMS)
def test_fewer_than_six_seeds_settle_nothing(id):
    for seeds in (1, 5):
        assert ledger.judge(CLAIMS[id], both(0.6, 0.1, own=0.6, seeds=seeds)).verdict == ledger.WORDS[OPEN]


# ---- figures and tables of made-up records ---------------------------------------------------------------------------


def made_up(spec) -> dict:
    """A result of the shape that the runners give; a share falls with the steps and differs by seed."""
    metrics = {e.name: {"exact_match": 0.5, "n": 10, "slices": {}} for e in spec.evals}
    if "lengths" in metrics:
        low, high = spec.evals[-1].task.z_len
        metrics["lengths"]["slices"] = {"z_len": {str(n): [0.8 if 5 <= n <= 6 else 0.1, 10] for n in range(low, high + 1)}}
    for harness in ("prompted",) if spec.task.rules_in_prompt > 1 else ("oracle", "in_order"):
        for n_rules in getattr(spec, "algorithm_rules", ()):
            steps = {str(t): [0.9 - 0.1 * t + 0.08 * spec.seed, 10] for t in (1, 2)}
            slices = {"steps": steps, "predicted": {t: [value - 0.04, n] for t, (value, n) in steps.items()}}
            slices |= {"answers": {"applies": [0.7, 30], "refuses": [0.4, 30]}, "ambiguous": {"no": [0.9, 30]}}
            slices |= {"broke": {"copied": [0.25, 8], "wrong letters": [0.75, 8]}}
            metrics[f"{harness}/{n_rules}"] = {"exact_match": 0.5, "n": 20, "slices": slices}
    return {"metrics": metrics, "curve": [], "device": "cpu", "wall_s": 1.0}


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path))
    specs = here.runs(**PARAMETERS)
    for spec in specs:
        records.save(records.make(spec, made_up(spec)))
    return study.Chapter("08_running_algorithms", here, PARAMETERS, specs)


def test_figures_and_tables_show_what_is_recorded(chapter):
    executed = [spec for spec in chapter.specs if isinstance(spec, AlgorithmSpec)]
    assert len(executed) == 3 * 2 and len({spec.task.replace_which for spec in chapter.specs}) == 2
    figure = here.figure_success(chapter)
    expected = sorted(0.9 - 0.1 * t + 0.08 * seed for t in (1, 2) for seed in (0, 1)) * 2  # two models with one rule in the prompt
    assert [marks(ax) for ax in figure.axes] == [pytest.approx(sorted(expected))] * 2
    assert svg(figure) == svg(here.figure_success(chapter))
    assert "| rules tried in order | 3 | 100 rules, no-ops | 0.79 [0.28, 1.30] | 0.75, 0.83 | 0.75 [0.24, 1.26] |" in here.table_runs(chapter)
    assert "| rotary positions, length | 6 | 0.80 [0.80, 0.80] |" in here.table_steps(chapter) and "0.79" in here.answer(chapter)
