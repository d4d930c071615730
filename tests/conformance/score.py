"""Owns how verdicts are shown: a table for people, JSON for programs."""

from __future__ import annotations

import json
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conformance.case import Case
    from tests.conformance.suite import Verdict


def table(verdicts: Sequence[Verdict], without: Sequence[str], left_out: Sequence[Case]) -> str:
    """One line per case, the reasons of failures below them, the score at the end, and what it leaves out."""
    lines: list[str] = []
    for topic, of_topic in groupby(verdicts, key=lambda each: each.case.topic):
        lines.append(topic)
        for verdict in of_topic:
            mark = "ok  " if verdict.passed else "FAIL"
            lines.append(f"  {mark} {verdict.seconds:5.1f} s  {verdict.case.name}: {verdict.case.rule}")
            if not verdict.passed:
                lines.append(textwrap.indent(verdict.why, " " * 16))
    missing = f", without {', '.join(without)}: {len(left_out)} cases not played" if left_out else ""
    lines.append(f"score {sum(each.passed for each in verdicts)}/{len(verdicts)}{missing}")
    return "\n".join(lines)


def as_json(verdicts: Sequence[Verdict], command: str, without: Sequence[str], left_out: Sequence[Case]) -> str:
    """The same as one JSON object."""
    results = [
        {
            "topic": each.case.topic,
            "name": each.case.name,
            "rule": each.case.rule,
            "passed": each.passed,
            "why": each.why,
            "seconds": round(each.seconds, 2),
        }
        for each in verdicts
    ]
    passed = sum(each.passed for each in verdicts)
    told = {
        "worker": command,
        "passed": passed,
        "cases": len(verdicts),
        "without": list(without),
        "left_out": [each.name for each in left_out],
        "results": results,
    }
    return json.dumps(told, indent=2)
