"""The Python worker keeps the worker protocol: one test per case of the suite."""

from __future__ import annotations

import pytest

from tests.conformance.case import Case, all_cases
from tests.support.conformance_run import ConformanceRun, chosen, conformance_run


@pytest.fixture(scope="module")
def scored(request: pytest.FixtureRequest) -> ConformanceRun:
    """The suite, played once with those cases that are to be tested."""
    test = test_the_python_worker_keeps_the_rule.__name__
    return conformance_run("tests.conformance.python_worker", chosen(request.session, test, _NAMES))


_NAMES = [each.name for each in all_cases()]


@pytest.mark.timeout(300)  # the first one waits for all
@pytest.mark.parametrize("case", all_cases(), ids=_NAMES)
def test_the_python_worker_keeps_the_rule(case: Case, scored: ConformanceRun) -> None:
    """The case's own docstring is the rule."""
    assert not scored.reasons[case.name], f"{case.rule}\n{scored.reasons[case.name]}"
