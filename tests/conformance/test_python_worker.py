"""The Python worker keeps the worker protocol: one test per case of the suite."""

from __future__ import annotations

import pytest

from tests.conformance.case import Case, all_cases
from tests.support.conformance_run import ConformanceRun, conformance_run

_WORKER = "tests.conformance.python_worker"
_TEST = "test_the_python_worker_keeps_the_rule"


@pytest.fixture(scope="module")
def scored(request: pytest.FixtureRequest) -> ConformanceRun:
    """The suite, played once with those cases that are to be tested."""
    chosen = {item.name for item in request.session.items}
    names = [each.name for each in all_cases()]
    return conformance_run(_WORKER, [name for name in names if f"{_TEST}[{name}]" in chosen])


@pytest.mark.timeout(300)  # the first one waits for all
@pytest.mark.parametrize("case", all_cases(), ids=lambda each: each.name)
def test_the_python_worker_keeps_the_rule(case: Case, scored: ConformanceRun) -> None:
    """The case's own docstring is the rule."""
    assert not scored.reasons[case.name], f"{case.rule}\n{scored.reasons[case.name]}"
