"""What `windlass cron` and `windlass scheduled` say about a running engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.terminal import windlass
from windlass import Windlass
from windlass.testing import start_engine

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Windlass, Callable[..., str]]]:
    """Give an app of an engine, and what a command prints that ends well."""
    folder: Path = tmp_path_factory.mktemp("site")
    with start_engine() as engine, Windlass(config=engine.config) as app:

        def type_in(*arguments: str) -> str:
            ended: subprocess.CompletedProcess[str] = windlass(
                folder, *arguments, WINDLASS_API_ADDRESS=engine.api_address
            )
            assert (ended.returncode, ended.stderr) == (0, "")
            return ended.stdout

        yield app, type_in


def test_a_cron_is_made_looked_at_paused_and_deleted(typed: tuple[Windlass, Callable[..., str]]) -> None:
    """By its id, which `create` prints."""
    app, type_in = typed

    @app.task(on_crons=["@yearly"])
    def report(region: str = "eu") -> None: ...

    app.runs.cancel(report.delay().id)
    cron_id = type_in(
        "cron", "create", "report", "nightly", "30 2 * * *", "--timezone", "Europe/Berlin",
        "--input", '{"region": "us"}', "--catch-up", "one", "--overlap", "skip", "--priority", "high",
    ).strip()  # fmt: skip
    declared, made = json.loads(type_in("cron", "list", "--workflow", "report", "--json"))
    assert (declared["name"], declared["declared"], made["id"]) == ("@yearly", True, cron_id)
    assert (made["input"], made["catch_up"], made["overlap"]) == ({"region": "us"}, "one", "skip")
    assert cron_id in type_in("cron", "list")
    assert "Europe/Berlin" in type_in("cron", "get", cron_id)
    assert type_in("cron", "pause", cron_id) == f"paused: {cron_id}\n"
    assert "paused" in type_in("cron", "get", cron_id)
    assert type_in("cron", "unpause", cron_id) == f"going on: {cron_id}\n"
    assert type_in("cron", "delete", cron_id) == f"deleted: {cron_id}\n"
    assert len(app.cron.list("report")) == 1


def test_scheduled_runs_are_listed_and_deleted(typed: tuple[Windlass, Callable[..., str]]) -> None:
    """The next one first."""
    app, type_in = typed

    @app.task
    def remind(whom: str) -> None: ...

    later, sooner = [remind.schedule(datetime.now(UTC) + timedelta(hours=hours), "me") for hours in (9, 3)]
    listed = json.loads(type_in("scheduled", "list", "--workflow", "remind", "--json"))
    assert [each["id"] for each in listed] == [sooner.id, later.id]
    assert sooner.id in type_in("scheduled", "list")
    assert type_in("scheduled", "delete", sooner.id, later.id) == f"deleted: {sooner.id}\ndeleted: {later.id}\n"
    assert type_in("scheduled", "list") == "nothing is scheduled\n"
