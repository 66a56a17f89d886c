"""The training loop: M runs of equal shape as one program, on the CPU (M = 1) or captured in a CUDA graph.

A pack's runs may differ in task, seed and evaluation sets; they share the shapes of model and data and the training
settings. A member of a pack ends where its solo run ends, to within rounding. A killed run resumes from its checkpoint
and ends in the same record bit for bit (CPU), because data, order and schedule are functions of the step.

Shapes: M models, P parameters of a model, B batch, T positions.
"""

import gc
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from ..store import provenance
from ..store.files import load_checkpoint, save_checkpoint
from ..store.threads import keep_freed_memory
from .evaluate import answer_targets, eval_task, evaluate
from .hashing import stream
from .model import FACTORS, compiled_layer, forward, initial, layer, layout, unflatten
from .optim import Optimizer, schedule
from .specs import RunSpec
from .tasks import Alphabet, batch_numbers, prompt_length, row_length, training_examples

CHUNK = 32  # steps whose data are generated at once: the generator's fixed cost is then under 2 % of a step
CHUNK_ROWS = (
    1 << 15
)  # on a GPU so many rows, if these are more steps, as the cost of a chunk there is that of its launches
CURVE_EXAMPLES = 256  # examples of each evaluation set at a point of the learning curve
SAVE_EVERY_S = 20  # seconds between checkpoints, and
SAVE_SHARE = 0.02  # no more than this share of the time goes into writing them
COMPILE_FROM = (
    5e15  # operations of a training: half a minute of a large GPU, which is about what compiling saves and costs
)


def run_shape(run: RunSpec) -> tuple:
    """What the runs of a pack must share."""
    lengths = [row_length(t) for t in (run.task, *(eval_task(run, e) for e in run.evals))]
    prompts = [prompt_length(t) for t in (run.task, *(eval_task(run, e) for e in run.evals))]
    return (
        run.model,
        run.train,
        run.task.alphabet_size,
        tuple(lengths),
        tuple(prompts),
        tuple(e.n_examples for e in run.evals),
    )


class Pack:
    """M runs on a device: parameters (M, P), optimiser, and the step that advances all of them."""

    def __init__(self, runs: list[RunSpec], device: str, compiled: bool | None = None):
        """`compiled`: whether a layer is compiled first; None: on a GPU where the training is long enough."""
        if len({run_shape(r) for r in runs}) != 1:
            raise ValueError("the runs of a pack must have equal shapes and training settings")
        self.runs, self.device = runs, device
        self.model, self.train = runs[0].model, runs[0].train
        signs = Alphabet(runs[0].task.alphabet_size)
        self.pad = signs.pad
        positions = max(run_shape(runs[0])[3]) - 1  # the last token is only ever predicted
        self.shapes = layout(self.model, signs.n_tokens, positions)
        seeds = [stream(r.seed, "initialisation")[0] & 0x7FFFFFFF for r in runs]
        flat = torch.cat([initial(self.model, self.shapes, s) for s in seeds])
        self.flat = flat.to(device).requires_grad_(True)
        self.optimizer = Optimizer(self.train, self.shapes, self.flat)
        self.start = prompt_length(runs[0].task)
        self.step, self.curve, self.train_s, self.sets = 0, [], 0.0, []
        self.chunk = CHUNK if device == "cpu" else max(CHUNK, CHUNK_ROWS // self.train.batch_size)
        if compiled is None:
            tokens = self.train.n_steps * self.train.batch_size * positions
            compiled = device == "cuda" and 6 * self.flat.numel() * tokens > COMPILE_FROM
        self.layer = compiled_layer() if compiled else layer
        self.advance = captured(self) if device == "cuda" else self.eager_step

    def weights(self) -> dict[str, torch.Tensor]:
        return unflatten(self.flat.detach(), self.shapes)

    def data(self, first_step: int, n_steps: int) -> torch.Tensor:
        """The tokens of the next n_steps batches: (M, n_steps, B, T) uint8."""
        B = self.train.batch_size
        rows = []
        for run in self.runs:
            number = batch_numbers(run.task, run.seed, first_step * B, n_steps * B, self.device)
            rows.append(training_examples(run.task, run.seed, number).tokens.unflatten(0, (n_steps, B)))
        return torch.stack(rows)

    def losses(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the answer's tokens, one a model (M,)."""
        w = unflatten(self.flat, self.shapes)
        if (
            self.train.bf16 and self.device == "cuda"
        ):  # in one piece; autocast would round weight by weight, there and back
            rounded = unflatten(self.flat.bfloat16(), self.shapes)
            w |= {name: rounded[name] for name in FACTORS}
        with torch.autocast("cuda", torch.bfloat16, enabled=self.train.bf16):
            logits = forward(self.model, w, tokens[:, :, :-1].long(), self.start - 1, self.layer)
        targets = answer_targets(tokens, self.start, self.pad).long()
        nll = F.cross_entropy(logits.float().flatten(0, 2), targets.flatten(), ignore_index=self.pad, reduction="none")
        return nll.view(len(tokens), -1).sum(1) / (targets != self.pad).flatten(1).sum(1)

    def eager_step(self, tokens: torch.Tensor) -> torch.Tensor:
        """One optimiser step on tokens (M, B, T); the losses before it, (M,)."""
        losses = self.losses(tokens)
        (grad,) = torch.autograd.grad(losses.sum(), self.flat)  # a sum, so that no member scales another's gradient
        self.optimizer.update(self.flat, grad)
        return losses.detach()

    def state(self) -> dict[str, torch.Tensor]:
        return {"flat": self.flat.detach(), **self.optimizer.state()}

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        progress = {name: getattr(self, name) for name in ("step", "curve", "train_s", "sets")}
        save_checkpoint(path, progress, self.state())

    def load(self, path: Path) -> None:
        """Continue from a checkpoint, if there is one."""
        progress, tensors = load_checkpoint(path) or ({}, {})
        for name, value in tensors.items():
            self.state()[name].copy_(value)
        vars(self).update(progress)

    def now(self) -> float:
        """Seconds on the clock once the device has done all it was asked for."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def run(self, checkpoint: Path, progress) -> None:
        """Train to the end, calling progress(step, n_steps) on the way; what it raises ends the run with a
        checkpoint."""
        n_steps, next_save = self.train.n_steps, time.monotonic() + SAVE_EVERY_S
        points = {round((i + 1) * n_steps / self.train.n_evals) for i in range(self.train.n_evals)}
        while self.step < n_steps:
            started = self.now()
            tokens = self.data(self.step, min(self.chunk - self.step % self.chunk, n_steps - self.step))
            for i in range(tokens.shape[1]):
                self.optimizer.lr_scale.fill_(schedule(self.train, self.step))
                losses = self.advance(tokens[:, i])
                self.step += 1
                if self.step in points:
                    self.train_s += self.now() - started
                    self.curve.append(self.curve_point(losses))
                    started = self.now()
            self.train_s += self.now() - started
            if time.monotonic() > next_save or self.step == n_steps:
                began = time.monotonic()
                self.save(checkpoint)
                next_save = time.monotonic() + max(SAVE_EVERY_S, (time.monotonic() - began) / SAVE_SHARE)
            try:
                progress(self.step, n_steps)
            except BaseException:
                self.save(checkpoint)
                raise

    def curve_point(self, losses: torch.Tensor) -> list[dict]:
        """Step, training loss and exact match of each evaluation set, one dict a run."""
        sets = [self.evaluate_set(i, CURVE_EXAMPLES, copies=False) for i in range(len(self.runs[0].evals))]
        return [
            {"step": self.step, "loss": losses[m].item()}
            | {e.name: found[m]["exact_match"] for e, found in zip(run.evals, sets)}
            for m, run in enumerate(self.runs)
        ]

    def evaluate_set(self, index: int, most: int | None = None, copies: bool = True) -> list[dict]:
        """Results of the index-th evaluation set (its first `most` examples), one a run."""
        n = self.runs[0].evals[index].n_examples
        return evaluate(self.runs, self.weights(), index, min(most or n, n), copies)

    def evaluate(self, checkpoint: Path | None = None) -> list[dict[str, dict]]:
        """Results of every evaluation set, one dict {set: result} a run; those that the checkpoint holds are not
        computed again."""
        for index in range(len(self.sets), len(self.runs[0].evals)):
            self.sets.append(self.evaluate_set(index))
            if checkpoint:
                self.save(checkpoint)
        return [{e.name: found[m] for e, found in zip(run.evals, self.sets)} for m, run in enumerate(self.runs)]


def captured(pack: Pack):
    """The step of a pack as one CUDA graph: a replay costs one launch instead of hundreds.

    The graph reads tokens, learning rate and step from fixed tensors. Warm-up steps on a side stream set up the
    libraries' work space; the state they changed is put back.
    """
    tokens = pack.data(0, 1)[:, 0].clone()
    before = {name: value.clone() for name, value in pack.state().items()}
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            pack.eager_step(tokens)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = pack.eager_step(tokens)
    for name, value in pack.state().items():
        value.copy_(before[name])

    def replay(batch: torch.Tensor) -> torch.Tensor:
        tokens.copy_(batch)
        graph.replay()
        return losses

    return replay


def train_pack(
    runs: list[RunSpec], checkpoint: Path, progress=lambda step, n_steps: None, device: str | None = None
) -> list[dict]:
    """Train and evaluate runs of equal shape, resuming from the checkpoint file if it exists; one dict of plain data a
    run.

    metrics: {set: result of `evaluate.evaluate`}; curve: [{step, loss, set: exact match}]; n_parameters, n_models (of
    the pack), epochs, tokens (a run's, prompts included), wall_s (this call), train_s (steps alone, over all calls),
    tokens_per_s (the pack's, from train_s), device.
    """
    device = device or provenance.device()
    if device == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()
    started = time.perf_counter()
    pack = Pack(runs, device)
    pack.load(checkpoint)
    gc.freeze()  # the collector's pauses would reach half a second
    gc.disable()
    try:
        pack.run(checkpoint, progress)
        metrics = pack.evaluate(checkpoint)
    finally:
        gc.enable()
    examples = pack.train.n_steps * pack.train.batch_size
    tokens = examples * row_length(runs[0].task)
    shared = {
        "n_parameters": pack.flat.shape[1],
        "n_models": len(runs),
        "tokens": tokens,
        "wall_s": time.perf_counter() - started,
        "train_s": pack.train_s,
        "tokens_per_s": len(runs) * tokens / pack.train_s,
        "device": provenance.device_name(device),
    }
    return [
        {"metrics": metrics[m], "curve": [point[m] for point in pack.curve], "epochs": examples / run.task.n_examples}
        | shared
        for m, run in enumerate(runs)
    ]


def train_run(run: RunSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """`train_pack` of one run."""
    return train_pack([run], checkpoint, progress)[0]
