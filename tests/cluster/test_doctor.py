"""`windlass doctor` says what is wrong with an engine, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.terminal import windlass
from tests.support.worker_thread import running_worker
from windlass import Windlass
from windlass.testing import Engine, start_engine
from windlass_core.certificates import make_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def running() -> Iterator[Engine]:
    """Give an engine for all of these tests."""
    with start_engine() as engine:
        yield engine


def doctor(folder: Path, **environment: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run it, and give its exit code and, by check, the last verdict with what was said."""
    ended = windlass(folder, "doctor", "--json", **environment)
    told = json.loads(ended.stdout)
    assert told["healthy"] == (ended.returncode == 0), ended.stderr
    for each in told["findings"]:
        assert each["verdict"] in {"ok", "skipped"} or each["remedy"] or each["check"] == "api"
    return ended.returncode, {each["check"]: (each["verdict"], each["said"]) for each in told["findings"]}


def test_a_healthy_engine_has_nothing_wrong(running: Engine, tmp_path: Path) -> None:
    """Each of its parts is named."""
    with Windlass(config=running.config) as app:

        @app.task
        def nothing() -> None: ...

        with running_worker(app):
            code, found = doctor(
                tmp_path, WINDLASS_API_ADDRESS=running.api_address, WINDLASS_STORE_URL=running.cluster.store_url
            )
    assert code == 0
    assert {verdict for verdict, _ in found.values()} == {"ok"}, found
    assert set(found) == {
        "settings", "api", "versions", "clocks", "token", "store", "scheduler", "dispatcher", "workers",
    }  # fmt: skip
    assert "1 connected" in found["workers"][1]


def test_what_is_missing_is_said(running: Engine, tmp_path: Path) -> None:
    """A misspelt setting, no worker, a dispatcher out of reach, a store that is not there."""
    code, found = doctor(
        tmp_path,
        WINDLASS_API_ADDRESS=running.api_address,
        WINDLASS_DISPATCHER_ADDRESS="127.0.0.1:1",
        WINDLASS_STORE_URL=f"unix://{tmp_path}/nowhere.sock",
        WINDLASS_TOKN="x",
    )
    assert code == 1
    assert found["settings"] == ("warning", "nothing reads the setting WINDLASS_TOKN: did you mean WINDLASS_TOKEN?")
    assert found["dispatcher"][0] == "failed"
    assert "127.0.0.1:1" in found["dispatcher"][1]


def test_replicas_on_loopback_need_no_encryption(running: Engine, tmp_path: Path) -> None:
    """Several addresses are looked at one by one."""
    replicas = f"ipv4:{running.api_address},{running.api_address}"
    _code, found = doctor(tmp_path, WINDLASS_API_ADDRESS=replicas)
    assert found["api"][0] == "ok"
    assert "tls" not in found


@pytest.mark.parametrize(
    ("environment", "check", "said"),
    [
        ({"WINDLASS_API_ADDRESS": "127.0.0.1:1"}, "api", "no Windlass api reached"),
        ({"WINDLASS_API_ADDRESS": "nonsense"}, "settings", "the port is missing"),
        ({"WINDLASS_TLS_CERT": "/etc/hostname"}, "settings", "belong together"),
        ({"WINDLASS_SESSION_TTL": "1"}, "settings", "services would not start"),
        ({"WINDLASS_STORE_URL": "http://127.0.0.1:1"}, "store", "expected a URL"),
    ],
)
def test_without_an_engine_it_says_where_it_ends(
    tmp_path: Path, environment: dict[str, str], check: str, said: str
) -> None:
    """No traceback, whatever is set."""
    given = {"WINDLASS_API_ADDRESS": "127.0.0.1:1", "WINDLASS_CONNECT_TIMEOUT": "0.5", **environment}
    ended = windlass(tmp_path, "doctor", **given)
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert any(line.startswith("failed") and check in line and said in line for line in ended.stdout.splitlines())


def test_a_token_is_told_with_what_it_allows(running: Engine, tmp_path: Path) -> None:
    """A wrong one fails, and is not shown."""
    secret = "wlt_" + "0" * 49
    _code, found = doctor(tmp_path, WINDLASS_API_ADDRESS=running.api_address, WINDLASS_TOKEN=secret)
    assert found["token"][0] == "failed"
    assert secret not in str(found)


def test_tls_is_told_with_names_and_expiry(tmp_path: Path) -> None:
    """A client that trusts another authority, or names the host otherwise, hears why."""
    files = make_certificates(tmp_path / "ours")
    others = make_certificates(tmp_path / "others")
    settings = {
        "WINDLASS_LISTEN_CERT": str(files["server_cert"]),
        "WINDLASS_LISTEN_KEY": str(files["server_key"]),
        "WINDLASS_LISTEN_CLIENT_CA": str(files["ca_cert"]),
    }
    with start_engine(settings=settings) as engine:
        given = {
            "WINDLASS_API_ADDRESS": engine.api_address,
            "WINDLASS_TLS_CA": str(files["ca_cert"]),
            "WINDLASS_TLS_CERT": str(files["client_cert"]),
            "WINDLASS_TLS_KEY": str(files["client_key"]),
        }
        code, found = doctor(tmp_path, **given)
        assert code == 0, found
        assert found["tls"][0] == "ok"
        assert "localhost, 127.0.0.1" in found["tls"][1]
        assert found["dispatcher"][0] == "ok"
        replicas = f"ipv4:{engine.api_address},{engine.api_address}"
        _code, found = doctor(tmp_path, **{**given, "WINDLASS_API_ADDRESS": replicas})
        assert found["tls"][0] == "ok"
        assert found["tls"][1].startswith(f"{engine.api_address} has a certificate for localhost")
        _code, found = doctor(tmp_path, **{**given, "WINDLASS_TLS_CA": str(others["ca_cert"])})
        assert found["tls"][0] == "failed"
        assert "issuer certificate" in found["tls"][1]
        _code, found = doctor(tmp_path, WINDLASS_API_ADDRESS=engine.api_address, WINDLASS_TLS_CA=str(files["ca_cert"]))
        assert found["tls"][0] == "failed"
        assert "not with this client's certificate" in found["tls"][1]
