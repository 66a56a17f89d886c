"""The ledger of claims: what the papers state, by which rule each statement is decided, and the verdict on a table.

`ledger` has what all claims share; each other module enters the claims of some chapters, in the order of the chapters.
"""

# Claims are entered in the order of the chapters.
# isort: off
from . import language

# isort: on
from ..claims.ledger import LEDGER, NOT_REPRODUCED, REPRODUCED, RULES, UNDECIDED, Finding, in_words, judge

__all__ = ["LEDGER", "REPRODUCED", "NOT_REPRODUCED", "UNDECIDED", "RULES", "Finding", "in_words", "judge", "language"]
