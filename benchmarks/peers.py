"""The programs that ours are compared with: Hugging Face's Trainer around GPT2LMHeadModel, and a loop like nanoGPT's."""

import tempfile

import torch
import torch.nn.functional as F
from torch import nn

from ditune.rewriting.model import to_transformers, unflatten
from ditune.rewriting.specs import TrainSpec
from ditune.rewriting.train import Pack

from .timing import now

IGNORED = -100  # the label that both peers leave out of the loss


# ---- the same start and the same data --------------------------------------------------------------------------------


def gpt2(pack: Pack):
    """The first model of a pack as a GPT2LMHeadModel with the same weights, and one more position.

    It shifts labels inside, so it is given whole rows and computes logits for the last token too, which are not used.
    """
    w = unflatten(pack.flat.detach()[:1].cpu(), pack.shapes)
    w["wpe"] = F.pad(w["wpe"], (0, 0, 0, 1))
    shapes = pack.shapes | {"wpe": tuple(w["wpe"].shape[1:])}
    flat = torch.cat([w[name].flatten() for name in shapes])
    return to_transformers(pack.model, shapes, flat).to(pack.device)


def with_labels(tokens: torch.Tensor, start: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (N, T) whose answers start at column `start`, as int64, and the labels: only the answer's tokens count."""
    rows = tokens.long()
    return rows, rows.masked_fill(torch.arange(rows.shape[1], device=rows.device) < start, IGNORED)


# ---- Hugging Face's Trainer ------------------------------------------------------------------------------------------


class Rows(torch.utils.data.Dataset):
    """Examples in memory, as Trainer takes them."""

    def __init__(self, tokens: torch.Tensor, start: int):
        self.rows, self.labels = with_labels(tokens, start)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {"input_ids": self.rows[i], "labels": self.labels[i]}


def train_with_trainer(model, data: Rows, train: TrainSpec, at_step, device: str = "cpu") -> None:
    """Trainer with AdamW, the linear schedule, clipping and nothing else that costs time.

    at_step(step) is called after each optimiser step; training ends where it returns true.
    """
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop |= bool(at_step(state.global_step))

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=train.n_steps, per_device_train_batch_size=train.batch_size, learning_rate=train.lr,
            lr_scheduler_type="linear", warmup_steps=round(train.warmup_share * train.n_steps), weight_decay=train.weight_decay,
            max_grad_norm=train.clip, bf16=train.bf16, use_cpu=device == "cpu", report_to="none", save_strategy="no",
            logging_strategy="no", disable_tqdm=True, dataloader_pin_memory=device != "cpu",
        )  # fmt: skip
        trainer = Trainer(model, arguments, train_dataset=data, callbacks=[Watch()])
        trainer.pop_callback(_printer())
        trainer.train()


def _printer():
    """The callback that prints a summary at the end where there is no progress bar."""
    from transformers import PrinterCallback

    return PrinterCallback


def trainer_seconds(model, data: Rows, train: TrainSpec, n_steps: int, device: str = "cpu") -> float:
    """Seconds a step of Trainer over n_steps, the start of the loop not counted."""
    stamps = []
    train_with_trainer(model, data, train.replace(n_steps=n_steps + 1), lambda step: stamps.append(now(device)), device)
    return (stamps[n_steps] - stamps[0]) / n_steps


# ---- a loop like nanoGPT's -------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A layer of GPT-2, as nanoGPT writes it."""

    def __init__(self, n_embd: int, n_head: int):
        super().__init__()
        self.n_head = n_head
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.c_attn, self.attn_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
        self.c_fc, self.mlp_proj = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.n_head, -1).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(C, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, C)
        x = x + self.attn_proj(y)
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class NanoGPT(nn.Module):
    """A plain GPT-2 with the weights of a GPT2LMHeadModel; forward gives the loss."""

    LAYER = {"ln_1": "ln_1", "ln_2": "ln_2", "c_attn": "attn.c_attn", "attn_proj": "attn.c_proj", "c_fc": "mlp.c_fc", "mlp_proj": "mlp.c_proj"}

    def __init__(self, like):
        super().__init__()
        c = like.config
        self.wte, self.wpe = nn.Embedding(c.vocab_size, c.n_embd), nn.Embedding(c.n_positions, c.n_embd)
        self.h = nn.ModuleList(Block(c.n_embd, c.n_head) for _ in range(c.n_layer))
        self.ln_f = nn.LayerNorm(c.n_embd)
        theirs = like.transformer.state_dict()
        for name, own in self.state_dict().items():
            parts = name.split(".")
            if parts[0] == "h":
                parts[2] = self.LAYER[parts[2]]
            value = theirs[".".join(parts)]
            transposed = parts[0] == "h" and parts[-1] == "weight" and not parts[2].startswith("ln")
            own.copy_(value.T if transposed else value)

    def forward(self, rows, labels):
        x = self.wte(rows[:, :-1]) + self.wpe.weight[: rows.shape[1] - 1]
        for block in self.h:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.T
        return F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)


class PlainLoop:
    """AdamW on batches that are ready in memory: the smallest loop that trains the same model."""

    def __init__(self, model: NanoGPT, train: TrainSpec):
        self.model, self.train = model, train
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=train.lr, weight_decay=train.weight_decay)

    def step(self, rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One optimiser step; the loss before it."""
        loss = self.model(rows, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.train.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()
