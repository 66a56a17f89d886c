"""Running algorithms: with exact answers every harness is the exact run; what a model's run gives is what its answers say."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ditune.rewriting import running
from ditune.rewriting.evaluate import greedy
from ditune.rewriting.markov import MarkovAlgorithm, Rule
from ditune.rewriting.rules import make_rules
from ditune.rewriting.running import Query, Rewriter, algorithms, exact, execute, in_order, oracle, prompted
from ditune.rewriting.specs import AlgorithmSpec, TaskSpec
from ditune.rewriting.tasks import unseen_examples
from ditune.rewriting.train import Pack

TASK = TaskSpec(n_rules=50, n_examples=2000, alphabet_size=8, x_len=2, y_len=2, z_len=5)
NO_OPS = {"name": "no_ops", "n_examples": 50, "task": TASK.replace(no_op_share=1.0)}
MODEL, TRAIN = {"n_layer": 1, "n_head": 2, "n_embd": 16}, {"n_steps": 8, "batch_size": 16, "n_evals": 1}
SPEC = AlgorithmSpec.of(
    task=TASK, model=MODEL, train=TRAIN, evals=[{"n_examples": 50}, NO_OPS], algorithm_rules=[2, 3], algorithm_steps=[1, 2, 3, 4], n_algorithms=4
)
HARNESSES = (in_order, oracle, prompted)


def some_traces(n_rules=3, seed=0, n=10):
    return [trace for n_steps in range(1, 2 * n_rules) for trace in algorithms(TASK, seed, n_rules, n_steps, n)]


@pytest.mark.parametrize("seed", [0, 1])
def test_algorithms_have_the_steps_asked_for_and_rules_whose_sides_training_never_has(seed):
    trained = make_rules(TASK, seed, torch.arange(2000))  # more than there are words: all that training can have
    trained_x, trained_y = (set(running.texts(TASK, side)) for side in (trained.x, trained.y))
    for n_steps in range(1, 6):
        for trace in algorithms(TASK, seed, 3, n_steps, 10):
            assert len(trace.steps) == n_steps and len(trace.algorithm.rules) == 3 and len(trace.word) == TASK.z_len[0]
            assert trace.halted == "blocked" and trace.algorithm.step(trace.output) is None
            assert not {rule.x for rule in trace.algorithm.rules} & trained_x and not {rule.y for rule in trace.algorithm.rules} & trained_y
    assert algorithms(TASK, seed, 3, 4, 5) == algorithms(TASK.replace(n_rules=7, no_op_share=0.5), seed, 3, 4, 10)[:5]


def test_the_unseen_words_are_those_of_the_unseen_rules():
    rules = make_rules(TASK, 3, torch.arange(5000), unseen=True)
    xs, ys = running.unseen_words(8, 2, 3)
    assert set(xs) == set(running.texts(TASK, rules.x)) and set(ys) == set(running.texts(TASK, rules.y))


@pytest.mark.parametrize("harness", HARNESSES)
def test_with_exact_answers_a_harness_makes_the_exact_run(harness):
    for run in execute(harness, some_traces(), exact):
        assert run.output == run.trace.output and run.first_wrong is None
        words = list(dict.fromkeys(query.word for query in run.queries))
        assert words == [step.before for step in run.trace.steps] + [run.trace.output] * (harness is not oracle)


def test_in_order_asks_each_rule_before_the_one_that_applies_and_at_the_end_all():
    algorithm = MarkovAlgorithm((Rule("zz", "aa"), Rule("ab", "cd"), Rule("dd", "ee")))
    (run,) = execute(in_order, [algorithm.run("xabdd")], exact)
    asked = [(query.rules[0].x, query.word) for query in run.queries]
    assert asked == [(x, "xabdd") for x in ("zz", "ab")] + [(x, "xcddd") for x in ("zz", "ab", "dd")] + [(x, "xceed") for x in ("zz", "ab", "dd")]


def test_a_run_ends_where_an_answer_is_no_word_or_twice_the_steps_are_taken():
    trace = MarkovAlgorithm((Rule("ab", "cd"),)).run("xabxx")
    broken, endless = (execute(in_order, [trace], lambda queries, answer=answer: [answer(q.word) for q in queries])[0] for answer in (lambda w: w[1:], lambda w: w[1:] + w[:1]))
    assert (broken.output, len(broken.answers)) == (None, 1) and running.kind_of_error(broken.queries[0], broken.answers[0]) == "no word"
    assert (endless.output, len(endless.answers)) == (None, 2 * len(trace.steps) + 1)


WORDS = st.text("abc", min_size=6, max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text("abc", min_size=2, max_size=2), st.text("abc", min_size=2, max_size=2)), min_size=1, max_size=3), WORDS, WORDS)
def test_the_kind_of_an_error_is_what_it_says(sides, word, answer):
    query = Query(tuple(Rule(x, y) for x, y in sides), word)
    if answer == query.expected:
        return
    kind = running.kind_of_error(query, answer)
    results = {word[:i] + rule.y + word[i + 2 :]: rule for rule in query.rules for i in range(5)}
    assert (kind == "copied") == (answer == word)
    if kind == "wrong letters":
        assert answer not in results
    elif kind != "copied":
        assert answer in results
        assert kind != "applied in vain" or results[answer].x not in word
        assert kind != "another rule" or len(query.rules) > 1


@pytest.fixture(scope="module")
def rewriter():
    pack = Pack([SPEC], "cpu")
    return Rewriter(SPEC, pack.weights())


def test_prompts_are_those_that_the_generator_writes():
    for task in (TASK, TASK.replace(rules_in_prompt=3, no_op_share=0.3)):
        rewriter = Rewriter(SPEC.replace(task=task, algorithm_rules=[3]), {"wte": torch.zeros(1)})
        rows = unseen_examples(task, 0, torch.arange(20)).tokens
        for row in rows:
            *rules, rest = running.Alphabet(8).text(row.tolist()).split("|")
            query = Query(tuple(Rule(*rule.split(">")) for rule in rules), rest.split("=")[0])
            assert torch.equal(rewriter.rows([f"{running.prompt(query)}{query.expected}."])[0, 0], row)


def test_a_models_answer_is_its_greedy_one_and_right_is_when_it_is_the_expected_one(rewriter):
    queries = [query for run in execute(in_order, some_traces(n=3), exact) for query in run.queries]
    answers = rewriter.answers(queries)
    tokens = greedy(SPEC.model, rewriter.weights, rewriter.rows([running.prompt(queries[0])]), 6)[0, 0].tolist()
    assert answers[0] == running.Alphabet(8).text(tokens).split(".")[0]
    assert rewriter.right(queries) == [answer == query.expected for query, answer in zip(queries, answers)]


class Flawed:
    """A model that is wrong on the queries that a hash picks, and then answers with its input turned round."""

    def answers(self, queries):
        return [query.word[::-1] if self.wrong(query) else query.expected for query in queries]

    def right(self, queries):
        return [answer == query.expected for query, answer in zip(queries, self.answers(queries))]

    def wrong(self, query):
        return hashlib.sha256(repr(query).encode()).digest()[0] < 40


@pytest.mark.parametrize("harness", HARNESSES)
def test_a_run_follows_the_exact_one_just_where_all_queries_of_the_exact_one_are_answered_right(harness):
    traces, model = some_traces(n=20), Flawed()
    runs, truth = execute(harness, traces, model.answers), execute(harness, traces, exact)
    followed = [run.first_wrong is None for run in runs]
    assert followed == [all(model.right(run.queries)) for run in truth] and 0 < sum(followed) < len(runs)
    assert all(run.output == run.trace.output for run, ok in zip(runs, followed) if ok)


@pytest.mark.parametrize("harness", HARNESSES)
def test_what_is_measured_is_what_counting_gives(harness):
    traces, model, test = some_traces(n=20), Flawed(), {"unseen": {"exact_match": 0.5}, "no_ops": {"exact_match": 0.25}}
    found, truth = running.algorithm_metrics(model, harness, traces, test), execute(harness, traces, exact)
    runs = execute(harness, traces, model.answers)
    asked = [(query, right) for run in truth for query, right in zip(run.queries, model.right(run.queries))]
    a, r = ([right for query, right in asked if any(rule.x in query.word for rule in query.rules) == applies] for applies in (True, False))
    assert found["exact_match"] == sum(run.output == run.trace.output for run in runs) / len(runs) and found["n"] == len(runs)
    slices = found["slices"]
    assert slices["answers"] == {"applies": [sum(a) / len(a), len(a)]} | ({"refuses": [sum(r) / len(r), len(r)]} if r else {})
    for n_steps in range(1, 6):
        chosen = [(run, same) for run, same in zip(runs, truth) if len(run.trace.steps) == n_steps]
        n_asked = [len(same.queries) for _, same in chosen]
        assert slices["steps"][str(n_steps)] == [sum(run.output == run.trace.output for run, _ in chosen) / 20, 20]
        for name, once, refused in (("predicted", sum(a) / len(a), sum(r) / max(len(r), 1)), ("predicted_by_test", 0.5, 0.25)):
            assert slices[name][str(n_steps)][0] == pytest.approx(sum(once**n_steps * refused ** (n - n_steps) for n in n_asked) / 20)
    wrong = sum(run.first_wrong is not None for run in runs)
    assert sum(share for share, _ in slices["broke"].values()) == pytest.approx(1) and all(n == wrong for _, n in slices["broke"].values())
    assert sum(n for _, n in slices["place"].values()) == sum(n for _, n in slices["ambiguous"].values()) == len(a)


def test_the_runner_goes_on_from_the_trained_weights_and_gives_the_same_again(tmp_path):
    result = running.run_algorithms(SPEC, tmp_path / "checkpoint")
    assert result["metrics"].keys() == {"unseen", "no_ops"} | {f"{harness}/{n}" for harness in ("in_order", "oracle") for n in (2, 3)}
    assert result["metrics"]["in_order/2"]["n"] == 3 * 4 and result["metrics"]["in_order/3"]["n"] == 4 * 4  # 1 to 3 steps, 1 to 4
    again = running.run_algorithms(SPEC, tmp_path / "checkpoint")  # the checkpoint is that of the last step: nothing is trained
    assert (again["metrics"], again["curve"]) == (result["metrics"], result["curve"])
