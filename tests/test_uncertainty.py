"""Prompt uncertainty against a loop over pairs, against the formula where the probabilities are known, and its laws."""

import itertools
import math
import zlib

import pytest
import torch

from ditune import uncertainty as module
from ditune.evaluate import greedy
from ditune.hashing import Stream, stream
from ditune.model import forward, initial, layout, unflatten
from ditune.scorers import Prompts, RewriterScorer, Rows, extended, joined
from ditune.specs import ModelSpec, SpecError
from ditune.tasks import Alphabet
from ditune.uncertainty import PromptTask, Segment, UncertaintySpec, measure, perturbed

SIGNS = Alphabet(6)
POSITIONS = 40
SMALL = UncertaintySpec(n=3, k=4, drop_rate=0.3, max_tokens=5)


def rewriter(position="learned", seed=1):
    """A small scorer with weights far from their initial values; its greedy answers are of all lengths."""
    model = ModelSpec(n_layer=2, n_head=2, n_embd=16, position=position)
    shapes = layout(model, SIGNS.n_tokens, POSITIONS)
    flat = initial(model, shapes, seed)
    flat = flat + 0.3 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(seed))
    return RewriterScorer(model, unflatten(flat, shapes), SIGNS)


class Known:
    """A scorer whose likelihoods are a given function of prompt and answer; it keeps what it was asked."""

    def __init__(self, likelihood=lambda prompt, answer: -(zlib.crc32(repr((prompt, answer)).encode()) % 1000) / 500):
        self.likelihood, self.scored, self.continued = likelihood, [], []

    def log_likelihood(self, prompts, answers):
        pairs = list(zip(prompts.rows().lists(), answers.lists()))
        self.scored += pairs
        return torch.tensor([self.likelihood(*pair) for pair in pairs], dtype=torch.float64)

    def greedy(self, prompts, max_tokens):
        self.continued += prompts.rows().lists()
        return Rows.of([self.answer(prompt) for prompt in prompts.rows().lists()])

    @staticmethod
    def answer(prompt):
        return (*prompt[-2:], 5)


def random_tasks(n_tasks=4, n_instances=5, seed=3):
    """Definition, two examples of which the inputs can be dropped, instances: all of unequal lengths."""
    random = torch.Generator().manual_seed(seed)

    def word(low, high):
        length = torch.randint(low, high + 1, (), generator=random)
        return tuple(torch.randint(0, 6, (int(length),), generator=random).tolist())

    def prompt():
        segments = [Segment.letters(word(2, 5), "definition"), Segment.letters([SIGNS.bar])]
        for _ in range(2):
            segments += [Segment.letters(word(2, 4), "examples"), Segment.letters([SIGNS.equals, *word(2, 4), SIGNS.bar])]
        return tuple(segments)

    return [
        PromptTask(f"task {r}", prompt(), *(tuple(zip(*[((*word(1, 4), SIGNS.equals), word(0, 3)) for _ in range(n_instances)]))))
        for r in range(n_tasks)
    ]


# ---- the plain reference ---------------------------------------------------------------------------------------------


def dropped_plainly(prompt, k, drop_rate, seed, name, parts=module.PARTS):
    """The k + 1 prompts, word by word."""
    rows = []
    for j in range(k + 1):
        random = Stream.of(stream(seed, f"perturbation/{name}"), torch.tensor([j]), torch.tensor([0]))
        row, u = (), 0
        for segment in prompt:
            for unit in segment.units:
                uniform = (int(random.word(u)) % 2**32) / 2**32
                row += () if j > 0 and segment.part in parts and uniform < drop_rate else unit
                u += 1
        rows.append(row)
    return rows


def answered_plainly(scorer, prompt, max_tokens):
    """The greedy answer, a token at a time."""
    answer = ()
    while len(answer) < max_tokens:
        best = int(forward(scorer.model, scorer.weights, torch.tensor([[prompt + answer]]))[0, 0, -1].argmax())
        if best == SIGNS.eos:
            break
        answer += (best,)
    return answer


def probability_plainly(scorer, prompt, answer):
    """exp(-mean negative log-likelihood), a token at a time, end-of-sequence last."""
    nll, given = 0.0, prompt
    for token in (*answer, SIGNS.eos):
        nll -= float(forward(scorer.model, scorer.weights, torch.tensor([[given]]))[0, 0, -1].log_softmax(-1)[token])
        given += (token,)
    return math.exp(-nll / (len(answer) + 1))


def measured_plainly(task, spec, seed, answer_to, probability_of):
    """U and the other measures of one task, a pair at a time."""
    n = min(spec.n, len(task.inputs))
    prompts = dropped_plainly(task.prompt, spec.k, spec.drop_rate, seed, task.name, spec.parts)
    u = s = deviation = probability = perplexity = 0.0
    for i in range(n):
        y = task.golds[i] if spec.answer == "gold" else answer_to(prompts[0] + task.inputs[i])
        p = [probability_of(prompt + task.inputs[i], y) for prompt in prompts]
        for j in range(1, spec.k + 1):
            u += abs(p[j] - p[0]) / (n * spec.k)
            s += (p[j] - p[0]) / (n * spec.k)
        mean = sum(p[1:]) / spec.k
        deviation += math.sqrt(sum((value - mean) ** 2 for value in p[1:]) / spec.k) / n
        probability += p[0] / n
        perplexity += math.exp(-math.log(p[0])) / n
    return {"uncertainty": u, "signed": s, "deviation": deviation, "probability": probability, "perplexity": perplexity}


VARIANTS = [{}, {"parts": ("definition",)}, {"parts": ("examples",)}, {"answer": "gold"}, {"drop_rate": 1.0}, {"k": 1, "n": 1}]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@torch.no_grad()
def test_the_batched_measure_equals_a_loop_over_pairs(changes):
    scorer, tasks, spec = rewriter(), random_tasks(), SMALL.replace(**changes)
    for task, row in zip(tasks, measure(scorer, tasks, spec, 7).table()):
        expected = measured_plainly(task, spec, 7, lambda x: answered_plainly(scorer, x, spec.max_tokens), lambda x, y: probability_plainly(scorer, x, y))
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_measures_are_their_formulas_where_the_probabilities_are_known(changes):
    scorer, tasks, spec = Known(), random_tasks(), SMALL.replace(**changes)
    for task, row in zip(tasks, measure(scorer, tasks, spec, 7).table()):
        expected = measured_plainly(task, spec, 7, scorer.answer, lambda x, y: math.exp(scorer.likelihood(x, y)))
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_a_hand_counted_task_has_the_values_of_the_formula():
    """p is 0.8 under the whole prompt and 0.5 wherever the one word of the definition is gone."""
    scorer = Known(lambda prompt, answer: math.log(0.8 if 1 in prompt else 0.5))
    task = PromptTask("hand", (Segment.letters([1], "definition"),), ((2,), (3,)))
    spec = UncertaintySpec(n=2, k=5, drop_rate=0.5)
    lost = sum(len(row) == 0 for row in perturbed(task.prompt, 5, 0.5, 0, "hand").lists())
    assert 0 < lost < 5
    (row,) = measure(scorer, [task], spec, 0).table()
    assert row["uncertainty"] == pytest.approx(0.3 * lost / 5) and row["signed"] == pytest.approx(-0.3 * lost / 5)
    assert row["deviation"] == pytest.approx(0.3 * math.sqrt(lost / 5 * (1 - lost / 5)))
    assert row["probability"] == pytest.approx(0.8) and row["perplexity"] == pytest.approx(1.25)


# ---- the scorer ------------------------------------------------------------------------------------------------------


def random_rows(n, low, high, seed):
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(low, high + 1, (n,), generator=random).tolist()
    return Rows.of([tuple(torch.randint(0, SIGNS.n_tokens, (t,), generator=random).tolist()) for t in lengths])


def random_prompts(n, seed, n_heads=4):
    """n prompts with few heads, one of them empty and one unused."""
    heads, tails = random_rows(n_heads, 1, 5, seed), random_rows(n, 1, 5, seed + 1)
    heads.length[0] = 0
    return Prompts(heads, torch.randint(0, n_heads - 1, (n,), generator=torch.Generator().manual_seed(seed)), tails)


def whole(rows):
    """Prompts that share nothing."""
    return Prompts(Rows.of([()] * len(rows.length)), torch.arange(len(rows.length)), rows)


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
    assert found == [answered_plainly(scorer, prompt, 6) for prompt in prompts.rows().lists()]
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
    monkeypatch.setattr("ditune.scorers.BATCH_TOKENS", 1)
    alone = [measure(scorer, [task], SMALL, 7) for task in tasks]
    torch.testing.assert_close(back.p.flip(0), together.p, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.cat([scores.p for scores in alone]), together.p, rtol=1e-5, atol=1e-7)
    assert back.answers[::-1] == together.answers == [scores.answers[0] for scores in alone]


def test_a_scorer_takes_one_model_and_prompts_that_fit_its_positions():
    scorer = rewriter()
    long = Prompts(Rows.of([(1,) * (POSITIONS - 5)]), torch.tensor([0]), Rows.of([(1, 2)]))
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


# ---- what is asked ---------------------------------------------------------------------------------------------------


def test_the_perturbed_prompts_are_shared_by_the_instances_of_a_task():
    scorer, (task, other) = Known(), random_tasks(2)
    measure(scorer, [task], SMALL, 7)
    by_input = [{p[: -len(x)] for p, _ in scorer.scored if p[-len(x) :] == x} for x in task.inputs[:3]]
    drawn = {row for row in perturbed(task.prompt, SMALL.k, SMALL.drop_rate, 7, task.name).lists()}
    assert all(heads == drawn for heads in by_input)
    same_prompt = PromptTask(other.name, task.prompt, task.inputs)
    assert not torch.equal(measure(scorer, [same_prompt], SMALL, 7).p, measure(scorer, [task], SMALL, 7).p), "drawn anew for each task"


def test_the_own_answer_is_the_greedy_one_under_the_original_prompt():
    scorer, (task,) = Known(), random_tasks(1)
    scores = measure(scorer, [task], SMALL, 7)
    original = tuple(token for segment in task.prompt for unit in segment.units for token in unit)
    assert scorer.continued == [original + x for x in task.inputs[:3]]
    assert scores.answers == [[scorer.answer(original + x) for x in task.inputs[:3]]]
    assert {answer for _, answer in scorer.scored} == set(scores.answers[0])


def test_gold_answers_are_scored_without_generating():
    scorer, (task,) = Known(), random_tasks(1)
    assert measure(scorer, [task], SMALL.replace(answer="gold"), 7).answers == [list(task.golds[:3])]
    assert scorer.continued == []


# ---- perturbation ----------------------------------------------------------------------------------------------------


WORDS = (
    Segment(((1,), (2, 3), (4, 5, 6)), "definition"),
    Segment(((7, 7),)),
    Segment(((8,), (9, 10)), "examples"),
    Segment(((11,),)),
)


@pytest.mark.parametrize("parts", [module.PARTS, ("definition",), ("examples",)])
def test_whole_words_are_dropped_from_the_named_parts_alone(parts):
    for name in ("a", "b", "c"):
        assert perturbed(WORDS, 8, 0.4, 5, name, parts).lists() == dropped_plainly(WORDS, 8, 0.4, 5, name, parts)


def test_a_word_is_dropped_as_often_as_the_rate_says():
    n_words, k = 200, 500
    for rate in (0.05, 0.2, 0.7):
        lengths = perturbed((Segment.letters([1] * n_words, "definition"), Segment.letters([2] * 50)), k, rate, 0).length
        assert lengths[0] == n_words + 50
        share = 1 - (lengths[1:] - 50).double().mean() / n_words
        assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / (n_words * k))
        assert (lengths[1:] - 50).double().std() == pytest.approx(math.sqrt(n_words * rate * (1 - rate)), rel=0.2), "each on its own"


def test_perturbations_depend_on_seed_and_name_and_on_nothing_else():
    rows = perturbed(WORDS, 6, 0.3, 0, "a").lists()
    assert rows == perturbed(WORDS, 6, 0.3, 0, "a").lists()
    assert rows != perturbed(WORDS, 6, 0.3, 1, "a").lists() and rows != perturbed(WORDS, 6, 0.3, 0, "b").lists()
    assert rows[:4] == perturbed(WORDS, 3, 0.3, 0, "a").lists(), "a larger k adds copies"
    kept = [[set(row) for row in perturbed(WORDS, 6, rate, 0, "a").lists()] for rate in (0.1, 0.4, 0.9)]
    assert all(more <= less for low, high in itertools.pairwise(kept) for less, more in zip(low, high))


def test_words_of_a_text_are_units_of_one_or_more_tokens():
    segment = Segment.words("drop  a\nword", lambda word: [ord(letter) for letter in word], "definition")
    assert segment == Segment((tuple(b"drop"), tuple(b"a"), tuple(b"word")), "definition")


# ---- edges -----------------------------------------------------------------------------------------------------------


def test_a_task_of_few_instances_is_measured_on_those_it_has():
    scorer, tasks = rewriter(), random_tasks(3, n_instances=5)
    few = PromptTask(tasks[1].name, tasks[1].prompt, tasks[1].inputs[:2])
    scores = measure(scorer, [tasks[0], few, tasks[2]], SMALL, 7)
    assert scores.p[1].isnan().sum() == SMALL.k + 1
    assert [row["n_instances"] for row in scores.table()] == [3, 2, 3]
    alone = measure(scorer, [few], SMALL.replace(n=2), 7)
    torch.testing.assert_close(scores.p[1, :2], alone.p[0], rtol=1e-5, atol=1e-7)


def test_where_nothing_can_be_dropped_the_uncertainty_is_zero():
    scorer, (task, other) = rewriter(), random_tasks(2)
    segments = {"no prompt": (), "fixed": (Segment.letters([1, 2]),), "empty": (Segment((), "definition"), Segment.letters([3]))}
    tasks = [PromptTask(name, prompt, task.inputs) for name, prompt in segments.items()] + [other]
    rows = measure(scorer, tasks, SMALL, 7).table()
    for row in rows[:3]:
        assert (row["uncertainty"], row["signed"], row["deviation"], row["n_droppable"]) == (0, 0, 0, 0)
        assert 0 < row["probability"] < 1
    assert rows[3]["uncertainty"] > 0 and rows[3]["n_droppable"] > 0
    assert {row["uncertainty"] for row in measure(scorer, [task, other], SMALL.replace(drop_rate=0), 7).table()} == {0}


def test_with_all_words_dropped_the_input_alone_is_the_prompt():
    """Also the prompt of one token: an input of one token behind nothing."""
    scorer = Known()
    task = PromptTask("one", (Segment.letters([1], "definition"),), ((2,),))
    measure(scorer, [task], SMALL.replace(drop_rate=1), 7)
    assert {prompt for prompt, _ in scorer.scored} == {(1, 2), (2,)}
    (row,) = measure(rewriter(), [task], SMALL.replace(drop_rate=1), 7).table()
    assert 0 < row["uncertainty"] < 1 and row["deviation"] == pytest.approx(0, abs=1e-7)


def test_an_empty_own_answer_is_scored_as_the_end_alone():
    class Silent(Known):
        @staticmethod
        def answer(prompt):
            return ()

    scorer, (task,) = Silent(), random_tasks(1)
    assert measure(scorer, [task], SMALL, 7).answers == [[(), (), ()]]
    prompts = [(1, 2), (3,)]
    only_end = rewriter().log_likelihood(whole(Rows.of(prompts)), Rows.of([(), ()])).exp()
    assert only_end.tolist() == pytest.approx([probability_plainly(rewriter(), row, ()) for row in prompts], rel=1e-4)


def test_rows_are_joined_where_the_left_one_ends():
    left, right = random_rows(20, 0, 5, 6), random_rows(20, 0, 4, 7)
    assert joined(left, right).lists() == [a + b for a, b in zip(left.lists(), right.lists())]


@pytest.mark.parametrize(
    ("task", "spec", "message"),
    [
        (PromptTask("x", WORDS, ()), SMALL, "'x' needs at least one instance"),
        (PromptTask("x", WORDS, ((1,), ())), SMALL, "at least one token in each input"),
        (PromptTask("x", WORDS, ((1,), (2,)), ((3,),)), SMALL.replace(answer="gold"), "1 gold answers for 2 instances"),
    ],
)
def test_a_task_that_cannot_be_measured_is_an_error(task, spec, message):
    with pytest.raises(ValueError, match=message):
        measure(Known(), [task], spec, 0)


def test_no_task_is_an_error():
    with pytest.raises(ValueError, match="no task"):
        measure(Known(), [], SMALL, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n = 0; allowed: 1 or more"),
        ({"k": 0}, "k = 0; allowed: 1 or more"),
        ({"drop_rate": 1.2}, "drop_rate = 1.2; allowed: 0 to 1"),
        ({"parts": ()}, "parts"),
        ({"parts": ("example",)}, "did you mean 'examples'"),
        ({"answer": "golden"}, "did you mean 'gold'"),
        ({"drop": 0.1}, "unknown UncertaintySpec field 'drop'; did you mean 'drop_rate'"),
    ],
)
def test_an_impossible_setting_is_an_error_of_one_line(changes, message):
    with pytest.raises(SpecError, match=message) as error:
        UncertaintySpec.of(**changes)
    assert "\n" not in str(error.value)
