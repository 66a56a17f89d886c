"""Prompt uncertainty against a loop over pairs, against the formula where the probabilities are known, and its laws."""

import itertools
import math

import pytest
import torch
from asked import SMALL, Known, answered_plainly, probability_plainly, random_tasks, rewriter

from ditune.active import uncertainty as module
from ditune.active.uncertainty import PromptTask, Segment, measure, perturbed
from ditune.rewriting.hashing import Stream, stream


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


@pytest.mark.parametrize("task, spec, message", [
    (PromptTask("x", WORDS, ()), SMALL, "'x' needs at least one instance"),
    (PromptTask("x", WORDS, ((1,), ())), SMALL, "at least one token in each input"),
    (PromptTask("x", WORDS, ((1,), (2,)), ((3,),)), SMALL.replace(answer="gold"), "1 gold answers for 2 instances"),
    (None, SMALL, "no task"),
])
def test_a_task_that_cannot_be_measured_is_an_error(task, spec, message):
    with pytest.raises(ValueError, match=message):
        measure(Known(), [task] if task else [], spec, 0)
