"""The scorer: likelihoods and greedy answers, batched and with shared heads, against a token at a time."""

import asked
import pytest
import torch
from asked import SIGNS, SMALL, probability_plainly, random_prompts, random_rows, random_tasks, rewriter, whole

from ditune.active.scorers import Prompts, RewriterScorer, Rows, extended, joined
from ditune.active.uncertainty import measure
from ditune.rewriting.evaluate import greedy
from ditune.rewriting.model import forward


@pytest.mark.parametrize("position", ["learned", "rotary"])
@torch.no_grad()
def test_columns_that_have_been_read_change_no_logit_behind_them(position):
    scorer, tokens = rewriter(position), random_rows(5, 9, 9, 8).tokens
    nothing = [(torch.empty(1, 2, 0, 8),) * 2] * 2
    expected = forward(scorer.model, scorer.weights, tokens[None])[0]
    logits, past = extended(scorer.model, scorer.weights, tokens[:, :4], 0, nothing, torch.zeros(5, dtype=torch.int64))
    order = torch.tensor([3, 0, 4, 1, 2])
    for start in range(6):
        rest, _ = extended(scorer.model, scorer.weights, tokens[order, 4:], start, past, order)
        torch.testing.assert_close(rest, expected[order, 4 + start :], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, expected[:, :4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("position", ["learned", "rotary"])
@torch.no_grad()
def test_the_likelihood_is_the_mean_over_the_answer_and_its_end(position):
    scorer, prompts, answers = rewriter(position), random_prompts(12, 0), random_rows(12, 0, 4, 1)
    expected = [probability_plainly(scorer, *pair) for pair in zip(prompts.rows().lists(), answers.lists())]
    torch.testing.assert_close(scorer.log_likelihood(prompts, answers).exp(), torch.tensor(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("position", ["learned", "rotary"])
@torch.no_grad()
def test_greedy_answers_equal_those_found_a_token_at_a_time(position):
    scorer, prompts = rewriter(position), random_prompts(40, 2)
    found = scorer.greedy(prompts, 6).lists()
    assert found == [asked.answered_plainly(scorer, prompt, 6) for prompt in prompts.rows().lists()]
    assert len({len(answer) for answer in found}) > 2, "answers of all lengths, cut ones too"
    even = random_rows(8, 5, 5, 3)
    expected = greedy(scorer.model, scorer.weights, even.tokens[None], 6)[0].tolist()
    cut = [row[: row.index(SIGNS.eos)] if SIGNS.eos in row else row for row in expected]
    assert [list(answer) for answer in scorer.greedy(whole(even), 6).lists()] == cut


def test_padding_has_no_meaning():
    scorer, prompts, answers = rewriter(), random_prompts(9, 4), random_rows(9, 0, 3, 5)

    def repainted(rows):
        return Rows(torch.where(torch.arange(rows.tokens.shape[1]) >= rows.length[:, None], 3, rows.tokens), rows.length)

    other = Prompts(repainted(prompts.heads), prompts.head, repainted(prompts.tails))
    assert torch.equal(scorer.log_likelihood(prompts, answers), scorer.log_likelihood(other, repainted(answers)))
    assert scorer.greedy(prompts, 4).lists() == scorer.greedy(other, 4).lists()


def test_batch_and_order_change_no_score(monkeypatch):
    scorer, tasks = rewriter(), random_tasks()
    together = measure(scorer, tasks, SMALL, 7)
    back = measure(scorer, tasks[::-1], SMALL, 7)
    monkeypatch.setattr("ditune.active.scorers.BATCH_TOKENS", 1)
    alone = [measure(scorer, [task], SMALL, 7) for task in tasks]
    torch.testing.assert_close(back.p.flip(0), together.p, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.cat([scores.p for scores in alone]), together.p, rtol=1e-5, atol=1e-7)
    assert back.answers[::-1] == together.answers == [scores.answers[0] for scores in alone]


def test_a_scorer_takes_one_model_and_prompts_that_fit_its_positions():
    scorer = rewriter()
    long = Prompts(Rows.of([(1,) * (asked.POSITIONS - 5)]), torch.tensor([0]), Rows.of([(1, 2)]))
    assert len(scorer.log_likelihood(long, Rows.of([(1, 1, 1)]))) == 1
    with pytest.raises(ValueError, match="41 tokens; the model has 40 positions"):
        scorer.log_likelihood(long, Rows.of([(1, 1, 1, 1)]))
    with pytest.raises(ValueError, match="41 tokens; the model has 40 positions"):
        scorer.greedy(long, 4)
    with pytest.raises(ValueError, match="one model; these weights hold 2"):
        RewriterScorer(scorer.model, {name: torch.cat([w, w]) for name, w in scorer.weights.items()}, SIGNS)


@pytest.mark.gpu
def test_scores_on_a_gpu_equal_those_on_the_cpu():
    scorer, tasks = rewriter(), random_tasks()
    there = RewriterScorer(scorer.model, {name: w.cuda() for name, w in scorer.weights.items()}, SIGNS)
    torch.testing.assert_close(measure(there, tasks, SMALL, 7).p, measure(scorer, tasks, SMALL, 7).p, rtol=1e-3, atol=1e-5)


def test_rows_are_joined_where_the_left_one_ends():
    left, right = random_rows(20, 0, 5, 6), random_rows(20, 0, 4, 7)
    assert joined(left, right).lists() == [a + b for a, b in zip(left.lists(), right.lists())]
