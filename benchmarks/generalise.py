"""Seconds until a model follows rules that it has never seen: the recipe of the study against Trainer.

Same tasks, data, models and initial weights, by seed, one core. Trainer has the paper's settings: AdamW at 1e-3, a linear schedule
over 50 passes of the data. The clock stands still while the accuracy on unseen rules is looked at. Trainer is stopped at
`PATIENCE` times our median; where that is so for half of the seeds, the ratio is a lower bound.
"""

import statistics

import torch

from ditune.rewriting.evaluate import evaluate
from ditune.rewriting.model import from_transformers, unflatten
from ditune.rewriting.optim import schedule
from ditune.rewriting.specs import RunSpec
from ditune.rewriting.tasks import training_examples
from ditune.rewriting.train import Pack

from . import limit, sizes
from .peers import Rows, gpt2, train_with_trainer
from .timing import apart, bound, matmul_rate, now, row

THRESHOLD, PATIENCE, EPOCHS = 0.8, 8.0, 50
EVERY = 16  # steps from one look at the accuracy to the next
N_TEST = 1000


class Watch:
    """Training seconds so far, the accuracy on unseen rules at intervals, and whether to stop."""

    def __init__(self, run: RunSpec, threshold: float, limit_s: float, n_test: int):
        self.run, self.threshold, self.limit_s, self.n_test = run, threshold, limit_s, n_test
        self.spent, self.curve, self.since = 0.0, [], 0.0

    def __call__(self, step: int, weights) -> bool:
        """After a step; `weights()` gives the model's. True ends the training. The first step, a warm-up, is not counted."""
        if step == 1:
            self.since = now()
        if step % EVERY:
            return False
        self.spent += now() - self.since
        accuracy = evaluate([self.run], weights(), 0, self.n_test, copies=False)[0]["exact_match"]
        self.curve.append([step, self.spent, accuracy])
        self.since = now()
        return accuracy > self.threshold or self.spent > self.limit_s

    @property
    def passed(self) -> bool:
        """Whether the accuracy reached the threshold."""
        return bool(self.curve) and self.curve[-1][2] > self.threshold


def ours(run: RunSpec, threshold: float = THRESHOLD, limit_s: float = float("inf"), n_test: int = N_TEST) -> Watch:
    """Train the run until its accuracy on unseen rules passes the threshold, or to its end."""
    pack, watch = Pack([run], "cpu"), Watch(run, threshold, limit_s, n_test)
    while pack.step < run.train.n_steps:
        for batch in pack.data(pack.step, min(EVERY, run.train.n_steps - pack.step)).unbind(1):
            pack.optimizer.lr_scale.fill_(schedule(run.train, pack.step))
            pack.advance(batch)
            pack.step += 1
            if watch(pack.step, pack.weights):
                return watch
    return watch


def trainer(run: RunSpec, limit_s: float, threshold: float = THRESHOLD, n_test: int = N_TEST) -> Watch:
    """The same with Trainer and the paper's settings, all training examples in memory."""
    steps = EPOCHS * run.task.n_examples // run.train.batch_size
    train = run.train.replace(optimizer="adamw", lr=1e-3, n_steps=max(steps, EVERY))
    pack = Pack([run], "cpu")
    model = gpt2(pack)
    data = Rows(training_examples(run.task, run.seed, torch.arange(run.task.n_examples)).tokens, pack.start)

    def weights():
        _, shapes, flat = from_transformers(model)
        return unflatten(flat[None], shapes)

    watch = Watch(run, threshold, limit_s, n_test)
    train_with_trainer(model, data, train, lambda step: watch(step, weights))
    return watch


PEER = "Trainer, AdamW 1e-3, linear schedule"


def compare(run: RunSpec, seeds: int, threshold: float = THRESHOLD, n_test: int = N_TEST) -> list[dict]:
    """One row, the seconds of both by seed, and where its ratio comes from."""
    runs = [run.replace(seed=s) for s in range(seeds)]
    mine = [ours(r, threshold, n_test=n_test) for r in runs]
    if not all(w.passed for w in mine):
        raise RuntimeError(f"ours ended at {[w.curve[-1] for w in mine]} ([step, seconds, accuracy]) without passing {threshold}")
    times = [w.spent for w in mine]
    with apart() as call:
        theirs = [call(trainer, r, PATIENCE * statistics.median(times), threshold, n_test) for r in runs]
    stopped = sum(not w.passed for w in theirs)
    what = f"seconds to {threshold} on unseen rules, {run.task.n_rules:,} rules, {run.model.n_layer} x {run.model.n_embd}"
    note = f"{found(mine, 'ours')}; {found(theirs, 'Trainer')}{f', stopped in {stopped} of {seeds} runs' * bool(stopped)}"
    made = row(what, "s", times, [w.spent for w in theirs], PEER, 6.0, note)
    curves = {"ours_curves": [w.curve for w in mine], "peer_curves": [w.curve for w in theirs]}
    return [made | {"at_least": 2 * stopped >= seeds} | curves, *bounds(what, run, mine, made["peer"])]


def steps_of(watches: list[Watch]) -> float:
    """Steps to the end, the median of the runs."""
    return statistics.median(w.curve[-1][0] for w in watches)


def found(watches: list[Watch], name: str) -> str:
    """Steps of the runs, and the milliseconds of one."""
    each = statistics.median(w.spent / w.curve[-1][0] for w in watches)
    return f"{name}: {' and '.join(str(w.curve[-1][0]) for w in watches)} steps of {1000 * each:.3g} ms"


def bounds(what: str, run: RunSpec, mine: list[Watch], peer_s: float) -> list[dict]:
    """The ratio with as many steps as ours took, if each were nothing but its matrix products, Muon's among them."""
    pack = Pack([run], "cpu")
    tokens = pack.data(0, 1)[:, 0]
    products = limit.counted(lambda: pack.eager_step(tokens))
    inputs = run.train.batch_size * tokens.shape[2]
    rates = {"the rate measured for the model's sizes": limit.shapes(run.model, inputs), "the machine's best rate": limit.large()}
    return [
        bound(what, PEER, f"each of our steps were nothing but its matrix products ({products / 1e9:.3g} GFLOP) at {name}", peer_s / (steps_of(mine) * products / statistics.median(matmul_rate(sizes_of))))
        for name, sizes_of in rates.items()
    ]


def measure(quick: bool = False) -> list[dict]:
    """The study's recipe with 10,000 rules; quick: a tiny model and a threshold that any model passes."""
    return compare(sizes.tiny(), 1, threshold=-1.0, n_test=64) if quick else compare(sizes.of_profile("study"), 3)
