"""What the services can be set to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from windlass_core.settings import (
    ApiSettings,
    DispatcherSettings,
    SchedulerSettings,
    ServiceSettings,
    SettingsRefused,
    read_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

ALL = [ApiSettings, DispatcherSettings, SchedulerSettings]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting comes from around the tests."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ALL)
def test_every_setting_has_a_default_that_works(kind: type[ServiceSettings]) -> None:
    """And says what it is for."""
    assert read_settings(kind).session_ttl == timedelta(seconds=15)
    for name, field in kind.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("0.5", 0.5), ("PT2M", 120), ("00:01:30", 90), ("1 day, 00:00:00", 86400)]
)
def test_durations_are_read(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    """A plain number is seconds."""
    monkeypatch.setenv("WINDLASS_RETENTION", text)
    assert read_settings(SchedulerSettings).retention == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WINDLASS_STORE_URL", "http://localhost", "redis://"),
        ("WINDLASS_STORE_URL", "localhost:6379", "redis://"),
        ("WINDLASS_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("WINDLASS_LOG_FORMAT", "xml", "'auto', 'json' or 'text'"),
        ("WINDLASS_SESSION_TTL", "soon", "duration"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    """The variable, what it holds, what was expected."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused) as raised:
        read_settings(ApiSettings)
    told = str(raised.value)
    assert name in told
    assert expected in told
    assert value in told


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to learn of them one by one."""
    monkeypatch.setenv("WINDLASS_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("WINDLASS_STORE_URL", "nowhere")
    with pytest.raises(SettingsRefused, match=r"(?s)STORE_URL.*LOG_LEVEL"):
        read_settings(ApiSettings)


def test_a_password_is_not_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are never in logs."""
    monkeypatch.setenv("WINDLASS_STORE_URL", "http://:secret@localhost")
    with pytest.raises(SettingsRefused) as raised:
        read_settings(ApiSettings)
    assert "secret" not in str(raised.value)


def test_heartbeats_have_to_fit_into_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of them: one may be lost, one late."""
    monkeypatch.setenv("WINDLASS_SESSION_TTL", "9")
    monkeypatch.setenv("WINDLASS_HEARTBEAT_INTERVAL", "3")
    read_settings(DispatcherSettings)
    monkeypatch.setenv("WINDLASS_HEARTBEAT_INTERVAL", "3.1")
    with pytest.raises(SettingsRefused, match="three times heartbeat_interval"):
        read_settings(DispatcherSettings)


def test_settings_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment goes first; other programs' lines are left alone."""
    (tmp_path / ".env").write_text("WINDLASS_LISTEN=127.0.0.1:1\nWINDLASS_HTTP_LISTEN=127.0.0.1:2\nOTHER=1\n")
    monkeypatch.setenv("WINDLASS_LISTEN", "127.0.0.1:3")
    settings = read_settings(ApiSettings)
    assert (settings.listen, settings.http_listen) == ("127.0.0.1:3", "127.0.0.1:2")


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys", "unix"])
def test_all_schemes_of_the_store_are_known(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Plain, TLS, and sockets."""
    monkeypatch.setenv("WINDLASS_STORE_URL", f"{scheme}://somewhere/0")
    assert read_settings(ApiSettings).store_url.startswith(scheme)


def test_settings_do_not_change() -> None:
    """They are read once."""
    with pytest.raises(ValueError, match="frozen"):
        read_settings(ApiSettings).listen = "elsewhere:1"  # type: ignore[misc] # that is the point
