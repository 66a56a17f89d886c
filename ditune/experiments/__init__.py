"""What each notebook runs: its parameters in, a list of run specs out.

A function's keywords are the parameters of its notebook, so a notebook, the command line and a cluster build the same
specs. Nothing heavy is imported: a wrong parameter is reported before anything starts.
"""

from ..chapters.common import listed, literal
from ..specs import unknown
from .language import code_generation, instruction_map
from .selection import active_selection, prompt_uncertainty, task_map

__all__ = ["SPECS", "SURVEYS", "TIMED", "literal"]


def cost(profiles) -> list:
    """17: what the recorded runs of these profiles cost; it needs no runs of its own."""
    from ..notebooks import profiles as known

    for name in listed("profiles", profiles, str):
        if name not in known():
            raise unknown("profile", name, known())
    return []


SPECS = {
    "09_prompt_uncertainty": prompt_uncertainty,
    "10_active_selection": active_selection,
    "11_task_map": task_map,
    "13_code_generation": code_generation,
    "14_instruction_diversity_map": instruction_map,
    "17_cost": cost,
}
"""The function of each notebook that trains, or whose parameters need a check."""

SURVEYS = ("17_cost",)
"""Notebooks that draw on the records of all others and on `results/benchmarks/`, and make none of their own."""

TIMED = ("09_prompt_uncertainty",)
"""Notebooks that show measurements of `results/benchmarks/` beside their own runs."""
