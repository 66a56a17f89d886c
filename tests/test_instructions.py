"""Instruction sets: what is read, what is refused, and the laws of mixtures, substitutes and diversity."""

import gzip
import json
from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ditune.language import made
from ditune.language.catalogue import DOMAINS, first_here
from ditune.language.instruction_map import embed
from ditune.language.instructions import Instruction, counts, fingerprint, load, mixed
from ditune.language.made import COLOURS, DAYS, documented, stdlib_functions
from ditune.language.specs import InstructionMapSpec
from ditune.rewriting.diversity import vendi
from ditune.specs import SpecError

pytestmark = pytest.mark.usefixtures("home")
GENERAL, REASONING = made.SETS.values()


def put(folder, name: str, rows, lines=True):
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=1)
    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


def test_every_layout_of_files_gives_the_same_form(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    put(tmp_path, "alpaca_data.json", [{"instruction": "Add.", "input": "2, 3", "output": "5"}, {"instruction": "Say hi.", "input": "", "output": "hi"}], lines=False)
    put(tmp_path, "data-oss_instruct-decontaminated.jsonl", [{"lang": "python", "problem": "Write f.", "solution": "def f(): ..."}])
    put(tmp_path, "gsm8k_train.jsonl.gz", [{"question": "1 + 1?", "answer": "#### 2"}])
    put(tmp_path, "dolly_3k.jsonl", [{"instruction": "Why?", "context": "It is.", "response": "So."}, {"instruction": "", "context": "", "response": "left out"}])
    alpaca = load("alpaca")
    assert [i.pair for i in alpaca] == [("Add.\n\n2, 3", "5"), ("Say hi.", "hi")]
    assert alpaca[0] == Instruction("Add.", "2, 3", "5", "alpaca", "general", "CC BY-NC 4.0")
    assert [i.pair for name in ("oss_instruct", "gsm8k_train", "dolly_3k") for i in load(name)] == [("Write f.", "def f(): ..."), ("1 + 1?", "#### 2"), ("Why?\n\nIt is.", "So.")]
    assert [first_here(domain) for domain in DOMAINS] == ["oss_instruct", "alpaca", "gsm8k_train"]
    monkeypatch.delenv("DITUNE_DATA")
    assert [first_here(domain) for domain in DOMAINS] == ["stdlib", "made_general", "made_reasoning"]
    assert [i.pair for i in load(str(tmp_path / "alpaca_data.json"))] == [i.pair for i in alpaca]


@pytest.mark.parametrize("name, content, message", [
    ("alpacca", None, "unknown set 'alpacca'; did you mean 'alpaca'"),
    ("folder/gone.jsonl", None, "unknown set 'folder/gone.jsonl'"),
    ("a.jsonl", '{"instruction": "x", "output": "y"}\n{"instruction": "x"}', "row 2 has no output; allowed: a field output or solution"),
    ("a.jsonl", "[1]", "row 1 is no object"),
    ("a.jsonl", "{", "is no JSON"),
])
def test_what_is_no_set_is_refused(tmp_path, name, content, message):
    if content:
        (tmp_path / name).write_text(content)
    with pytest.raises(SpecError) as caught:
        load(str(tmp_path / name) if content else name)
    assert message in str(caught.value)


def pool(name: str, n: int) -> list[Instruction]:
    return [Instruction(f"{name} {i}", "", "yes", name, name, "none") for i in range(n)]


POOLS = {name: pool(name, 60) for name in ("code", "general", "reasoning")}


@given(st.integers(0, 40), st.integers(0, 10), st.integers(0, 10), st.integers(0, 9))
def test_more_of_the_second_set_replaces_examples_of_the_first_one_for_one(code, more, reasoning, seed):
    general = 5
    before = mixed(POOLS, {"code": code + more, "general": general, "reasoning": reasoning}, seed)
    after = mixed(POOLS, {"code": code, "general": general + more, "reasoning": reasoning}, seed)
    assert Counter(i.source for i in after) == Counter({"code": code, "general": general + more, "reasoning": reasoning})
    assert len(set(after)) == len(after) == len(before)
    changed = [(x.source, y.source) for x, y in zip(sorted(set(before) - set(after), key=str), sorted(set(after) - set(before), key=str))]
    assert changed == [("code", "general")] * more
    if not reasoning:
        assert [(x.source, y.source) for x, y in zip(before, after) if x != y] == [("code", "general")] * more


@given(st.lists(st.integers(0, 100), min_size=1, max_size=4), st.integers(1, 500))
def test_counts_add_up_to_the_total_and_each_is_its_share_to_within_rounding(weights, total):
    shares = {f"set {i}": w / (sum(weights) or 1) for i, w in enumerate(weights)}
    if not sum(weights):
        with pytest.raises(SpecError, match="allowed: numbers from 0 to 1 that add up to 1"):
            counts(shares, total)
        return
    try:
        each = counts(shares, total)
    except SpecError:  # the others' shares, rounded, are more than there is
        assert sum(round(share * total) for share in list(shares.values())[1:]) > total
        return
    assert sum(each.values()) == total and min(each.values()) >= 0
    assert all(abs(each[name] - share * total) <= 0.5 + 1e-9 for name, share in list(shares.items())[1:])


def test_a_seed_draws_other_examples_of_a_set_and_no_other_set_matters():
    alone = mixed(POOLS, {"code": 20}, 0)
    assert alone == mixed(POOLS, {"code": 20, "general": 7}, 0)[:20]
    assert set(alone) != set(mixed(POOLS, {"code": 20}, 1)) != set(POOLS["code"][:20])


def test_too_few_examples_and_shares_that_do_not_add_up_are_refused():
    found = mixed(POOLS, {"code": 9, "general": 3}, 0)
    assert fingerprint(found) != fingerprint(found[::-1]) and fingerprint(found) == fingerprint(list(found))
    with pytest.raises(SpecError, match="the set 'code' has 60 examples; needed: 61"):
        mixed(POOLS, {"code": 61}, 0)
    for shares, total, message in [
        ({"code": 0.9, "general": 0.2}, 10, "allowed: numbers from 0 to 1 that add up to 1"),
        ({"code": 1.0}, 0, "total = 0; allowed: 1 or more"),
    ]:
        with pytest.raises(SpecError, match=message):
            counts(shares, total)


def test_functions_of_the_standard_library_can_be_compiled_and_have_no_docstring():
    functions = stdlib_functions()
    assert len(functions) > 1000 and len({code for _, _, code in functions}) == len(functions)
    for _, docstring, code in functions[::50]:
        compile(code, "", "exec")
        assert docstring.split("\n")[0] not in code or len(docstring.split("\n")[0]) < 12
    assert documented('def f(x):\n    """Nothing but words are in this one."""') == documented("def f(:") == []


def test_made_examples_depend_on_domain_seed_and_number_alone():
    few, many = made.instructions(GENERAL, 20), made.instructions(GENERAL, 50)
    assert many[: len(few)] == few and len(set(many)) == len(many)
    assert {name for name, _ in few} == {domain.__name__ for domain in GENERAL} and made.instructions(GENERAL[2:3], 20) == few[2::6]
    assert set(made.instructions(GENERAL, 20, seed=1)) != set(few)


def test_made_answers_are_right():
    for name, (ask, given_text, answer) in made.instructions(GENERAL + REASONING, 30):
        numbers = [int(word) for word in "".join(c if c.isdigit() else " " for c in ask).split()]
        if name == "rewriting":
            old, new = [word.strip('."') for word in ask.split() if word.strip('."') in COLOURS]
            assert answer == given_text.replace(old, new, 1 if "first" in ask else -1) != given_text
        if name == "arithmetic":
            assert answer.endswith(f"The answer is {numbers[0] * numbers[1] - numbers[2]}.")
        if name == "dates":
            end = datetime.strptime(ask.split(" is a ")[0], "%d %B %Y") + timedelta(numbers[-1])
            assert answer.endswith(f"The answer is {DAYS[end.weekday()]}, {end.day} {end:%B} {end.year}.")
        if name == "ordering":
            pairs = [(fact.split()[0], fact.split()[-1]) for fact in ask.split(". ")[:3]]
            first = ({a for a, _ in pairs} - {b for _, b in pairs}).pop()
            last = ({b for _, b in pairs} - {a for a, _ in pairs}).pop()
            assert answer.split(" they are ")[1].startswith(first) and answer.endswith((f"{first}.", f"{last}."))


def test_texts_on_one_subject_are_less_diverse_than_texts_on_several():
    one, several = ([i.pair[0] for i in load("made_general")[start::step][:60]] for start, step in ((0, 6), (0, 1)))
    vectors = embed(several, "tiny")
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1) and vendi(embed(one, "tiny")) < vendi(vectors)
    with pytest.raises(SpecError, match="unknown embedding 'minilmm'; did you mean 'minilm'"):
        InstructionMapSpec.of(embedding="minilmm")
