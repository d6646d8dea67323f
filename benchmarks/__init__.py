"""What the reference and the judge cost, beside what they check. `python -m benchmarks` prints docs/times.md's tables.

questions: what is compared with what, and the limits.  ratios: how two functions are timed against each other.
test_forward, test_judge, test_case: the same functions under pytest-benchmark, for their statistics and histories.
"""
