"""The chapters and their profiles: parameters agree, every profile is valid, figures have captions and words for them."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ditune import claims, notebooks, specs

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
CHAPTERS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
PROFILES = sorted(path.stem for path in (FOLDER / "profiles").glob("*.yaml"))
BOOK = FOLDER.parent / "book"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in BOOK.glob("*.md")}
SHOWN = set(re.findall(r"\{glue:text\}`notebooks/02_number_of_rules\.ipynb::(\w+)", "".join(PAGES.values())))


def cells(stem: str) -> list[dict]:
    return json.loads((FOLDER / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("stem", CHAPTERS)
def test_a_notebooks_own_parameters_are_the_laptop_profile(stem):
    assert notebooks.defaults(stem) == notebooks.profile_parameters("laptop")[stem]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_sets_every_parameter_of_every_notebook_and_is_valid(profile):
    assert notebooks.profile_parameters(profile).keys() == set(CHAPTERS)
    for planned in notebooks.plan([], profile):
        assert planned.parameters == notebooks.profile_parameters(profile)[planned.stem]


def test_the_profile_paper_has_the_papers_sizes_and_grid():
    (planned,) = notebooks.plan(["02_number_of_rules"], "paper")
    grid = planned.parameters["n_rules"]
    assert grid == list(claims.number_of_rules.PAPER_CURVE) and len(planned.specs) == len(grid) * planned.parameters["n_seeds"]
    for run in planned.specs:
        assert run.task == specs.TaskSpec(n_rules=run.task.n_rules) and run.model == specs.ModelSpec() and run.train.optimizer == "adamw"


def test_all_profiles_but_smoke_have_seeds_enough_for_a_verdict():
    for profile in set(PROFILES) - {"smoke"}:
        assert notebooks.profile_parameters(profile)["02_number_of_rules"]["n_seeds"] >= 3


@pytest.mark.parametrize("stem", CHAPTERS)
def test_notebooks_are_stripped_short_and_have_stable_ids(stem):
    found = cells(stem)
    assert len({cell["id"] for cell in found}) == len(found) < 20
    assert not any(len(cell["id"]) == 8 and all(c in "0123456789abcdef" for c in cell["id"]) for cell in found), "ids have names"
    code = [cell for cell in found if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for cell in code for node in ast.walk(ast.parse("".join(cell["source"]))))


@pytest.mark.parametrize("stem", CHAPTERS)
def test_every_figure_has_a_name_a_caption_and_a_text_for_those_who_do_not_see_it(stem):
    for cell in cells(stem):
        if "figure = " in "".join(cell["source"]) and cell["cell_type"] == "code":
            options = cell["metadata"]["mystnb"]
            assert options["figure"]["name"].startswith("fig-") and len(options["figure"]["caption"]) > 80 and len(options["image"]["alt"]) > 40


def test_the_front_page_states_the_claims_of_the_ledger_and_shows_both_verdicts():
    rows = re.findall(r"^\| (D\d+) \| (.+?) \| .*::verdict_(D\d+):s.* \| .*::larger_(D\d+):s.* \|$", PAGES["index"], flags=re.MULTILINE)
    assert rows == [(c.id, c.statement, c.id, c.id) for c in claims.LEDGER.values()]


@pytest.mark.slow
def test_the_chapter_runs_with_plain_papermill_and_glues_what_the_front_page_shows(tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path))
    parameters = notebooks.profile_parameters("smoke")["02_number_of_rules"]
    (tmp_path / "parameters.yaml").write_text(json.dumps(parameters))
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", FOLDER / "02_number_of_rules.ipynb", out, "-f", tmp_path / "parameters.yaml", "-p", "n_rules", "[20, 50]"]
    subprocess.run(command, check=True, capture_output=True)
    outputs = [o for cell in json.loads(out.read_text())["cells"] for o in cell.get("outputs", [])]
    glued = {o["metadata"]["scrapbook"]["name"] for o in outputs if "scrapbook" in o.get("metadata", {})}
    in_the_chapter = set(re.findall(r"\{glue:text\}`(\w+)", "".join("".join(cell["source"]) for cell in cells("02_number_of_rules"))))
    assert glued == SHOWN | in_the_chapter
    assert any("50" in "".join(o.get("data", {}).get("text/markdown", "")) for o in outputs)
