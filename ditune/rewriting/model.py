"""The GPT-2 decoder as a pure function of one flat parameter tensor, for M models at once.

All weights of M models lie in a single tensor (M, P). That makes a packed grid one program: every matrix product is a
batched one over M, one clip or optimiser update serves all weights, a member's checkpoint is a row, and nothing of one
member (not even a NaN) can reach another. The matrices come last, so that Muon finds them in one piece.

Shapes: M models, B batch, T positions, C width, H heads, D width of a head, L layers, V tokens, P parameters of a
model.
Architecture: Radford et al. 2019 (GPT-2): pre-norm, learned positions, tanh GELU, tied head; rotary positions
(Su et al. 2021) replace the learned ones where the spec says so.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F

from .specs import ModelSpec

INIT_STD = 0.02  # GPT-2's; output projections are divided by sqrt(2 L)
MATRICES = ("qkv_w", "proj_w", "fc_w", "out_w")
FACTORS = (*MATRICES, "qkv_b", "proj_b", "fc_b", "out_b")
"""What is multiplied in bf16 where products are."""


def layout(spec: ModelSpec, n_tokens: int, n_positions: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each weight of one model, in the order of the flat tensor; layers are stacked."""
    L, C = spec.n_layer, spec.n_embd
    positions = {"wpe": (n_positions, C)} if spec.position == "learned" else {}
    vectors = {"ln_1_w": C, "ln_1_b": C, "qkv_b": 3 * C, "proj_b": C,
               "ln_2_w": C, "ln_2_b": C, "fc_b": 4 * C, "out_b": C}  # fmt: skip
    matrices = {"qkv_w": (C, 3 * C), "proj_w": (C, C), "fc_w": (C, 4 * C), "out_w": (4 * C, C)}
    return (
        {"wte": (n_tokens, C)}
        | positions
        | {name: (L, width) for name, width in vectors.items()}
        | {"ln_f_w": (C,), "ln_f_b": (C,)}
        | {name: (L, *matrices[name]) for name in MATRICES}
    )


def sizes(shapes: dict[str, tuple[int, ...]]) -> list[int]:
    """Number of parameters of each weight."""
    return [math.prod(shape) for shape in shapes.values()]


def unflatten(flat: torch.Tensor, shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Views (M, *shape) into the flat tensor (M, P); its gradient comes back in one piece."""
    parts = flat.split(sizes(shapes), dim=1)
    return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), parts)}


def initial(spec: ModelSpec, shapes: dict[str, tuple[int, ...]], seed: int) -> torch.Tensor:
    """GPT-2's initial weights of one model, (1, P) on the CPU: the same whatever the device and the pack."""
    random = torch.Generator().manual_seed(seed)
    parts = []
    for name, shape in shapes.items():
        if name in ("wte", "wpe", *MATRICES):
            std = INIT_STD / math.sqrt(2 * spec.n_layer) if name in ("proj_w", "out_w") else INIT_STD
            parts.append(torch.randn(shape, generator=random) * std)
        else:
            parts.append(torch.full(shape, 1.0 if name.endswith("_w") else 0.0))
    return torch.cat([p.flatten() for p in parts])[None]


def linear(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """x (M, N, in) times w (M, in, out) plus b (M, out)."""
    if len(x) == 1:  # one model: the plain product is faster than a batch of one
        return torch.addmm(b.squeeze(0), x.squeeze(0), w.squeeze(0))[None]
    return torch.baddbmm(b[:, None], x, w)


def layer_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Layer norm of x (M, N, C) with each model's own gain and bias (M, C)."""
    if len(x) == 1:
        return F.layer_norm(x, x.shape[-1:], w.squeeze(0), b.squeeze(0))
    return torch.addcmul(b[:, None], F.layer_norm(x, x.shape[-1:]), w[:, None])


def rotary(x: torch.Tensor, first: int) -> torch.Tensor:
    """Rotate x (N, H, T, D) by its positions first, first + 1, ...: pairs (i, i + D/2), base 10,000; angles in fp32."""
    half = x.shape[-1] // 2
    frequency = 10_000 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = torch.arange(first, first + x.shape[-2], device=x.device)[:, None] * frequency
    cos, sin = angle.cos(), angle.sin()
    a, b = x.split(half, dim=-1)
    return torch.cat([(a * cos - b * sin).to(x.dtype), (a * sin + b * cos).to(x.dtype)], dim=-1)


def torchs_own(x: torch.Tensor) -> bool:
    """Whether torch's kernels are the faster ones: on a GPU, and in what is compiled."""
    return x.is_cuda or torch.compiler.is_compiling()


class Gelu(torch.autograd.Function):
    """GPT-2's tanh GELU, x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), written as x sigmoid(2u).

    The two are equal; torch's own takes five times as long on a CPU, where tanh is slow and computed twice.
    """

    LINEAR, CUBIC = 2 * math.sqrt(2 / math.pi), 2 * math.sqrt(2 / math.pi) * 0.044715

    @staticmethod
    def forward(ctx, x):
        s = torch.addcmul(x.new_tensor(Gelu.LINEAR), x, x, value=Gelu.CUBIC).mul_(x).sigmoid_()
        y = x * s
        ctx.save_for_backward(x, s, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, s, y = ctx.saved_tensors
        slope = torch.addcmul(x.new_tensor(Gelu.LINEAR), x, x, value=3 * Gelu.CUBIC).mul_(y)  # y d(2u)/dx
        return torch.lerp(s, x.new_tensor(1.0), slope).mul_(grad)  # s + slope (1 - s)


def gelu(x: torch.Tensor) -> torch.Tensor:
    """GPT-2's activation."""
    return F.gelu(x, approximate="tanh") if torchs_own(x) else Gelu.apply(x)


def shares(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """How much each of the last queries q (N, Tq, D) takes of the positions k (N, T, D) up to its own: (N, Tq, T)."""
    (Tq, D), T = q.shape[-2:], k.shape[-2]
    hidden = torch.full((Tq, T), -math.inf, dtype=q.dtype, device=q.device).triu(T - Tq + 1)
    return torch.baddbmm(hidden, q, k.mT, alpha=D**-0.5).softmax(dim=-1)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention of the last queries q (N, H, Tq, D) over k, v (N, H, T, D)."""
    Tq, T = q.shape[2], k.shape[2]
    if torchs_own(q):
        visible = None if Tq == T else torch.ones(Tq, T, dtype=torch.bool, device=q.device).tril(T - Tq)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=visible, is_causal=visible is None)
    # On a CPU the fused kernel is made for long rows; at these lengths three plain steps take half its time.
    return torch.bmm(shares(q.flatten(0, 1), k.flatten(0, 1)), v.flatten(0, 1)).unflatten(0, q.shape[:2])


class Attend(torch.autograd.Function):
    """`attend` on a CPU, and its slope, from where the values lie: qkv (N, T, 3, H, D) -> (N, T - start, H, D).

    Batched products are slow on values that do not lie in one piece, so these are moved, once on the way in and once on
    the way back.
    """

    @staticmethod
    def forward(ctx, qkv, start):
        N, _, _, H, _ = qkv.shape
        q, k, v = qkv = qkv.permute(2, 0, 3, 1, 4).contiguous().flatten(1, 2)  # each (N*H, T, D)
        taken = shares(q[:, start:], k)
        ctx.save_for_backward(qkv, taken)
        return torch.bmm(taken, v).unflatten(0, (N, H)).transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx, grad):
        (q, k, v), taken = ctx.saved_tensors
        (N, Tq, H, D), start = grad.shape, q.shape[1] - grad.shape[1]
        grad = grad.transpose(1, 2).reshape(N * H, Tq, D)
        slope = torch._softmax_backward_data(torch.bmm(grad, v.mT), taken, -1, taken.dtype).mul_(D**-0.5)
        out = torch.empty(3, *q.shape, dtype=q.dtype)
        out[0, :, :start] = 0
        out[0, :, start:] = torch.bmm(slope, k)
        torch.bmm(slope.mT, q[:, start:], out=out[1])
        torch.bmm(taken.mT, grad, out=out[2])
        return out.unflatten(1, (N, H)).permute(1, 3, 0, 2, 4).contiguous(), None


def attention(spec: ModelSpec, qkv: torch.Tensor, B: int, start: int) -> torch.Tensor:
    """Self-attention of the queries from column start on: qkv (M, B*T, 3C) -> (M, B*(T-start), C). M folds into the
    batch."""
    M, C, H = len(qkv), spec.n_embd, spec.n_head
    T = qkv.shape[1] // B
    qkv = qkv.view(M * B, T, 3, H, C // H)
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))  # each (M*B, H, T, D); slopes come back in qkv's own order
    if spec.position == "rotary":
        q, k = rotary(q, 0), rotary(k, 0)
    if torchs_own(qkv):
        # Queries that nobody asked for cost less than a mask, under which cuDNN's slopes can be NaN (pytorch #196678).
        y = attend(q, k, v).transpose(1, 2)[:, start:]
    else:
        y = Attend.apply(qkv if spec.position == "learned" else torch.stack([q, k, v]).permute(1, 3, 0, 2, 4), start)
    return y.reshape(M, B * (T - start), C)


LAYER = ("ln_1_w", "ln_1_b", "qkv_w", "qkv_b", "proj_w", "proj_b", "ln_2_w", "ln_2_b", "fc_w", "fc_b", "out_w", "out_b")


def queries_keys_values(x: torch.Tensor, w: dict[str, torch.Tensor]) -> torch.Tensor:
    """What a layer's attention takes of the residual stream: x (M, N, C) -> (M, N, 3C)."""
    return linear(layer_norm(x, w["ln_1_w"], w["ln_1_b"]), w["qkv_w"], w["qkv_b"])


def layer(spec: ModelSpec, w: dict[str, torch.Tensor], x: torch.Tensor, B: int, start: int, qkv=None) -> torch.Tensor:
    """One layer, w its own weights: x (M, B*T, C) -> (M, B*(T-start), C). `qkv`: where it has been computed before."""
    M, N, C = x.shape
    y = attention(spec, queries_keys_values(x, w) if qkv is None else qkv, B, start)
    if start:
        x = x.view(M, B, N // B, C)[:, :, start:].reshape(M, -1, C)
    x = x + linear(y, w["proj_w"], w["proj_b"])
    y = gelu(linear(layer_norm(x, w["ln_2_w"], w["ln_2_b"]), w["fc_w"], w["fc_b"]))
    return x + linear(y, w["out_w"], w["out_b"])


@cache
def compiled_layer():
    """`layer`, compiled: on a GPU its many passes over the residual stream become few. Two graphs a shape of batch, the
    last layer's the second; what is neither shape nor start is fixed when it is called first, outside any capture."""
    torch._dynamo.config.recompile_limit = 64  # packs of other shapes in the same process
    return torch.compile(layer, dynamic=False, fullgraph=True)


def forward(spec: ModelSpec, w: dict[str, torch.Tensor], tokens: torch.Tensor, start=0, layer=layer) -> torch.Tensor:
    """Logits (M, B, T - start, V) of the positions from column `start` on, for tokens (M, B, T).

    Only the answer is scored, so what the last layer and the head would do for the prompt's positions is left out.
    `layer`: that function, or the same compiled.
    """
    M, B, T = tokens.shape
    V, C = w["wte"].shape[1:]
    layers = [dict(zip(LAYER, weights)) for weights in zip(*(w[name].unbind(1) for name in LAYER))]
    # What enters the first layer depends on a token and its position alone. (Member, position, token) in one number:
    x, index = w["wte"], tokens + V * torch.arange(M, device=tokens.device)[:, None, None]
    if spec.position == "learned":
        x = (x[:, None] + w["wpe"][:, :T, None]).flatten(1, 2)  # (M, T*V, C)
        index = tokens + V * torch.arange(M * T, device=tokens.device).view(M, 1, T)
    qkv, index = None, index.view(M, B * T)
    if not tokens.is_cuda and x.shape[1] < B * T:  # a GPU's gathers would cost more than the products that are saved
        qkv = F.embedding(index, queries_keys_values(x, layers[0]).flatten(0, 1))
    x = F.embedding(index, x.flatten(0, 1))  # (M, B*T, C)
    for i, weights in enumerate(layers):
        x = layer(spec, weights, x, B, start if i == spec.n_layer - 1 else 0, qkv if i == 0 else None)
    x = layer_norm(x, w["ln_f_w"], w["ln_f_b"])
    return torch.bmm(x, w["wte"].transpose(1, 2)).view(M, B, T - start, V)


# ---- to and from transformers ----------------------------------------------------------------------------------------

HF_LAYER = {
    "ln_1_w": "ln_1.weight", "ln_1_b": "ln_1.bias", "qkv_w": "attn.c_attn.weight", "qkv_b": "attn.c_attn.bias",
    "proj_w": "attn.c_proj.weight", "proj_b": "attn.c_proj.bias", "ln_2_w": "ln_2.weight", "ln_2_b": "ln_2.bias",
    "fc_w": "mlp.c_fc.weight", "fc_b": "mlp.c_fc.bias", "out_w": "mlp.c_proj.weight", "out_b": "mlp.c_proj.bias",
}  # fmt: skip
HF_WHOLE = {"wte": "wte.weight", "wpe": "wpe.weight", "ln_f_w": "ln_f.weight", "ln_f_b": "ln_f.bias"}


def to_transformers(spec: ModelSpec, shapes: dict[str, tuple[int, ...]], flat: torch.Tensor):
    """One model, flat (P,), as a `transformers.GPT2LMHeadModel` with the same logits. Learned positions only."""
    from transformers import GPT2Config, GPT2LMHeadModel

    if spec.position != "learned":
        raise ValueError("GPT2LMHeadModel has learned positions; this model has rotary ones")
    w = {name: value[0] for name, value in unflatten(flat[None], shapes).items()}
    (V, C), (T, _) = shapes["wte"], shapes["wpe"]
    config = GPT2Config(vocab_size=V, n_positions=T, n_embd=C, n_layer=spec.n_layer, n_head=spec.n_head,
                        bos_token_id=None,
                        eos_token_id=None, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)  # fmt: skip
    model = GPT2LMHeadModel(config)
    state = {f"transformer.{theirs}": w[ours] for ours, theirs in HF_WHOLE.items()}
    state |= {
        f"transformer.h.{i}.{theirs}": w[ours][i] for i in range(spec.n_layer) for ours, theirs in HF_LAYER.items()
    }
    model.load_state_dict(state | {"lm_head.weight": w["wte"]})
    return model.eval()


def from_transformers(model) -> tuple[ModelSpec, dict[str, tuple[int, ...]], torch.Tensor]:
    """The spec, layout and flat weights (P,) of a `transformers.GPT2LMHeadModel`."""
    c = model.config
    spec = ModelSpec(n_layer=c.n_layer, n_head=c.n_head, n_embd=c.n_embd)
    shapes, state = layout(spec, c.vocab_size, c.n_positions), model.transformer.state_dict()
    parts = [
        state[HF_WHOLE[name]]
        if name in HF_WHOLE
        else torch.stack([state[f"h.{i}.{HF_LAYER[name]}"] for i in range(c.n_layer)])
        for name in shapes
    ]
    return spec, shapes, torch.cat([p.detach().flatten() for p in parts])
