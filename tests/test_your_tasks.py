"""Your tasks: the numbers are those of a naive loop over pairs; files of all kinds; each mistake is one line that says what to do."""

import gzip
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import TASKS, Killed, kill_after, nothing

from ditune import notebooks, parameters
from ditune.active.uncertainty import perturbed
from ditune.chapters import your_tasks as here
from ditune.language import your_runs, your_tasks
from ditune.language.your_runs import chosen_run, loaded, tasks_run
from ditune.language.your_tasks import ChosenSpec, TasksSpec
from ditune.specs import SpecError
from ditune.store import backends

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    {"instruction": "Add the numbers.", "input": "1 and 2", "output": "3"},
    {"instruction": "Name a colour that is not red.", "input": "", "output": "blue"},
    {"instruction": "Add the numbers.", "input": "4 and 5", "output": "9"},
    {"instruction": "Say hello to a friend of yours.", "input": "", "output": "hello"},
]
TINY = {"model": "tiny", "frame": "plain", "n": 2, "k": 3, "max_tokens": 4, "drop_rate": 0.4}


def written(path: Path, rows=ROWS) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> ChosenSpec:
    path = written(tmp_path_factory.mktemp("tasks") / "my.jsonl")
    return ChosenSpec(**TINY, tasks=path, content=your_tasks.digits(path), n_select=2, embedding="tiny", n_draws=5)


@pytest.fixture(scope="module")
def result(spec, tmp_path_factory) -> dict:
    return tasks_run(spec.first, tmp_path_factory.mktemp("run") / "checkpoint", nothing)


def naive(lm, tokens, n_before: int, ended: bool) -> float:
    """exp of the mean log-likelihood of tokens from n_before on, one forward pass."""
    tokens = [*tokens, lm.eos] if ended else tokens
    with torch.no_grad():
        logits = lm.model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    return math.exp(sum(logits[i - 1, tokens[i]].item() for i in range(n_before, len(tokens))) / (len(tokens) - n_before))


def greedy(lm, tokens, most: int) -> list[int]:
    said = []
    while len(said) < most:
        with torch.no_grad():
            best = int(lm.model(torch.tensor([[*tokens, *said]])).logits[0, -1].argmax())
        if best == lm.eos:
            break
        said.append(best)
    return said


@pytest.mark.parametrize("rows", [ROWS, [task | {"name": name} for name, task in TASKS.items()]], ids=["rows", "tasks"])
def test_the_numbers_are_those_of_a_naive_loop_over_pairs(tmp_path, rows):
    rows = [row for row in rows if "definition" not in row.get("name", "")]
    spec = TasksSpec(**TINY, tasks=written(tmp_path / "my.jsonl", rows))
    result = tasks_run(spec, tmp_path / "checkpoint", nothing)
    lm, found = loaded(spec), your_tasks.ready(spec)
    assert len(found.prompts) > 2
    for r, prompt in enumerate(found.prompts):
        copies = perturbed(prompt.prompt, spec.k, spec.drop_rate, spec.seed, prompt.name).lists()
        moved = []
        for tail in prompt.inputs[: spec.n]:
            said = greedy(lm, [*copies[0], *tail], spec.max_tokens)
            p = [naive(lm, [*head, *tail, *said], len(head) + len(tail), len(said) < spec.max_tokens) for head in copies]
            moved.append([abs(one - p[0]) for one in p[1:]])
        values = torch.tensor(moved)
        columns = {name: column[r] for name, column in result["tasks"].items()}
        assert columns["uncertainty"] == pytest.approx(values.mean().item(), abs=1e-6)
        assert columns["half_a"] == pytest.approx(values[:, ::2].mean().item(), abs=1e-6)
        assert columns["half_b"] == pytest.approx(values[:, 1::2].mean().item(), abs=1e-6)
        assert columns["se_perturbations"] == pytest.approx(values.mean(0).std().item() / spec.k**0.5, abs=1e-6)
        several = len(moved) > 1
        assert columns["se_instances"] == (pytest.approx(values.mean(1).std().item() / 2**0.5, abs=1e-6) if several else None)


def test_rows_with_one_instruction_are_one_task_and_the_ranking_is_the_same_twice(spec, result, tmp_path):
    assert result["tasks"]["task"] == ["row 1", "row 2", "row 4"] and result["tasks"]["n_instances"] == [2, 1, 1]
    again = tasks_run(spec.first, tmp_path / "checkpoint", nothing)
    assert again["tasks"] == result["tasks"]


def test_a_run_that_was_stopped_goes_on_from_there(spec, result, tmp_path, monkeypatch):
    monkeypatch.setattr(your_runs, "GROUP", 1)
    with pytest.raises(Killed):
        tasks_run(spec.first, tmp_path / "checkpoint", kill_after(0))
    measure, asked = your_runs.measure, []
    monkeypatch.setattr(your_runs, "measure", lambda s, tasks, *more: asked.append(len(tasks)) or measure(s, tasks, *more))
    again = tasks_run(spec.first, tmp_path / "checkpoint", nothing)
    assert asked == [1, 1] and again["tasks"] == result["tasks"]


def test_each_strategy_selects_and_the_diversity_of_all_is_given(spec, result, tmp_path):
    found = chosen_run(spec, tmp_path / "checkpoint", nothing, result)
    assert found["selected"].keys() == set(your_tasks.STRATEGIES)
    assert all(len(names) == 2 and set(names) <= set(result["tasks"]["task"]) for names in found["selected"].values())
    most = max(zip(result["tasks"]["uncertainty"], result["tasks"]["task"]))[1]
    assert most in found["selected"]["uncertainty"]
    assert found["vendi"].keys() == {"all", *your_tasks.STRATEGIES} and 2 < found["vendi"]["all"] <= 3


# ---- files -----------------------------------------------------------------------------------------------------------


def test_files_of_all_kinds_hold_the_same_tasks(tmp_path):
    import pandas

    expected = your_tasks.read(written(tmp_path / "my.jsonl"))
    (tmp_path / "my.json").write_text(json.dumps(ROWS))
    (tmp_path / "my.jsonl.gz").write_bytes(gzip.compress((tmp_path / "my.jsonl").read_bytes()))
    pandas.DataFrame(ROWS).to_csv(tmp_path / "my.csv", index=False)
    for name in ("my.json", "my.jsonl.gz", "my.csv"):
        assert your_tasks.read(str(tmp_path / name)) == expected
    other = written(tmp_path / "other.jsonl", [{"ask": row["instruction"], "with": row["input"]} for row in ROWS])
    assert [t.definition for t in your_tasks.read(other, "ask", "with")] == [t.definition for t in expected]


def test_a_folder_and_a_file_of_tasks_of_super_natural_instructions(tmp_path):
    (tmp_path / "tasks").mkdir()
    for name, task in TASKS.items():
        (tmp_path / "tasks" / f"{name}.json").write_text(json.dumps(task))
    names = [task.name for task in your_tasks.read(str(tmp_path))]
    assert names == [name for name in TASKS if "french" not in name]
    rows = [task | {"name": name} for name, task in TASKS.items()]
    assert [task.name for task in your_tasks.read(written(tmp_path / "all.jsonl", rows))] == names


def test_digits_change_with_the_content(tmp_path):
    path = written(tmp_path / "my.jsonl")
    before, of_folder = your_tasks.digits(path), your_tasks.digits(str(tmp_path))
    written(tmp_path / "my.jsonl", ROWS[:2])
    assert your_tasks.digits(path) != before and your_tasks.digits(str(tmp_path)) != of_folder
    assert your_tasks.digits("owner/name") == ""


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content, message", [
    ("no json", "is no JSON"),
    ("", "has no rows"),
    ('{"prompts": "x", "answer": "y"}', "has no column instruction or problem or question or query or prompt. It has prompts, answer; name the one"),
    ('{"instruction": "a"}\n{"instruction": " "}', "row 2 has an empty 'instruction'; fill it in or delete the row"),
    ('{"name": "t", "Definition": "", "Instances": [{"input": "a", "output": "b"}]}', "task 't' has an empty definition and no example"),
])
def test_a_wrong_file_is_one_line_that_says_what_to_do(tmp_path, content, message):
    (tmp_path / "my.jsonl").write_text(content)
    with pytest.raises(SpecError, match="^[^\n]*$") as error:
        here.runs(**notebooks.defaults("your_tasks") | TINY | {"tasks": str(tmp_path / "my.jsonl"), "n_select": 1})
    assert message in str(error.value)


@pytest.mark.parametrize("change, message", [
    ({"tasks": "nowhere.jsonl"}, "'nowhere.jsonl' does not exist; allowed: a file of rows or a folder of tasks"),
    ({"instruction": "instructions"}, "unknown column of my.jsonl 'instructions'; did you mean 'instruction'?"),
    ({"n_select": 4}, "n_select = 4; allowed: 1 to 3"),
    ({"most_letters": 5}, "has no task of at most 5 letters; set most_letters higher"),
    ({"frame": "chats"}, "did you mean 'chat'?"),
    ({"model": "smol"}, "unknown model 'smol'"),
])
def test_a_wrong_parameter_is_one_line(tmp_path, change, message):
    own = notebooks.defaults("your_tasks") | TINY | {"tasks": written(tmp_path / "my.jsonl"), "n_select": 2}
    with pytest.raises(SpecError, match="^[^\n]*$") as error:
        here.runs(**own | change)
    assert message in str(error.value)


def test_a_model_that_cannot_be_measured_is_refused_before_anything_starts(spec, tmp_path, monkeypatch):
    from transformers import T5Config

    T5Config(d_model=8).save_pretrained(tmp_path / "t5")
    for change, message in (
        ({"model": str(tmp_path / "t5")}, "is an encoder-decoder; allowed: causal models"),
        ({"frame": "chat"}, "the model 'tiny' has no chat template; set frame = plain"),
        ({"max_tokens": 5000}, "tokens, the model 'tiny' reads 4096; set most_letters lower"),
        ({"model": str(tmp_path)}, "cannot be loaded"),
    ):
        with pytest.raises(SpecError, match="^[^\n]*$") as error:
            your_tasks.ready(spec.first.replace(**change))
        assert message in str(error.value)


def test_a_model_and_an_adapter_from_a_folder(spec, tmp_path):
    from ditune.language.pretrained import TuneSpec, adapt, load

    lm = load("tiny")
    lm.model.save_pretrained(tmp_path / "model"), lm.tokenizer.save_pretrained(tmp_path / "model")
    adapted = adapt(load(str(tmp_path / "model")), TuneSpec(rank=2, alpha=4), seed=0)
    for name, weight in adapted.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5, generator=torch.Generator().manual_seed(0))
    adapted.model.save_pretrained(tmp_path / "adapter")
    tokens = torch.tensor([[3, 7, 9]])
    expected = adapted.model(tokens).logits
    merged = loaded(spec.first.replace(model=str(tmp_path / "adapter")))
    assert torch.allclose(merged.model(tokens).logits, expected, atol=1e-4)
    assert not torch.allclose(lm.model(tokens).logits, expected, atol=1e-2)
    assert your_tasks.ready(spec.first.replace(model=str(tmp_path / "adapter"))).n_read > 0


# ---- the page --------------------------------------------------------------------------------------------------------


def test_halves_that_disagree_say_not_to_act():
    import pandas

    names = [f"t{i}" for i in range(30)]
    same = pandas.DataFrame({"task": names, "half_a": range(30), "half_b": range(30)})
    agree, found, share = here.halves(same, 5)
    assert agree and found.mean == pytest.approx(1) and share == 1
    assert not here.halves(same.assign(half_b=list(range(29, -1, -1))), 5)[0]
    assert not here.halves(same.assign(half_a=float('nan')), 5)[0]


def test_the_csv_opens_in_pandas_whatever_a_model_wrote(home, monkeypatch):
    import pandas

    texts = ["plain", 'a "quoted", text', "two\nlines", "a\rb\x00c\x85"]
    rows = pandas.DataFrame({name: texts for name in ("task", "definition", "input", "written")})
    rows = rows.assign(uncertainty=0.5, seed=0, key="k")
    assert "4 tasks" in here.write_csv(SimpleNamespace(frame=rows))
    again = pandas.read_csv(home.parent / "book/your_runs/your_tasks.csv")
    assert list(again["written"][:3]) == texts[:3] and (again["uncertainty"] == 0.5).all() and len(again) == 4


def test_it_is_no_part_of_the_study_and_its_page_is_one_of_yours():
    assert "your_tasks" not in {planned.stem for planned in notebooks.plan([], "study")}
    (planned,) = notebooks.plan(["your_tasks"], "study")
    assert notebooks.executed("your_tasks").parent.name == "your_runs" and len(planned.specs) == 2
    assert isinstance(planned.specs[0], TasksSpec) and Path(planned.specs[0].tasks).is_absolute()


def test_the_example_is_small_and_whole():
    tasks = your_tasks.read(str(ROOT / "notebooks" / "example_tasks.jsonl"))
    assert 15 <= len(tasks) <= 30 and all(outputs[0] for task in tasks for _, outputs in task.instances)


@pytest.mark.parametrize("k", [1, 4])
def test_each_part_of_the_page_is_made_of_any_run(home, tmp_path, monkeypatch, k):
    from ditune import study

    monkeypatch.setenv("DITUNE_ROOT", str(ROOT))
    monkeypatch.setattr(backends, "gpu_here", lambda: True)  # in this process
    rows = [{"instruction": f"Say | `{word}` *now*."} for word in ("yes", "no", "$x$")]
    own = TINY | {"k": k, "tasks": written(tmp_path / "my.jsonl", rows), "n_select": 1, "embedding": "tiny"}
    chapter = study.chapter("your_tasks", own)
    assert ("set k to 10" in here.answer(chapter)) == (k == 1)
    here.figure_map(chapter).canvas.draw()
    assert here.corners(chapter).count("\n- ") == 3 and "Estimated: 3 tasks" in here.cost(chapter)
    for text, n in ((here.table_ranking(chapter), 3), (here.table_selections(chapter), len(your_tasks.STRATEGIES))):
        assert len(re.findall(r"^\| .*\|$", text, flags=re.MULTILINE)) == n + 1
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}) == 1


def test_the_lines_of_the_book_run_as_they_stand(home, tmp_path, monkeypatch, capsys):
    from ditune.language import instruction_map
    from ditune.language.pretrained import load

    monkeypatch.setenv("DITUNE_ROOT", str(ROOT))
    monkeypatch.setattr(instruction_map, "sentence_embeddings", instruction_map.word_counts)
    monkeypatch.setattr(backends, "gpu_here", lambda: True)  # in this process
    monkeypatch.chdir(tmp_path)
    lm = load("tiny")
    lm.tokenizer.chat_template = "{% for m in messages %}[{{ m.content }}] {% endfor %}"
    lm.model.save_pretrained("my_model"), lm.tokenizer.save_pretrained("my_model")
    written(tmp_path / "my.jsonl")
    text = (ROOT / "book" / "your_tasks.md").read_text(encoding="utf-8")
    names: dict = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        exec(block, names)
    out = capsys.readouterr().out
    assert len(names["chapter"].frame) == 3 and names["loader"] and "**" in out and "n_droppable" in out and ">" in out


def test_every_parameter_has_a_meaning():
    lacking = [
        (stem, title, row.name)
        for stem in notebooks.stems()
        for title, rows in parameters.of_notebook(stem).items()
        for row in rows
        if not row.meaning
    ]
    assert lacking == []
