"""Speed of this study's programs against the programs that one would use otherwise; `ditune bench` runs them.

Each module has `measure(quick)`, which returns rows as `benchmarks.timing.row` and `benchmarks.timing.point` make them.
Peers get the same model, batch, data and precision, and the tests check that both sides compute the same thing.
"""
