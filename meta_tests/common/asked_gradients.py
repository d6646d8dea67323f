"""Adapters' own gradients, judged: of a probed layer each element."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meta_tests.common.frameworks import framework_adapter
from reference import Case, Verdict, judge_gradients, probe


def differentiating(name: str) -> Any:
    """The adapter of that name; skips the test where it is absent, or its backend computes no gradients."""
    adapter: Any = framework_adapter(name)
    if reason := adapter.capabilities.unsupported.get(("gradients", True)):
        pytest.skip(reason)
    return adapter


def verdict_on_gradients(adapter: Any, case: Case, declared: str | None = None, **spec: Any) -> Verdict:
    """What is judged of the adapter's gradients of a case.  spec: fields of the spec that is built instead."""
    probed = probe(case)
    module = adapter.build(replace(probed.spec, **spec), probed.parameters)
    return judge_gradients(case, adapter.gradients(module, **probed.inputs, cotangents=probed.cotangents), declared)
