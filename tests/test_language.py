"""Pretrained models against the plain way of doing it: a row at a time, full logits, transformers' own generate."""

import pytest
import torch
import torch.nn.functional as F
from conftest import Killed, kill_after
from hypothesis import given
from hypothesis import strategies as st

import ditune.language.tuning
from ditune.active.scorers import Prompts, Rows
from ditune.language.pretrained import TuneSpec, adapt, load, plain
from ditune.language.tuning import LanguageScorer, answer_nll, batch, buckets, complete, encoded, mean_nll, train

PAIRS = [("Add 2 and 3.", "5"), ("Say hi, in English and then in French.", "hi, salut"), ("x", "a longer answer"), ("Name a day.", "Monday")]
SMALL = TuneSpec(rank=4, alpha=8, n_steps=6, batch_size=3, lr=1e-2, warmup_share=0.2)


@pytest.fixture
def lm():
    return load("tiny")


def weights(model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def nll_plainly(lm, prompt, answer) -> float:
    """Summed over the answer, a token at a time, logits of all positions."""
    total, given = 0.0, prompt
    for token in answer:
        total -= float(lm.model(torch.tensor([given])).logits[0, -1].log_softmax(-1)[token].detach())
        given += (token,)
    return total


def random_prompts(n=16, n_heads=4, n_letters=259):
    """Prompts of which some share heads, one head empty, and answers, one empty: all of unequal lengths."""
    random = torch.Generator().manual_seed(0)

    def word(low, high):
        return tuple(torch.randint(0, n_letters, (int(torch.randint(low, high, (), generator=random)),), generator=random).tolist())

    heads = Rows.of([(), *(word(4, 9) for _ in range(n_heads - 1))])
    head = torch.randint(0, n_heads, (n,), generator=random)
    return Prompts(heads, head, Rows.of([word(1, 5) for _ in range(n)])), Rows.of([(), *(word(0, 5) for _ in range(n - 1))])


def test_the_likelihood_of_answers_equals_a_loop_over_rows_and_tokens(lm):
    prompts, answers = random_prompts()
    expected = [-nll_plainly(lm, x, (*y, lm.eos)) / (len(y) + 1) for x, y in zip(prompts.rows().lists(), answers.lists())]
    torch.testing.assert_close(LanguageScorer(lm).log_likelihood(prompts, answers), torch.tensor(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 40])
def test_likelihood_and_greedy_answers_do_not_depend_on_the_batches(lm, monkeypatch, tokens):
    (prompts, answers), scorer = random_prompts(), LanguageScorer(lm)
    expected = scorer.log_likelihood(prompts, answers), scorer.greedy(prompts, 3).lists()
    monkeypatch.setattr(ditune.language.tuning, "READ_TOKENS", tokens)
    monkeypatch.setattr("ditune.active.scorers.BATCH_TOKENS", tokens)
    monkeypatch.setattr(ditune.language.tuning, "DECODED_ROWS", 3)
    torch.testing.assert_close(scorer.log_likelihood(prompts, answers), expected[0], rtol=1e-4, atol=1e-5)
    assert scorer.greedy(prompts, 3).lists() == expected[1]


def generated(lm, row, n_tokens, **settings):
    """The answer of transformers' own generate to one prompt."""
    given = torch.tensor([row])
    out = lm.model.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=n_tokens, do_sample=False, eos_token_id=lm.eos, pad_token_id=0, **settings)
    said = out[0, len(row) :].tolist()
    return tuple(said[: said.index(lm.eos)] if lm.eos in said else said)


def test_greedy_answers_equal_those_of_generate(lm):
    prompts, _ = random_prompts()
    said = LanguageScorer(lm).greedy(prompts, 12).lists()
    lm.eos = max(range(259), key=[token for answer in said for token in answer].count)  # so that some answers end early
    answers = LanguageScorer(lm).greedy(prompts, 12).lists()
    assert answers == [generated(lm, row, 12) for row in prompts.rows().lists()]
    assert len({len(answer) for answer in answers}) > 2
    tokens = tuple({token for answer in answers for token in answer[:1]})
    held_back = LanguageScorer(lm, suppress=tokens).greedy(prompts, 5).lists()
    assert held_back == [generated(lm, row, 5, suppress_tokens=list(tokens)) for row in prompts.rows().lists()]


def test_a_continuation_ends_with_the_text_that_stops_it(lm):
    texts = ["def f(x):", "Hello, wor"]
    whole = complete(lm, texts, 20)
    assert whole == [lm.decode(generated(lm, lm.encode(text), 20)) for text in texts]
    stop = whole[0][3:5]
    cut = [text[: text.index(stop) + len(stop)] if stop in text else text for text in whole]
    assert complete(lm, texts, 20, stop=(stop,)) == cut and len(cut[0]) < len(whole[0])


def test_a_prompt_beyond_the_models_positions_is_refused(lm):
    prompts = Prompts(Rows.of([(5,) * 4000]), torch.tensor([0]), Rows.of([(5,) * 90]))
    with pytest.raises(ValueError, match="have up to 4190 tokens; the model 'tiny' has 4096 positions"):
        LanguageScorer(lm).greedy(prompts, 100)


def test_the_loss_of_answers_equals_that_of_full_logits_with_labels(lm):
    examples = encoded(lm, PAIRS, 60)
    rows = [prompt + answer for prompt, answer in examples]
    width = max(map(len, rows))
    tokens = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    labels = torch.tensor([[*[-100] * len(p), *a, *[-100] * (width - len(p) - len(a))] for p, a in examples])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    logits = lm.model(tokens, attention_mask=mask).logits
    expected = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none").sum(dim=1)
    torch.testing.assert_close(answer_nll(lm, examples), expected, rtol=1e-4, atol=1e-4)
    assert (labels == lm.eos).sum() == len(PAIRS)  # the end is learned


def test_the_mean_likelihood_of_texts_equals_a_loop_over_tokens(lm):
    examples = encoded(lm, PAIRS, 60, chat=False, end=False)
    expected = [nll_plainly(lm, *example) / len(example[1]) for example in examples]
    assert mean_nll(lm, examples).tolist() == pytest.approx(expected, rel=1e-4)


def test_an_example_that_is_too_long_keeps_the_end_of_its_prompt_and_the_beginning_of_its_answer(lm):
    pairs = [("p" * 30, "a" * 30), ("p" * 30, "a"), ("p", "a" * 30), ("p", "a")]
    cut = [(lm.decode(prompt), lm.decode(answer)) for prompt, answer in encoded(lm, pairs, 20, chat=False)]
    end = lm.decode((lm.eos,))
    assert cut == [("p" * 10, "a" * 10), ("p" * 18, f"a{end}"), ("p", "a" * 19), ("p", f"a{end}")]
    with pytest.raises(ValueError, match="pair 1 has no token in its answer"):
        encoded(lm, [("p", "a"), ("p", "")], 20, end=False)
    assert lm.decode(encoded(lm, [("Hi", "")], 60)[0][0]) == "### Instruction\nHi\n\n### Response\n"


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 200))
def test_buckets_hold_every_row_once_within_the_size_and_with_little_padding(lengths, n_tokens):
    groups = buckets(lengths, n_tokens)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[i] for i in group)
        assert len(group) == 1 or (padded <= n_tokens and sum(lengths[i] for i in group) >= 0.9 * padded)


def test_tuning_lowers_the_loss_and_leaves_the_models_weights_as_they_were(lm):
    before, examples = weights(lm.model), encoded(lm, PAIRS, 60)
    tuned = adapt(lm, SMALL, 0)
    untuned = mean_nll(tuned, examples)
    torch.testing.assert_close(untuned, mean_nll(load("tiny"), examples))  # fresh adapters change nothing
    tuned, losses = train(plain(tuned), examples, SMALL.replace(n_steps=30), 0)
    assert len(losses) == 30 and (mean_nll(tuned, examples) < untuned).all() and losses[-1] < 0.8 * losses[0]
    torch.testing.assert_close(weights(plain(tuned).model), before, rtol=0, atol=0)


def test_the_gradient_does_not_depend_on_how_the_batch_is_split(lm, monkeypatch):
    tuned, gradients = adapt(lm, SMALL, 0), []
    examples = encoded(lm, PAIRS, 60)
    for tokens in (1, 1 << 10):
        monkeypatch.setattr(ditune.language.tuning, "TRAIN_TOKENS", tokens)
        tuned.model.zero_grad()
        loss = ditune.language.tuning.backward(tuned, examples)
        gradients.append([p.grad.clone() for p in tuned.model.parameters() if p.requires_grad])
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)
    assert loss == pytest.approx(answer_nll(tuned, examples).sum().item() / sum(len(a) for _, a in examples), rel=1e-5)


def test_each_pass_reads_every_example_once_in_an_order_of_its_own():
    order = [i for step in range(6) for i in batch(10, 5, 0, step)]
    assert order == [i for step in range(10) for i in batch(10, 3, 0, step)]  # however they are batched
    passes = [order[i : i + 10] for i in (0, 10, 20)]
    assert all(sorted(one) == list(range(10)) for one in passes) and passes[0] != passes[1] != passes[2]
    assert [i for step in range(6) for i in batch(10, 5, 1, step)] != order


def test_nothing_is_trained_on_no_examples(lm):
    with pytest.raises(ValueError, match="no examples to train on"):
        train(lm, [], SMALL, 0)


def test_a_killed_tuning_resumes_and_ends_bit_for_bit_as_an_undisturbed_one(tmp_path, monkeypatch):
    examples = encoded(load("tiny"), PAIRS, 60)
    monkeypatch.setattr(ditune.language.tuning, "SAVE_EVERY", 2)
    ends, checkpoint = [], tmp_path / "killed.safetensors"
    whole, losses = train(load("tiny"), examples, SMALL, 3)
    ends.append((losses, weights(whole.model)))

    with pytest.raises(Killed):
        train(load("tiny"), examples, SMALL, 3, checkpoint, kill_after(4))
    seen = []
    resumed, losses = train(load("tiny"), examples, SMALL, 3, checkpoint, lambda step, n_steps: seen.append(step))
    ends.append((losses, weights(resumed.model)))
    assert seen == [5, 6] and ends[0][0] == ends[1][0]
    torch.testing.assert_close(*(end[1] for end in ends), rtol=0, atol=0)
