"""The chapters and their profiles: parameters agree, every profile is valid, figures have captions and words for them."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ditune import claims, experiments, notebooks, specs

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
CHAPTERS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
PROFILES = sorted(path.stem for path in (FOLDER / "profiles").glob("*.yaml"))
BOOK = FOLDER.parent / "book"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in BOOK.glob("*.md")}
JUDGING = [stem for stem in CHAPTERS if "claims.judge" in (FOLDER / f"{stem}.ipynb").read_text(encoding="utf-8")]
"""The chapters that decide claims, and show a larger profile beside the executed one."""


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


def test_larger_profiles_have_seeds_enough_for_a_verdict():
    for profile in ("workstation", "paper"):
        assert all(values.get("n_seeds", 3) >= 3 for values in notebooks.profile_parameters(profile).values())


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


def judged(stem: str) -> list[str]:
    """The claims that a chapter decides, as its cell of rules lists them."""
    return re.findall(r'"([AD]\d+n?)"', re.search(r"IDS = (\[.*?\])", "".join("".join(cell["source"]) for cell in cells(stem))).group(1))


def test_the_front_page_states_the_claims_of_the_ledger_with_both_verdicts_of_their_chapter():
    pattern = r"^\| ([AD]\d+n?) \| (.+?) \| .*`notebooks/(\w+)\.ipynb::verdict_([AD]\d+n?):s.* \| .*`notebooks/(\w+)\.ipynb::larger_([AD]\d+n?):s.* \|$"
    rows = re.findall(pattern, PAGES["index"], flags=re.MULTILINE)
    chapter = {id: stem for stem in JUDGING for id in judged(stem)}
    assert rows == [(c.id, c.statement, chapter[c.id], c.id, chapter[c.id], c.id) for c in claims.LEDGER.values()]


@pytest.mark.slow
@pytest.mark.parametrize("stem", JUDGING)
def test_a_chapter_runs_with_plain_papermill_and_glues_what_is_shown(stem, tmp_path, monkeypatch):
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path))
    (tmp_path / "parameters.yaml").write_text(json.dumps(notebooks.profile_parameters("smoke")[stem]))
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", FOLDER / f"{stem}.ipynb", out, "-f", tmp_path / "parameters.yaml"]
    subprocess.run(command, check=True, capture_output=True)
    outputs = [o for cell in json.loads(out.read_text())["cells"] for o in cell.get("outputs", [])]
    glued = {o["metadata"]["scrapbook"]["name"] for o in outputs if "scrapbook" in o.get("metadata", {})}
    elsewhere = set(re.findall(rf"`notebooks/{stem}\.ipynb::(\w+)", "".join(PAGES.values())))
    here = set(re.findall(r"\{glue:text\}`(\w+)", "".join("".join(cell["source"]) for cell in cells(stem))))
    assert glued == elsewhere | here


def test_a_survey_of_an_unknown_profile_is_refused():
    with pytest.raises(specs.SpecError, match="unknown profile 'nope'.*laptop"):
        experiments.SPECS["17_cost"](["laptop", "nope"])
    assert experiments.SPECS["17_cost"](["laptop"]) == []
