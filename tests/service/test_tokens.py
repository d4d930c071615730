"""The token service, the SDK's client of it, and `windlass token`."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from windlass import ClientConfig, InvalidInput, MissingScope, Unauthorized, Windlass
from windlass_core.local import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def secured() -> Iterator[LocalCluster]:
    """Give a cluster that wants tokens."""
    with LocalCluster(settings={"WINDLASS_REQUIRE_TOKENS": "true"}) as cluster:
        yield cluster


@pytest.fixture
def cli(secured: LocalCluster, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give `windlass`, at that cluster."""

    def run(*arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "WINDLASS_API_ADDRESS": secured.api_address,
            "WINDLASS_STORE_URL": secured.store_url,
            "WINDLASS_TOKEN": token,
        }
        command = [sys.executable, "-m", "windlass.cli", *arguments]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def _app(cluster: LocalCluster, token: str) -> Windlass:
    return Windlass(config=ClientConfig.model_validate({"api_address": cluster.api_address, "token": token}))


def test_the_first_token_makes_others(secured: LocalCluster, cli: Any) -> None:
    """Made in the store; what it makes has its namespace."""
    made = cli("token", "create", "--store", "--namespace", "first", "--scope", "admin")
    assert made.returncode == 0
    with _app(secured, made.stdout.strip()) as admin:
        reader = admin.tokens.create("reader", scopes=["read"], expires=timedelta(hours=1))
        assert reader.secret not in repr(reader)
        assert reader.token.expires_at == reader.token.created_at + timedelta(hours=1)
        assert {token.name for token in admin.tokens.list()} == {"", "reader"}
        with pytest.raises(InvalidInput):
            admin.tokens.create(scopes=["nonsense"])
        with pytest.raises(InvalidInput, match="scopes"):
            admin.tokens.create(scopes=[])
        with _app(secured, reader.secret) as app:
            assert app.runs.list() == []
            with pytest.raises(MissingScope) as raised:
                app.tokens.list()
            assert raised.value.scopes == ("admin",)
            assert admin.tokens.revoke(reader.token.id) == {reader.token.id: "revoked"}
            assert admin.tokens.revoke(reader.token.id) == {reader.token.id: "already"}
            with pytest.raises(Unauthorized) as refused:
                app.runs.list()
            assert refused.value.why == "revoked"


async def test_tokens_have_a_life_on_the_loop(secured: LocalCluster, cli: Any) -> None:
    """The aio twins do the same."""
    made = await asyncio.to_thread(cli, "token", "create", "--store", "--namespace", "loop", "--scope", "admin")
    async with _app(secured, made.stdout.strip()) as admin:
        worker = await admin.tokens.aio_create("w", scopes=["work"], expires="30d")
        assert next(iter(await admin.tokens.aio_list())).id == worker.token.id
        assert await admin.tokens.aio_revoke(worker.token.id) == {worker.token.id: "revoked"}


def test_a_submit_only_token_submits_and_waits_for_nothing(secured: LocalCluster, cli: Any) -> None:
    """Each call is refused by itself: others on the same connection go on."""
    made = cli("token", "create", "--store", "--namespace", "only", "--scope", "submit")
    app = _app(secured, made.stdout.strip())

    @app.task
    def late(number: int) -> int:
        return number

    with app:
        ref = late.delay(1)
        with pytest.raises(MissingScope) as raised:
            late.run(2)
        assert raised.value.scopes == ("read",)
        with pytest.raises(MissingScope):
            ref.result(timeout=10)
        assert late.delay(3).id
        app.runs.cancel(ref.id)


def test_a_token_is_written_once(cli: Any, tmp_path: Path) -> None:
    """For compose: as long as the file has one that holds, nothing is made."""
    file = tmp_path / "below" / "token"
    again = ("token", "create", "--store", "--if-missing", "--file", str(file), "--scope", "work,read", "--json")
    first = json.loads(cli(*again).stdout)
    assert first["scopes"] == ["read", "work"]
    text = file.read_text().strip()
    assert text.startswith("wlt_")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert cli(*again).stdout == ""
    assert file.read_text().strip() == text
    assert cli("token", "revoke", "--store", first["id"]).returncode == 0
    assert json.loads(cli(*again).stdout)["id"] != first["id"]
    assert file.read_text().strip() != text
    assert cli("token", "create", "--if-missing", "--scope", "work").returncode == 2


def test_the_command_line_says_who_may_not(cli: Any) -> None:
    """With an exit code of its own."""
    nobody = cli("token", "list")
    assert (nobody.returncode, nobody.stdout) == (8, "")
    assert nobody.stderr.startswith("error: no token came with the call")
    reader = cli("token", "create", "--store", "--scope", "read").stdout.strip()
    refused = cli("run", "shout", token=reader)
    assert refused.returncode == 8
    assert "needs the scope submit" in refused.stderr
    assert cli("workers", "list", token=reader).returncode == 0
    wrong = cli("token", "revoke", "--store", reader)
    assert wrong.returncode == 1
    assert reader not in wrong.stderr
    assert cli("token", "list", "--namespace", "other", token=reader).returncode == 2


def test_a_token_made_in_the_store_is_all_of_stdout(secured: LocalCluster, cli: Any) -> None:
    """Whatever there is to be said of the store: a script takes what is printed for the token."""
    with Redis.from_url(secured.store_url) as store:
        store.config_set("appendonly", "no")
        made = cli("token", "create", "--store", "--scope", "read")
        store.config_set("appendonly", "yes")
    assert made.stdout.startswith("wlt_")
    assert len(made.stdout.split()) == 1


def test_what_cannot_be_a_token_is_refused_here(cli: Any) -> None:
    """In one line that names the setting and not the text."""
    for text in ("wlt_one\nwlt_two", "wlt_one two", "wlt_\N{SNOWMAN}"):
        refused = cli("runs", "list", token=text)
        assert (refused.returncode, refused.stdout) == (2, "")
        (line,) = refused.stderr.splitlines()
        assert line.startswith("error: WINDLASS_TOKEN: a token was expected")
        assert "wlt_" not in line
