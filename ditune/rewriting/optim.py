"""AdamW and Muon on the flat parameters (M, P) of a pack, written so that a CUDA graph can capture a step.

Learning rate and step are tensors, never Python numbers, and the norm that is clipped is each model's own. On one model
the update equals `torch.optim.AdamW` with `clip_grad_norm_`, and Muon that of Jordan et al. 2024 (tested).
"""

import torch

from .model import MATRICES, sizes
from .specs import TrainSpec

BETA_1, BETA_2, EPS = 0.9, 0.999, 1e-8  # AdamW's defaults (Loshchilov & Hutter 2019)
NEWTON_SCHULZ = ((3.4445, -4.7750, 2.0315),) * 5  # quintic iteration, Jordan et al. 2024
UPDATE_RMS = 0.2  # a Muon update is scaled to AdamW's usual root mean square (Liu et al. 2025, arXiv 2502.16982)


def orthogonalise(g: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The nearest (semi-)orthogonal matrices, roughly: g (..., in, out), fp32, in one batch, multiplied in `dtype`."""
    wide = g.shape[-2] <= g.shape[-1]
    x = (g if wide else g.mT).flatten(0, -3)
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(dtype)
    for a, b, c in NEWTON_SCHULZ:  # a x + (b gram + c gram^2) x
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).reshape(g.shape).to(g.dtype)


class Optimizer:
    """State and update of M models: moments (M, P), all in place. `lr_scale`: the schedule's factor, a tensor ()."""

    def __init__(self, spec: TrainSpec, shapes: dict[str, tuple[int, ...]], flat: torch.Tensor):
        self.spec, self.shapes = spec, shapes
        self.n_muon = sum(sizes({n: shapes[n] for n in MATRICES})) if spec.optimizer == "muon" else 0
        self.first, self.second = torch.zeros_like(flat), torch.zeros_like(flat)
        self.step = torch.zeros((), device=flat.device)
        self.lr_scale = torch.ones((), device=flat.device)
        self.fused = flat.is_cuda  # one pass over the moments instead of twelve; on a CPU they fit into its cache
        self.product = torch.bfloat16 if spec.bf16 and flat.is_cuda else torch.float32  # as Jordan et al. multiply

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds; the learning rate follows from the step."""
        return {"first": self.first, "second": self.second, "step": self.step}

    @torch.no_grad()
    def update(self, flat: torch.Tensor, grad: torch.Tensor) -> None:
        """One step of all M models."""
        norm = grad.norm(dim=1, keepdim=True)
        grad = grad * (self.spec.clip / (norm + 1e-6)).clamp(max=1.0)
        self.step += 1
        cut = flat.shape[1] - self.n_muon
        self.adamw(*(t[:, :cut] for t in (flat, grad, self.first, self.second)))
        if self.n_muon:
            self.muon(*(t[:, cut:] for t in (flat, grad, self.first)))

    def adamw(self, flat, grad, first, second):
        """One AdamW step on columns (M, Q) of each tensor, in place (Loshchilov & Hutter 2019, algorithm 2)."""
        lr = self.spec.lr * self.lr_scale
        if self.fused:
            rows = [list(t) for t in (flat, grad, first, second)]
            betas = {"beta1": BETA_1, "beta2": BETA_2, "eps": EPS, "weight_decay": self.spec.weight_decay}
            torch._fused_adamw_(*rows, [], [self.step] * len(flat), lr=lr, **betas, amsgrad=False, maximize=False)
            return
        first.lerp_(grad, 1 - BETA_1)
        second.mul_(BETA_2).addcmul_(grad, grad, value=1 - BETA_2)
        denominator = (second / (1 - BETA_2**self.step)).sqrt_().add_(EPS)
        flat.mul_(1 - lr * self.spec.weight_decay)
        flat.sub_(lr / (1 - BETA_1**self.step) * first / denominator)

    def muon(self, flat, grad, momentum):
        """One Muon step on the matrices' columns (M, Q) of each tensor, in place (Jordan et al. 2024)."""
        lr = self.spec.muon_lr * self.lr_scale
        momentum.mul_(self.spec.muon_momentum).add_(grad)
        ahead = torch.add(grad, momentum, alpha=self.spec.muon_momentum)  # Nesterov
        updates, widths = [], [sizes({n: self.shapes[n]})[0] for n in MATRICES]
        for name, part in zip(MATRICES, ahead.split(widths, dim=1)):
            matrices = part.unflatten(1, self.shapes[name])  # (M, L, in, out)
            scale = UPDATE_RMS * max(matrices.shape[-2:]) ** 0.5
            updates.append(orthogonalise(matrices, self.product).flatten(1) * scale)
        flat.mul_(1 - lr * self.spec.weight_decay)
        flat.sub_(lr * torch.cat(updates, dim=1))


def schedule(spec: TrainSpec, step: int) -> float:
    """Factor of the learning rate at a step 0 .. n_steps - 1: linear warm-up, then linear to 0.

    >>> [schedule(TrainSpec(n_steps=10, warmup_share=0.2), s) for s in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.125]
    """
    warmup = round(spec.warmup_share * spec.n_steps)
    return min((step + 1) / warmup, 1.0) if step < warmup else (spec.n_steps - step) / max(1, spec.n_steps - warmup)
