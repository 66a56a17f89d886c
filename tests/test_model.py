"""The packed GPT-2 against transformers' and against itself: one model alone, several side by side, part of the positions."""

import functools

import pytest
import torch

from ditune.rewriting import model as gpt
from ditune.rewriting.model import HF_LAYER, HF_WHOLE, forward, gelu, initial, rotary, to_transformers, unflatten
from ditune.rewriting.specs import ModelSpec

TOKENS, POSITIONS = 17, 12


def small(position="learned", seed=0, n_models=1):
    """A small model with weights far from their initial values, so that every one of them matters."""
    spec = ModelSpec(n_layer=2, n_head=2, n_embd=8, position=position)
    shapes = gpt.layout(spec, TOKENS, POSITIONS)
    random = torch.Generator().manual_seed(seed)
    flat = torch.cat([initial(spec, shapes, seed + m) for m in range(n_models)])
    return spec, shapes, flat + 0.3 * torch.randn(flat.shape, generator=random)


def rows(n_models=1, batch=3, seed=1):
    return torch.randint(0, TOKENS, (n_models, batch, POSITIONS), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("batch", [3, 20])  # with more rows than tokens, the first layer looks them up
def test_logits_and_gradients_equal_those_of_transformers(batch):
    spec, shapes, flat = small()
    theirs, tokens = to_transformers(spec, shapes, flat[0]), rows(batch=batch)
    expected = theirs(tokens[0]).logits
    expected.square().mean().backward()
    flat.requires_grad_(True)
    logits = forward(spec, unflatten(flat, shapes), tokens)
    (grad,) = torch.autograd.grad(logits.square().mean(), flat)
    torch.testing.assert_close(logits[0], expected, rtol=1e-4, atol=1e-5)
    ours, grads = unflatten(grad, shapes), {name: p.grad for name, p in theirs.transformer.named_parameters()}
    assert len(grads) == len(HF_WHOLE) + spec.n_layer * len(HF_LAYER) and HF_WHOLE.keys() | HF_LAYER.keys() == shapes.keys()
    for name, hf in HF_WHOLE.items():
        torch.testing.assert_close(ours[name][0], grads[hf], rtol=1e-3, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
    for name, hf in HF_LAYER.items():
        expected = torch.stack([grads[f"h.{i}.{hf}"] for i in range(spec.n_layer)])
        torch.testing.assert_close(ours[name][0], expected, rtol=1e-3, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_weights_are_views_that_fill_one_tensor_without_overlap():
    _, shapes, flat = small(n_models=2)
    for number, weight in enumerate(unflatten(flat, shapes).values()):
        weight.fill_(number)
    assert torch.equal(flat[1], torch.arange(len(shapes)).repeat_interleave(torch.tensor(gpt.sizes(shapes))).float())


def test_conversion_there_and_back_changes_nothing():
    spec, shapes, flat = small()
    spec_back, shapes_back, flat_back = gpt.from_transformers(to_transformers(spec, shapes, flat[0]))
    assert spec_back == spec and shapes_back == shapes and torch.equal(flat_back, flat[0])


def test_initial_weights_have_the_spread_of_transformers():
    from transformers import GPT2Config, GPT2LMHeadModel

    spec = ModelSpec(n_layer=3, n_head=4, n_embd=64)
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=31, n_positions=29, n_embd=64, n_layer=3, n_head=4, bos_token_id=None, eos_token_id=None))
    _, shapes, expected = gpt.from_transformers(theirs)
    ours = unflatten(initial(spec, shapes, 0), shapes)
    for name, weight in unflatten(expected[None], shapes).items():
        assert ours[name].std().item() == pytest.approx(weight.std().item(), rel=0.08, abs=1e-6), name


@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("batch", [3, 20])
def test_a_packed_member_equals_the_model_alone(position, batch):
    spec, shapes, flat = small(position, n_models=3)
    tokens = rows(n_models=3, batch=batch)
    packed = forward(spec, unflatten(flat, shapes), tokens)
    alone = torch.cat([forward(spec, unflatten(flat[m : m + 1], shapes), tokens[m : m + 1]) for m in range(3)])
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("start", [1, 5, POSITIONS - 1])
def test_skipping_the_prompt_changes_no_logit_behind_it(position, start):
    spec, shapes, flat = small(position, n_models=2)
    w, tokens = unflatten(flat, shapes), rows(n_models=2)
    torch.testing.assert_close(forward(spec, w, tokens, start), forward(spec, w, tokens)[:, :, start:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_a_position_sees_nothing_of_what_follows(position):
    spec, shapes, flat = small(position)
    w, tokens = unflatten(flat, shapes), rows()
    changed = tokens.clone()
    changed[..., 7:] = (changed[..., 7:] + 1) % TOKENS
    before, after = forward(spec, w, tokens), forward(spec, w, changed)
    assert torch.equal(before[:, :, :7], after[:, :, :7]) and not torch.equal(before[:, :, 7:], after[:, :, 7:])


def test_rotation_equals_that_of_transformers():
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    q, k = torch.randn(2, 3, 4, 10, 8, generator=torch.Generator().manual_seed(0))
    config = LlamaConfig(hidden_size=32, num_attention_heads=4, head_dim=8)
    expected = apply_rotary_pos_emb(q, k, *LlamaRotaryEmbedding(config)(q, torch.arange(5, 15)[None]))
    for ours, theirs in zip((rotary(q, 5), rotary(k, 5)), expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(rotary(q, 5), q, atol=0.1)


def test_rotary_positions_reach_the_logits():
    spec, shapes, flat = small("rotary")
    w, tokens = unflatten(flat, shapes), rows()
    swapped = tokens[..., [1, 0, *range(2, POSITIONS)]]  # without positions, a bag of earlier tokens gives the same logits
    one_layer = ModelSpec(n_layer=1, n_head=2, n_embd=8, position="rotary")
    shallow = {name: weight[:, :1] if name in HF_LAYER else weight for name, weight in w.items()}
    first, second = (forward(one_layer, shallow, t)[:, :, 2:] for t in (tokens, swapped))
    assert not torch.allclose(first, second, atol=1e-3)


def test_gelu_and_its_slope_equal_torch():
    x = torch.linspace(-12, 12, 999, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.gelu(x, approximate="tanh")
    torch.testing.assert_close(gelu(x), y)
    weight = torch.randn(999, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.autograd.grad((f * weight).sum(), x)[0] for f in (gelu(x), y))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("start", [0, 5, 8])
def test_attention_and_its_slope_equal_torchs_scaled_dot_product(start):
    random = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, 9, 3, 3, 4, dtype=torch.float64, generator=random, requires_grad=True)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    whole = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(gpt.attend(q[:, :, start:], k, v), whole[:, :, start:])
    expected, ours = whole.transpose(1, 2)[:, start:], gpt.Attend.apply(qkv, start)
    torch.testing.assert_close(ours, expected)
    weight = torch.randn(expected.shape, dtype=torch.float64, generator=random)
    slopes = [torch.autograd.grad((y * weight).sum(), qkv)[0] for y in (ours, expected)]
    torch.testing.assert_close(*slopes)


def compiler_here() -> bool:
    """Whether torch can compile for a CPU here."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        return bool(get_cpp_compiler())
    except Exception:
        return False


NEEDS_COMPILER = [pytest.mark.slow, pytest.mark.skipif(not compiler_here(), reason="no compiler")]


@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=NEEDS_COMPILER)])
def test_the_compiled_layer_equals_the_eager_one_in_two_graphs(monkeypatch, position, backend):
    """What is compiled are torch's own kernels, as on a GPU; here they are compared with ours for a CPU."""
    from torch._dynamo.testing import CompileCounterWithBackend

    counter = CompileCounterWithBackend(backend)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counter))
    torch._dynamo.reset()
    spec, shapes, flat = small(position, n_models=2)
    spec, tokens = spec.replace(n_layer=2), rows(n_models=2)
    results = []
    for one in (gpt.layer, gpt.compiled_layer.__wrapped__()):
        leaf = flat.clone().requires_grad_(True)
        logits = forward(spec, unflatten(leaf, shapes), tokens, 4, one)
        results.append((logits, *torch.autograd.grad(logits.square().mean(), leaf)))
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    forward(spec, unflatten(flat.clone().requires_grad_(True), shapes), tokens, 4, one)
    assert counter.frame_count == 2
