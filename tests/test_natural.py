"""Pools of tasks in natural language: the genuine layout with all its gaps, files of tasks, the pool made here, ROUGE-L, prompts."""

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ENGLISH, SPLIT, TASKS, clone
from hypothesis import given, settings
from hypothesis import strategies as st

from ditune.language import catalogue, instructions, natural
from ditune.language.natural import KINDS, Task, from_clone, load, parsed, rouge_l, shortened, usable
from ditune.language.pretrained import load as load_model
from ditune.language.prompting import Template, length, pairs
from ditune.specs import SpecError


@pytest.fixture
def tasks(tmp_path) -> dict[str, Task]:
    return {task.name: task for task in from_clone(clone(tmp_path))}


def test_tasks_keep_their_split_and_those_not_in_english_are_left_out(tasks):
    assert {name: task.split for name, task in tasks.items()} == {name: split for split, names in SPLIT.items() for name in names if name != "task005_french"}


def test_a_task_has_all_references_and_says_where_it_is_from(tasks):
    task = tasks["task001_plain"]
    assert task.instances[0] == ("coal", ("black", "dark")) and task.examples == (("grass", "green"), ("snow", "white"))
    assert (task.definition, task.categories, task.source, task.licence) == ("Say the colour.", ("Question Answering",), "made", "MIT")


def test_an_instance_whose_id_occurred_before_or_that_has_no_output_is_left_out(tasks):
    assert tasks["task004_twice"].instances == (("x", ("x",)),)


def test_missing_examples_are_the_first_instances_which_then_are_none(tasks):
    task = shortened(tasks["task003_one_example"], 100)
    assert task.examples == (("a", "1"), ("aa", "2")) and task.instances == (("aaa", ("3",)),)


def test_a_task_keeps_an_instance_and_a_word_that_can_be_dropped_or_is_left_out(tasks):
    task = shortened(tasks["task002_no_definition"], 100)
    assert task.definition == "" and task.examples == (("1 + 1", "2"),) and task.instances == (("1 + 2", ("3",)),)
    assert shortened(task, 3) is None  # its instance has 6 letters
    assert shortened(replace(task, examples=()), 100) is None and shortened(replace(task, examples=(), definition="Add."), 100).instances == task.instances


@pytest.mark.parametrize("split, message", [
    ({"train": ["task001_plain"]}, "it has no splits/default/test_tasks.txt"),
    ({"train": ["task007"], "test": []}, "lists task007, of which there is no task007.json"),
    ({"train": ["task001_plain"], "test": ["task001_plain"]}, "lists task001_plain, which is in the other split too"),
])
def test_a_folder_that_is_no_clone_is_refused_in_one_line(tmp_path, split, message):
    with pytest.raises(SpecError, match=message):
        load(str(clone(tmp_path, split)))


def test_of_a_task_with_thousands_of_instances_the_first_ones_are_kept():
    many = parsed({"Instances": [{"id": str(i), "input": str(i), "output": [str(i)]} for i in range(natural.MOST_INSTANCES + 5)]}, "t", "")
    assert [text for text, _ in many.instances] == [str(i) for i in range(natural.MOST_INSTANCES)]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_classification_is_a_task_whose_few_answers_recur(answers):
    kind = parsed({"Instances": [{"id": str(i), "input": "x", "output": [a]} for i, a in enumerate(answers)]}, "t", "").kind
    assert (kind == "classification") == (3 * len(set(answers)) <= len(answers))


@pytest.mark.parametrize(("labels", "kind"), [(natural.MOST_LABELS, "classification"), (natural.MOST_LABELS + 1, "generation")])
def test_a_classification_has_no_more_labels_than_people_would_list(labels, kind):
    instances = [{"id": str(i), "input": "x", "output": [str(i % labels)]} for i in range(9 * labels)]
    assert parsed({"Instances": instances}, "t", "").kind == kind


@pytest.mark.parametrize("field", ["Input_language", "Output_language"])
def test_a_task_that_is_not_all_in_english_is_none(field):
    assert parsed(TASKS["task001_plain"] | {field: ["English", "Spanish"]}, "t", "") is None
    assert parsed(TASKS["task001_plain"] | {field: ["English"]}, "t", "") is not None


def pool_file(folder: Path, place: str, rows: list[dict]) -> None:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def row(name: str, **fields) -> dict:
    return {"name": name, "Definition": "Copy.", "alt_definitions": ["Copy.", "Say it again."], "split": None, "Instances": [{"input": f"x{i}", "output": [f"x{i}"]} for i in range(4)]} | fields


def test_a_pool_for_evaluation_only_can_be_tested_on_and_never_trained_on(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    pool_file(tmp_path, catalogue.POOLS["bbh"].files[0], [row("bbh_a")])
    assert [task.name for task in usable(("bbh",), 100, "test")] == ["bbh_a"] and usable(("bbh",), 100)[0].eval_only
    with pytest.raises(SpecError, match="the task 'bbh_a' of the pools bbh is for evaluation only"):
        usable(("bbh",), 100, "train")


def test_paraphrases_are_other_definitions_and_a_split_that_is_neither_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    pool_file(tmp_path, catalogue.POOLS["niv2"].files[0], [row("a", split="other"), row("b", split="test")])
    a, b = load("niv2")
    assert a.paraphrases == ("Say it again.",) and (a.split, b.split) == ("", "test")
    assert [task.name for task in usable(("niv2",), 100, "train")] == ["a"]


def test_tasks_named_as_foreign_are_left_out_of_a_pool_that_has_no_field_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    pool = catalogue.POOLS["instruction_induction"]
    pool_file(tmp_path, pool.files[0], [row("ii_sum"), *(row(name) for name in pool.foreign)])
    assert len(pool.foreign) == 3 and [task.name for task in load("instruction_induction")] == ["ii_sum"]


def test_a_name_that_occurs_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    pool_file(tmp_path, catalogue.POOLS["niv2"].files[0], [row("a"), row("a")])
    with pytest.raises(SpecError, match="has the task 'a' more than once"):
        load("niv2")
    pool_file(tmp_path, catalogue.POOLS["niv2"].files[0], [row("a")])
    pool_file(tmp_path, catalogue.POOLS["p3"].files[0], [row("a")])
    with pytest.raises(SpecError, match="pools niv2, p3: a task is in two of them"):
        usable(("niv2", "p3"), 100)


@pytest.mark.skipif(not catalogue.is_here("p3"), reason="DITUNE_DATA names no folder with the pools")
@pytest.mark.parametrize(("name", "n"), [("niv2", 14), ("instruction_induction", 21), ("p3", 216), ("bbh", 26)])
def test_the_pools_are_read(name, n):
    found = load(name)
    assert len(found) == n and all(task.instances for task in found) and os.environ["DITUNE_DATA"]


def test_the_pool_made_here_is_whole_and_tests_on_other_categories():
    found = load("made_tasks")
    assert 30 <= len(found) == len({task.name for task in found}) and found == load("made_tasks")
    assert all(len(task.examples) == 2 and len(task.instances) >= 20 and task.definition and task.paraphrases for task in found)
    assert not {task.categories for task in found if task.split == "train"} & {task.categories for task in found if task.split == "test"}
    assert {task.kind for task in found if task.split == "train"} == {task.kind for task in found if task.split == "test"} == set(KINDS)
    assert not any(text in dict(task.examples) for task in found for text, _ in task.instances)


def test_the_pool_made_here_is_read_as_itself_from_the_genuine_layout(tmp_path):
    found = load("made_tasks")
    (tmp_path / "splits" / "default").mkdir(parents=True)
    (tmp_path / "tasks").mkdir()
    for split in natural.SPLITS:
        (tmp_path / "splits" / "default" / f"{split}_tasks.txt").write_text("".join(f"{task.name}\n" for task in found if task.split == split))
    for task in found:
        examples, instances = [[{"input": text, "output": output} for text, output in pairs] for pairs in (task.examples, task.instances)]
        fields = {"Definition": [task.definition], "alt_definitions": list(task.paraphrases), "Positive Examples": examples, "Categories": list(task.categories), "Source": [task.source], "Instance License": [task.licence]}
        (tmp_path / "tasks" / f"{task.name}.json").write_text(json.dumps(ENGLISH | fields | {"Instances": [one | {"id": f"{task.name}-{i}"} for i, one in enumerate(instances)]}))
    assert {task.name: task for task in load(str(tmp_path))} == {task.name: task for task in found}


def test_answers_that_people_wrote_are_read_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    assert catalogue.human_here() == ["made_reasoning"]
    rows = [{"instruction": f"Do {i}.", "instances": [{"input": "", "output": f"Done {i}."}, {"input": "", "output": "Again."}]} for i in range(5)]
    (tmp_path / "seed_tasks.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert catalogue.human_here() == ["self_instruct_seed"]
    found = instructions.tests_of(("self_instruct_seed",), 3, 100)["self_instruct_seed"]
    assert len(found) == 3 and all(one.output == one.instruction.replace("Do", "Done") for one in found)
    with pytest.raises(SpecError, match="the set 'self_instruct_seed' has 5 instructions of at most 100 letters; needed: 6"):
        instructions.candidates_of("self_instruct_seed", 6, 100, 0, ())


def test_rouge_l_is_the_best_over_references_and_stemmed():
    assert rouge_l("cats", ("dog", "cat")) == 1.0 and rouge_l("", ("dog",)) == 0.0
    assert rouge_l("a b c d", ("a x c y",)) == 0.5  # the longest common subsequence has 2 of 4 words


def test_a_prompt_is_definition_examples_and_input_and_what_can_be_dropped_are_words_of_definition_and_example_inputs():
    lm = load_model("tiny")
    task = Task("t", "Say  the\ncolour.", (("green grass", "green"), ("white snow", "white")), (("black coal", ("black",)),))
    put = Template(lm).task(task)
    text = lm.decode(pairs(put, 1, lm.eos, 10_000)[0][0])
    whole = "Definition: Say  the\ncolour.\n\nPositive Example 1 -\nInput: green grass\nOutput: green\n\nPositive Example 2 -\nInput: white snow\nOutput: white\n\nNow complete the following example -\nInput: black coal\nOutput:"
    assert text == f"### Instruction\n{whole}\n\n### Response\n" and pairs(put, 1, lm.eos, 10_000)[0][1] == (*lm.encode("black"), lm.eos)
    units = [(segment.part, lm.decode(unit)) for segment in put.prompt if segment.part for unit in segment.units]
    assert units == [("definition", w) for w in (" Say", "  the", "\ncolour.")] + [("examples", w) for w in (" green", " grass", " white", " snow")]


@pytest.mark.parametrize("most", [80, 120, 160, 10_000])
def test_examples_that_do_not_fit_are_left_out_and_long_definitions_cut(most):
    task = load("made_tasks")[0]
    put = Template(load_model("tiny"), most).task(task)
    assert length(put.prompt) <= most or not any(segment.part == "examples" for segment in put.prompt)
    bare = Template(load_model("tiny"), most).task(replace(task, definition=""))
    assert sum(segment.part == "examples" for segment in bare.prompt) >= 1  # so that there is a word that can be dropped
    assert length(segment for segment in put.prompt if segment.part == "definition") <= most // 2
