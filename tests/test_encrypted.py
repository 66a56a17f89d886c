"""Encrypted rewriting: the cipher, what models read, tests against the plain way of doing it, and runs that can be continued."""

import pytest
import torch
from conftest import Killed, kill_after
from hypothesis import given
from hypothesis import strategies as st

from ditune.active.scorers import Prompts, Rows
from ditune.language import encrypted, pretrained
from ditune.language.encrypted import EncryptedPack, answered, cipher, evaluate_encrypted, examples_of, exported
from ditune.language.specs import EncryptedSpec, FromScratchSpec
from ditune.language.tuning import LanguageScorer
from ditune.rewriting import evaluate, markov
from ditune.rewriting.specs import EvalSpec, RunSpec, TaskSpec
from ditune.rewriting.tasks import Alphabet, training_examples, unseen_examples
from ditune.rewriting.train import Pack

TASK = TaskSpec(n_rules=20, n_examples=200, alphabet_size=8, x_len=2, y_len=2, z_len=5, no_op_share=0.4)
EVALS = (EvalSpec(n_examples=40), EvalSpec(name="seen", rules="seen", n_examples=40))
MODEL, TRAIN = {"n_layer": 1, "n_head": 2, "n_embd": 16}, {"n_steps": 6, "batch_size": 16, "n_evals": 1}
BASE = RunSpec.of(task=TASK.replace(no_op_share=0.0, n_rules=30), model=MODEL, train=TRAIN, evals=EVALS)
SPEC = EncryptedSpec.of(base=BASE, task=TASK, tune={"rank": 2, "alpha": 4, "n_steps": 4, "batch_size": 8, "lr": 1e-2}, evals=EVALS)
SIGNS = Alphabet(8)


def text(row) -> str:
    return SIGNS.text(row.tolist()).rstrip("_")


@given(st.integers(2, 200), st.integers(0, 1000))
def test_the_cipher_is_one_circle_of_all_letters_and_leaves_signs(alphabet_size, seed):
    written, visited = cipher(alphabet_size, seed).tolist(), [0]
    while (letter := written[visited[-1]]) != 0:
        visited.append(letter)
    assert sorted(visited) == list(range(alphabet_size))
    assert written[alphabet_size:] == list(range(alphabet_size, alphabet_size + 5))


def test_the_cipher_is_a_function_of_the_seed():
    assert torch.equal(cipher(26, 3), cipher(26, 3)) and not torch.equal(cipher(26, 3), cipher(26, 4))


def test_answers_are_rewritten_and_then_encrypted_and_prompts_stay():
    written = {SIGNS.text([a]): SIGNS.text([b]) for a, b in enumerate(cipher(8, 5).tolist())}
    examples = training_examples(TASK, 5, torch.arange(200))
    for row in map(text, encrypted.encrypt_answers(examples.tokens, 8, 5)):
        (x, y), z = row.split("|")[0].split(">"), row.split("|")[1].split("=")[0]
        plain = markov.MarkovAlgorithm((markov.Rule(x, y),)).steps(z, 1)
        assert row.split("=")[1] == "".join(written[letter] for letter in plain) + "."
    assert examples.slices["no_op"].any() and not examples.slices["no_op"].all()


@pytest.fixture
def lm():
    torch.manual_seed(0)
    return exported(Pack([BASE], "cpu"))


def test_a_rewriter_reads_tokens_and_a_language_model_reads_sentences(lm):
    rows = unseen_examples(TASK, 0, torch.arange(5)).tokens
    whole = [prompt + answer for prompt, answer in examples_of(lm, rows, 8, 100)]
    assert whole == [tuple(t for t in row if t != SIGNS.pad) for row in rows.tolist()]
    assert all(prompt[-1] == SIGNS.equals and answer[-1] == SIGNS.eos for prompt, answer in examples_of(lm, rows, 8, 100))
    tiny = pretrained.load("tiny")
    (prompt, answer), *_ = examples_of(tiny, rows, 8, 200)
    x, y, z, a = text(rows[0]).translate(str.maketrans(">|=", "   ", ".")).split()
    said = f"Replace {' '.join(x)} with {' '.join(y)} in: {' '.join(z)}"
    assert tiny.decode(prompt) == f"### Instruction\n{said}\n\n### Response\n" and answer == tiny.encode(" ".join(a)) + (tiny.eos,)


def test_an_answer_counts_as_right_where_greedy_decoding_gives_it():
    lm = pretrained.load("tiny")
    prompts = [lm.encode(word) for word in ("abc", "de", "fghij", "k")]
    tails = Prompts(Rows.of([()]), torch.zeros(4, dtype=torch.int64), Rows.of(prompts))
    greedy = LanguageScorer(lm, suppress=(lm.eos,)).greedy(tails, 4).lists()
    examples = [*zip(prompts, greedy), (prompts[0], (*greedy[0][:3], greedy[0][3] + 1)), (prompts[0], greedy[0][:2])]
    right, nll = answered(lm, examples)
    assert right.tolist() == [True, True, True, True, False, True]
    logits = lm.model(torch.tensor([prompts[1] + greedy[1]])).logits[0].log_softmax(-1)
    plain = -sum(float(logits[len(prompts[1]) - 1 + i, token].detach()) for i, token in enumerate(greedy[1])) / 4
    assert float(nll[1]) == pytest.approx(plain, rel=1e-4)


def test_plain_tests_of_an_exported_rewriter_equal_those_of_evaluate(lm):
    pack = Pack([BASE], "cpu")
    expected = evaluate.evaluate([BASE], pack.weights(), 0, 40)[0]
    found = evaluate_encrypted(exported(pack), BASE, EVALS[0], 40, encrypt=False)
    assert found.pop("nll") == pytest.approx(expected.pop("nll"), rel=1e-5) and found == expected


def test_wrong_answers_are_told_apart(lm, monkeypatch):
    """A model that always answers with the plain rewriting, or with the encrypted input, is counted as such."""
    examples = unseen_examples(TASK, 0, torch.arange(40))
    copies = unseen_examples(TASK, 0, torch.arange(40), copy=True)
    said = {"plain": examples.tokens, "copies": encrypted.encrypt_answers(copies.tokens, 8, 0)}
    run, has_op = RunSpec(task=TASK, evals=EVALS), 1 - examples.slices["no_op"].double().mean().item()
    for kind, rows in said.items():
        answers = set(examples_of(lm, rows, 8, 0))
        monkeypatch.setattr(encrypted, "answered", lambda lm, found, answers=answers: (torch.tensor([one in answers for one in found]), torch.zeros(len(found))))
        result = evaluate_encrypted(lm, run, EVALS[0], 40)
        assert result["plain"] == (kind == "plain") and result["copies"] == pytest.approx(has_op if kind == "copies" else 0)
        assert result["exact_match"] == pytest.approx(1 - has_op if kind == "copies" else 0)


def same(first: dict, second: dict) -> bool:
    return all(first[name] == second[name] for name in ("metrics", "curve", "epochs"))


def test_a_tuning_pretrains_its_rewriter_once_and_can_be_continued(home, monkeypatch):
    steps = []
    whole = encrypted.tuned_run(SPEC, home / "a.safetensors", lambda step, n: steps.append((step, n)))
    assert steps[-1] == (SPEC.n_steps, SPEC.n_steps) and steps == sorted(steps)
    assert {"base", "unseen", "seen"} == whole["metrics"].keys() and {"True", "False"} == whole["metrics"]["unseen"]["slices"]["no_op"].keys()
    monkeypatch.setattr(encrypted, "Pack", None)  # the weights are kept: none is trained
    monkeypatch.setattr("ditune.language.tuning.SAVE_EVERY", 1)
    with pytest.raises(Killed):
        encrypted.tuned_run(SPEC, home / "b.safetensors", kill_after(SPEC.n_pretraining + 1))
    assert (home / "b.safetensors").exists()
    assert same(encrypted.tuned_run(SPEC, home / "b.safetensors"), whole)


def test_a_run_from_scratch_learns_from_encrypted_rows_and_can_be_continued(home):
    run = FromScratchSpec.of(task=TASK, model=MODEL, train=TRAIN, evals=EVALS)
    plain = Pack([run], "cpu").data(0, 2)
    assert torch.equal(EncryptedPack([run], "cpu").data(0, 2), encrypted.encrypt_answers(plain, 8, 0)) and plain.shape[:3] == (1, 2, 16)
    whole = encrypted.from_scratch(run, home / "a.safetensors")
    assert same(encrypted.from_scratch(run, home / "a.safetensors"), whole)  # from its last checkpoint


def test_a_language_model_is_tuned_on_text(home):
    result = encrypted.tuned_run(SPEC.replace(base="tiny"), home / "a.safetensors")
    assert result["curve"][-1]["step"] == 4 and result["metrics"]["unseen"]["n"] == 40
