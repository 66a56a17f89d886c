"""What each notebook runs: its parameters in, a list of run specs out.

A function's keywords are the parameters of its notebook, so a notebook, the command line and a cluster build the same
specs. Nothing heavy is imported: a wrong parameter is reported before anything starts.
"""

from ..chapters.common import literal
from .selection import prompt_uncertainty

__all__ = ["SPECS", "literal"]


SPECS = {
    "09_prompt_uncertainty": prompt_uncertainty,
}
"""The function of each notebook that trains, or whose parameters need a check."""
