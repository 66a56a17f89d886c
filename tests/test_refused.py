"""What is impossible is refused in one line that names the field and what is allowed, before anything is computed."""

import pytest

from ditune.active.specs import PoolSpec, SelectSpec
from ditune.active.uncertainty import UncertaintySpec
from ditune.language.pretrained import TuneSpec
from ditune.language.specs import EncryptedSpec, InstructionsSpec, InstructSpec, LanguageSpec, RoundsSpec, TextEval
from ditune.rewriting.specs import AlgorithmSpec, EvalSpec, ModelSpec, ProbeSpec, RunSpec, TaskSpec, TrainSpec
from ditune.sandbox.programs import Limits
from ditune.specs import SpecError

TASK = TaskSpec(n_rules=20, n_examples=200, alphabet_size=8, x_len=2, y_len=2, z_len=5)
RUN = RunSpec.of(task=TASK, model={"n_layer": 1, "n_head": 2, "n_embd": 16}, evals=[{"n_examples": 40}])
TUNE = TuneSpec(rank=2, alpha=4, n_steps=3, batch_size=4, lr=1e-3, warmup_share=0.1, max_tokens=200)
POOL = PoolSpec(n_tasks=30, n_instances=4, n_test=8, n_test_instances=3, alphabet_size=12, side_len=3, z_len=5)
SELECT = SelectSpec.of(pool=POOL, n_initial=8, n_rounds=2, n_select=8)
ROUNDS = RoundsSpec.of(pool=["made_tasks"], test=["made_tasks"], n_test_instances=2, n_written=1, n_candidates=5, n_rounds=2, n_select=2)
MIXTURE = LanguageSpec(model="tiny", sets=("made_general", "made_reasoning"), shares=(0.75, 0.25), total=12, tune=TUNE, evals=(TextEval("humaneval", 3),))
ENCRYPTED = EncryptedSpec.of(base=RUN, task=TASK, tune=TUNE, evals=RUN.evals)
NO_OPS = {"name": "no_ops", "n_examples": 50, "task": TASK.replace(no_op_share=1.0)}
ALGORITHMS = AlgorithmSpec.of(task=TASK, evals=[{"n_examples": 50}, NO_OPS], algorithm_rules=[2, 3], algorithm_steps=[1, 2, 3, 4], n_algorithms=4)
PROBE = ProbeSpec.of(task=TASK, n_probe=60)
REFUSED = {
    TaskSpec(): [
        ({"n_examples": 10**13}, "at most 2^31"),
        ({"n_rules": 10**9}, "TaskSpec.n_rules = 1000000000; allowed: up to 1000000, the number of examples"),
        ({"n_rules": True}, "n_rules = True has the wrong type; allowed: int"),
        ({"tail_alpha": float("inf")}, "tail_alpha = inf"),
        ({"k": 2}, "k = (2, 2); allowed: 1, where all words are uniform"),
        ({"families": ["mirrored", "mirrored"]}, "each once"),
    ],
    ModelSpec(): [({"n_embd": 10**12}, "at most 16384")],
    TrainSpec(): [
        ({"n_steps": 10**20}, "n_steps = 100000000000000000000; allowed: 1 to 100000000"),
        ({"batch_size": 10**12}, "batch_size"),
        ({"n_evals": 10**9}, "n_evals"),
        ({"lr": float("inf")}, "lr = inf; allowed: a finite number"),
        ({"muon_lr": float("nan")}, "muon_lr = nan; allowed: a finite number"),
        ({"clip": 10**400}, "allowed: a finite number"),
    ],
    EvalSpec(): [({"n_examples": 10**21}, "1 to 10000000")],
    RUN: [
        ({"seed": -1}, "seed = -1"),
        ({"seed": 1 << 63}, "below 2^63"),
        ({"task": {1: 2}}, "unknown TaskSpec field '1'"),
    ],
    POOL: [
        ({"shares": (0.5, 0.5, 0.5, 0.0)}, "PoolSpec.shares = (0.5, 0.5, 0.5, 0.0); allowed: 4 numbers"),
        ({"noisy_share": 0.7, "contradictory_share": 0.5}, "PoolSpec.contradictory_share = 0.5; allowed"),
        ({"side_len": 1}, "PoolSpec.side_len = 1; allowed: 3"),
        ({"z_len": 2}, "PoolSpec.z_len = 2; allowed: at least 3"),
        ({"alphabet_size": 7}, "PoolSpec.alphabet_size = 7; allowed: 8 to 200"),
        ({"alphabet_size": 8, "n_tasks": 5000}, "PoolSpec.n_tasks = 5000; allowed: fewer"),
        ({"n_tasks": 10**6, "n_instances": 1000, "alphabet_size": 200}, "PoolSpec.n_tasks = 1000000; allowed: fewer"),
    ],
    SELECT: [
        ({"strategy": "unceratinty"}, "unknown SelectSpec strategy 'unceratinty'; did you mean 'uncertainty'"),
        ({"n_rounds": 4}, "SelectSpec.n_rounds = 4; allowed: 1 to 3"),
        ({"n_initial": 30}, "SelectSpec.n_initial = 30; allowed: 1 to 29"),
        ({"k": 0}, "SelectSpec.k = 0; allowed: 1 to 1000"),
        ({"drop_rate": 1.5}, "SelectSpec.drop_rate = 1.5; allowed: 0 to 1"),
    ],
    UncertaintySpec(): [
        ({"n": 0}, "n = 0; allowed: 1 or more"),
        ({"k": 0}, "k = 0; allowed: 1 or more"),
        ({"drop_rate": 1.2}, "drop_rate = 1.2; allowed: 0 to 1"),
        ({"parts": ()}, "parts"),
        ({"parts": ("example",)}, "did you mean 'examples'"),
        ({"answer": "golden"}, "did you mean 'gold'"),
        ({"drop": 0.1}, "unknown UncertaintySpec field 'drop'; did you mean 'drop_rate'"),
    ],
    ROUNDS: [
        ({"strategy": "balanced"}, "unknown RoundsSpec strategy 'balanced'"),
        ({"pool": ["made_task"]}, "unknown pool 'made_task'; did you mean 'made_tasks'"),
        ({"pool": ["bbh"]}, "RoundsSpec.pool = ('bbh',); allowed: no pool that is for evaluation only"),
        ({"n_rounds": 4}, "RoundsSpec.n_rounds = 4; allowed: 1 to 3"),
        ({"n_select": 6}, "RoundsSpec.n_select = 6; allowed: 1 to n_candidates, 5"),
        ({"n_written": 3}, "RoundsSpec.n_written = 3; allowed: 1 to n_test_instances"),
        ({"share": 2.0}, "RoundsSpec.share = 2.0; allowed: 0 to 1"),
    ],
    InstructSpec.of(n_candidates=9, budgets=[2, 4]): [({"budgets": [4, 2]}, "budgets = (4, 2); allowed: ascending numbers from 1 to 9")],
    InstructionsSpec(): [
        ({"pool": pool}, f"InstructionsSpec.pool = '{pool}'; allowed: a set to select from; this one is for tests only")
        for pool in ("human", "self_instruct_seed")
    ],
    MIXTURE: [
        ({"model": "smolm2"}, "unknown model 'smolm2'; did you mean 'smollm2'?"),
        ({"sets": ("made_generl", "stdlib")}, "unknown set 'made_generl'; did you mean 'made_general'?"),
        ({"sets": ("stdlib", "stdlib")}, "LanguageSpec.sets = ('stdlib', 'stdlib'); allowed: different sets"),
        ({"shares": (1.0,)}, "LanguageSpec.shares = (1.0,); allowed: a share for each of 2 sets"),
        ({"shares": (0.5, 0.4)}, "shares = {'made_general': 0.5, 'made_reasoning': 0.4}; allowed: numbers from 0 to 1 that add up to 1"),
        ({"shares": (0.99, 0.01)}, "LanguageSpec.shares = (0.99, 0.01); allowed: shares of at least one of 12 examples"),
        ({"sets": (), "shares": ()}, "LanguageSpec.total = 12; allowed: 0 where there are no sets"),
        ({"evals": (TextEval(), TextEval())}, "LanguageSpec.evals = "),
        ({"n_generate": 4}, "LanguageSpec.n_generate = 4; allowed: 0 to the problems of each benchmark"),
        ({"total": -1}, "LanguageSpec.total = -1; allowed: 0 or more"),
        ({"dtype": "float16"}, "unknown LanguageSpec dtype 'float16'"),
        ({"totl": 3}, "unknown LanguageSpec field 'totl'; did you mean 'total'?"),
    ],
    TUNE: [
        ({"rank": 0}, "TuneSpec.rank = 0; allowed: 1 to 16384"),
        ({"lr": 0.0}, "TuneSpec.lr = 0.0; allowed: a number > 0"),
        ({"warmup_share": 1.0}, "TuneSpec.warmup_share = 1.0; allowed: 0 to 1"),
        ({"alpha": -1}, "TuneSpec.alpha = -1; allowed: 1 or more"),
        ({"ranks": 8}, "unknown TuneSpec field 'ranks'; did you mean 'rank'"),
    ],
    ENCRYPTED: [
        ({"base": RUN.replace(seed=1)}, "allowed: a run of the same seed, 0, so that unseen rules are unseen in pretraining, too"),
        ({"base": RUN.replace(task=TASK.replace(z_len=6))}, "allowed: a run whose task differs from the one tuned on in n_rules, n_examples, no_op_share, tail_alpha alone"),
        ({"base": RUN.replace(model=RUN.model.replace(position="rotary"))}, "allowed: a model with learned positions"),
        ({"base": {"task": {"n_rule": 3}}}, "unknown TaskSpec field 'n_rule'; did you mean 'n_rules'"),
        ({"base": 3}, "EncryptedSpec.base = 3 has the wrong type"),
        ({"base": "smolm2"}, "unknown model 'smolm2'; did you mean 'smollm2'"),
    ],
    ALGORITHMS: [
        ({"algorithm_rules": []}, "AlgorithmSpec.algorithm_rules = "),
        ({"algorithm_steps": [4, 5]}, "AlgorithmSpec.algorithm_steps = "),
        ({"n_algorithms": 0}, "AlgorithmSpec.n_algorithms = "),
        ({"task": TASK.replace(z_len=(4, 5))}, "AlgorithmSpec.task = "),
        ({"task": TASK.replace(rules_in_prompt=2)}, "AlgorithmSpec.algorithm_rules = "),
        ({"task": TASK.replace(alphabet_size=26, x_len=5, y_len=5, z_len=8), "evals": [{}]}, "AlgorithmSpec.task = "),
        ({"evals": [{}]}, "AlgorithmSpec.evals = "),
    ],
    PROBE: [
        ({"task": TASK.replace(**change)}, "ProbeSpec.task")
        for change in ({"no_op_share": 0.1}, {"occurrences": [1, 2]}, {"z_len": [6, 8]}, {"n_rules": 1})
    ],
    Limits(): [({name: 0}, f"Limits.{name} = 0") for name in ("wall_seconds", "memory_mb", "processes")],
}


@pytest.mark.parametrize("spec, changes, message", [(spec, *row) for spec, rows in REFUSED.items() for row in rows])
def test_what_is_impossible_is_refused_in_one_line(spec, changes, message):
    with pytest.raises(SpecError) as error:
        type(spec).of(**{name: getattr(spec, name) for name in spec.__dataclass_fields__} | changes)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert " = " not in message or "; allowed: " in str(error.value)
