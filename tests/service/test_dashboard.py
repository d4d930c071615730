"""The Grafana dashboard that we ship names metrics, and labels, that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

from windlass_core.metrics import Metrics

_DASHBOARD = Path(__file__).parent.parent.parent / "deploy" / "grafana" / "windlass.json"
_SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")


def test_every_metric_of_the_dashboard_is_exported_and_all_are_shown() -> None:
    """What is renamed is renamed in both."""
    families = {family.name: family for family in Metrics().registry.collect()}
    exported = {name + suffix: name for name in families for suffix in _SUFFIXES}
    dashboard = json.loads(_DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expression in expressions for name in re.findall(r"windlass_\w+", expression)}
    assert named <= exported.keys()
    assert {exported[name] for name in named} == families.keys()


def test_panels_do_not_lie_upon_each_other() -> None:
    """Each has a place of its own in the 24 columns."""
    places = [panel["gridPos"] for panel in json.loads(_DASHBOARD.read_text())["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
