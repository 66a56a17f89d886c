"""A wrong parameter of a chapter is refused in one line."""

import pytest

from ditune import notebooks
from ditune.specs import SpecError

WRONG = {
    "01_rewriting_tasks": [{"n_examples": 0}, {"seed": "a"}, {"task": {"x_length": 3}}, {"task": [3]}],
    "02_number_of_rules": [{"n_rules": []}, {"n_rules": ["a"]}, {"task": {"n_rules": 3}}, {"n_seeds": 0}, {"n_test": 1.5}],
    "03_no_ops": [{"no_op_shares": []}, {"no_op_shares": [2.0]}, {"task": {"no_op_share": 0.1}}, {"train": {"steps": 1}}],
    "04_occurrences": [{"occurrences": []}, {"occurrences": [1]}, {"task": {"occurrences": 2}}],
    "05_semantic_families": [{"mixes": []}, {"mixes": [["reversed"]]}, {"lowest_k": 0}, {"task": {"k": 3}}, {"k_ranges": [[4, 3]]}],
    "06_long_tail": [{"tail_alphas": []}, {"tail_alphas": [0.0]}, {"kept_share": 0}, {"kept_share": "half"}, {"halved_rules": "many"}],
    "07_what_moves_the_threshold": [{"variants": {"a": {"steps": 3}}}, {"variants": [3]}, {"probed": []}],
    "08_running_algorithms": [{"models": [{"tasks": {}}]}, {"models": [{}]}, {"algorithms": {"algorithm_rules": [3]}}, {"tested_z_len": [4, 3]}],
}


@pytest.mark.parametrize("stem, wrong", [(stem, wrong) for stem, rows in WRONG.items() for wrong in rows])
def test_a_wrong_parameter_is_refused_in_one_line(stem, wrong):
    with pytest.raises(SpecError) as error:
        notebooks.module_of(stem).runs(**notebooks.defaults(stem) | wrong)
    assert "\n" not in str(error.value)
