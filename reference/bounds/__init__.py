"""How far rounding may move an answer: two bounds, derived for each element of each case.

arithmetic: what is promised and every constant.  step: from the framework's own states.  trajectory: the whole answer.
dense: an affine head.  docs/error-bounds.md has the proofs.
"""
