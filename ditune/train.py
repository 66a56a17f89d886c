"""The training loop: M runs of equal shape as one program, on the CPU (M = 1) or captured in a CUDA graph.

A pack's runs may differ in task, seed and evaluation sets; they share the shapes of model and data and the training
settings. A member of a pack ends where its solo run ends. A killed run resumes from its checkpoint and ends in the same
record bit for bit (CPU), because data, order and schedule are functions of the step.

Shapes: M models, P parameters of a model, B batch, T positions, A answer positions.
"""

import gc
import math
import os
import platform
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from .evaluate import answer_targets, eval_task, evaluate
from .model import forward, initial, layout, sizes, unflatten
from .optim import Optimizer, schedule
from .specs import RunSpec
from .tasks import Alphabet, batch_numbers, prompt_length, row_length, stream, training_examples

CHUNK = 32  # steps whose data are generated at once: the generator's fixed cost is then under 2 % of a step
CURVE_EXAMPLES = 512  # examples of each evaluation set at a point of the learning curve


def run_shape(run: RunSpec) -> tuple:
    """What the runs of a pack must share."""
    lengths = [row_length(t) for t in (run.task, *(eval_task(run, e) for e in run.evals))]
    prompts = [prompt_length(t) for t in (run.task, *(eval_task(run, e) for e in run.evals))]
    return run.model, run.train, run.task.alphabet_size, tuple(lengths), tuple(prompts), tuple(e.n_examples for e in run.evals)


class Pack:
    """M runs on a device: parameters (M, P), optimiser, and the step that advances all of them."""

    def __init__(self, runs: list[RunSpec], device: str):
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
        self.step, self.curve = 0, []
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
        with torch.autocast("cuda", torch.bfloat16, enabled=self.train.bf16):
            logits = forward(self.model, unflatten(self.flat, self.shapes), tokens[:, :, :-1].long(), self.start - 1)
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
        """Checkpoint: safetensors under a temporary name, then renamed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        metadata = {"step": str(self.step), "curve": repr(self.curve)}
        save_file({k: v.contiguous() for k, v in self.state().items()}, temporary, metadata)
        os.replace(temporary, path)
