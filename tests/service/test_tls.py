"""TLS and mutual TLS, on every way that there is: clients, workers, and the store."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.loop_thread import LoopThread
from tests.support.until import until
from windlass import ApiUnreachable, ClientConfig, Windlass
from windlass_core.certificates import make_certificates
from windlass_core.local import LocalCluster
from windlass_core.service import EXIT_REFUSED, EXIT_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Files = dict[str, "Path"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Give certificates of one authority."""
    return make_certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Give certificates of another one."""
    return make_certificates(tmp_path_factory.mktemp("strangers"))


def _serving(files: Files, **more: str) -> dict[str, str]:
    return {
        "WINDLASS_LISTEN_CERT": str(files["server_cert"]),
        "WINDLASS_LISTEN_KEY": str(files["server_key"]),
        **more,
    }


@pytest.fixture(scope="module")
def secured(files: Files) -> Iterator[LocalCluster]:
    """Give a cluster that lets in only whom our authority has signed."""
    with LocalCluster(settings=_serving(files, WINDLASS_LISTEN_CLIENT_CA=str(files["ca_cert"]))) as cluster:
        yield cluster


def _config(address: str, files: Files | None = None, own: Files | None = None, **more: Any) -> ClientConfig:
    given: dict[str, Any] = {"api_address": address, "connect_timeout": 2.0, **more}
    if files is not None:
        given["tls_ca"] = files["ca_cert"]
    if own is not None:
        given |= {"tls_cert": own["client_cert"], "tls_key": own["client_key"]}
    return ClientConfig.model_validate(given)


def test_the_files_are_for_their_owner_alone(files: Files) -> None:
    """And are not written over."""
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    with pytest.raises(FileExistsError):
        make_certificates(files["ca_cert"].parent)


def test_a_client_that_shows_its_certificate_is_served(secured: LocalCluster, files: Files) -> None:
    """Over the stream and by single calls."""
    with Windlass(config=_config(secured.api_address, files, files)) as app:
        assert {each.name for each in app.workers.list()} <= {"tls_tasks"}  # another test's, just gone

        @app.task
        def late() -> None: ...

        assert app.runs.get(late.delay().id).id


@pytest.mark.parametrize("kind", ["in the clear", "no certificate", "a stranger's certificate", "a stranger's server"])
def test_anybody_else_is_not(secured: LocalCluster, files: Files, strangers: Files, kind: str) -> None:
    """And hears what to check."""
    config = {
        "in the clear": lambda: _config(secured.api_address),
        "no certificate": lambda: _config(secured.api_address, files),
        "a stranger's certificate": lambda: _config(secured.api_address, files, strangers),
        "a stranger's server": lambda: _config(secured.api_address, strangers, files),
    }[kind]()
    with Windlass(config=config) as app, pytest.raises(ApiUnreachable, match="TLS"):
        app.workers.list()


def test_a_worker_finds_its_dispatcher_and_checks_its_name(secured: LocalCluster, files: Files, tmp_path: Path) -> None:
    """By ListDispatchers; `windlass worker` and `windlass run` by their settings."""
    (tmp_path / "tls_tasks.py").write_text(
        "from windlass import Windlass\napp = Windlass()\n@app.task\ndef double(n: int) -> int:\n    return n * 2\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
    environment |= {
        "WINDLASS_API_ADDRESS": secured.api_address,
        "WINDLASS_TLS_CA": str(files["ca_cert"]),
        "WINDLASS_TLS_CERT": str(files["client_cert"]),
        "WINDLASS_TLS_KEY": str(files["client_key"]),
    }
    command = [sys.executable, "-m", "windlass.cli"]
    worker = subprocess.Popen([*command, "worker", "tls_tasks"], cwd=tmp_path, env=environment)
    try:
        run = [*command, "run", "double", "--input", '{"n": 21}', "--timeout", "30"]
        with Windlass(config=_config(secured.api_address, files, files)) as app:
            until(lambda: bool(app.workers.list()), "the worker is connected")
        ended = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout.strip()) == (0, "42"), ended.stderr
    finally:
        worker.terminate()
        worker.wait()


def test_a_dispatcher_under_a_name_that_is_not_its_own_gets_no_worker(files: Files, tmp_path: Path) -> None:
    """Whatever the api says: 127.0.0.2 is not in the certificate."""
    settings = _serving(files, WINDLASS_ADVERTISE="127.0.0.2:1")
    with LocalCluster(settings=settings) as cluster:
        (dispatcher,) = cluster.processes("dispatcher")
        port = dispatcher.ports["grpc"]
        dispatcher.stop()
        dispatcher.set(WINDLASS_ADVERTISE=f"127.0.0.2:{port}", WINDLASS_LISTEN=f"127.0.0.2:{port}")
        dispatcher.restart()
        tasks = "from windlass import Windlass\napp = Windlass()\n@app.task\ndef t() -> None: ...\n"
        (tmp_path / "tls_tasks.py").write_text(tasks)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
        environment |= {"WINDLASS_API_ADDRESS": cluster.api_address, "WINDLASS_TLS_CA": str(files["ca_cert"])}
        with (tmp_path / "log").open("wb") as log:
            command = [sys.executable, "-m", "windlass.cli", "worker", "tls_tasks"]
            worker = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: f"127.0.0.2:{port} can't be reached" in (tmp_path / "log").read_text(), "it says so")
            assert "Hostname" in (tmp_path / "log").read_text() or "verif" in (tmp_path / "log").read_text().lower()
        finally:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize("service", ["api", "dispatcher", "scheduler"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda f, _: {"WINDLASS_LISTEN_CERT": "/nowhere.pem", "WINDLASS_LISTEN_KEY": str(f["server_key"])},
         "WINDLASS_LISTEN_CERT=/nowhere.pem: No such file"),
        (lambda f, _: {"WINDLASS_LISTEN_CERT": str(f["server_cert"]), "WINDLASS_LISTEN_KEY": str(f["client_key"])},
         "is not the key of WINDLASS_LISTEN_CERT"),
        (lambda f, _: {"WINDLASS_LISTEN_CERT": str(f["server_key"]), "WINDLASS_LISTEN_KEY": str(f["server_key"])},
         "expected a certificate chain and its key"),
        (lambda f, _: _serving(f, WINDLASS_LISTEN_CLIENT_CA=str(f["ca_key"])), "WINDLASS_LISTEN_CLIENT_CA="),
        (lambda f, _: {"WINDLASS_LISTEN_CERT": str(f["server_cert"])}, "belong together"),
        (lambda f, _: {"WINDLASS_LISTEN_CLIENT_CA": str(f["ca_cert"])}, "WINDLASS_LISTEN_CLIENT_CA goes with"),
        (lambda f, _: {"WINDLASS_STORE_CA": str(f["ca_cert"])}, "WINDLASS_STORE_CERT go with a rediss"),
        (lambda _f, _: {"WINDLASS_LISTEN": "0.0.0.0:0"}, "WINDLASS_REQUIRE_TOKENS=true"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_at_the_start(
    files: Files, store_server: str, service: str, wrong: Callable[[Files, Any], dict[str, str]], said: str
) -> None:
    """By the name of the setting, in one line, with the exit code of a wrong setting."""
    given = {
        "WINDLASS_STORE_URL": store_server,
        "WINDLASS_LISTEN": "127.0.0.1:0",
        "WINDLASS_HTTP_LISTEN": "127.0.0.1:0",
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
    ended = subprocess.run(
        [sys.executable, "-m", f"windlass_{service}"],
        env={**environment, **given, **wrong(files, None)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == EXIT_REFUSED, ended.stderr
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@contextlib.contextmanager
def _store_behind_tls(store_url: str, files: Files) -> Iterator[int]:
    """The store, by a port that speaks TLS and wants to see a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server_cert"], files["server_key"])
    context.load_verify_locations(files["ca_cert"])
    context.verify_mode = ssl.CERT_REQUIRED
    passing: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store_reader, store_writer = await asyncio.open_unix_connection(store_url.removeprefix("unix://"))
        for task in (pass_on(reader, store_writer), pass_on(store_reader, writer)):
            passing.add(asyncio.create_task(task))

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)

    async def stop(server: asyncio.Server) -> None:
        server.close()
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    loop = LoopThread()
    with loop:
        server = loop.run(start()).result(10)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            loop.run(stop(server)).result(10)


def test_a_store_over_tls(store_url: str, files: Files, strangers: Files) -> None:
    """With its authority and a certificate of one's own; a stranger's authority is not enough."""
    with _store_behind_tls(store_url, files) as port:
        own = {"WINDLASS_STORE_CERT": str(files["client_cert"]), "WINDLASS_STORE_KEY": str(files["client_key"])}
        settings = {"WINDLASS_STORE_CA": str(files["ca_cert"]), **own}
        url = f"rediss://localhost:{port}/0"
        with (
            LocalCluster(store_url=url, settings=settings) as cluster,
            Windlass(config=_config(cluster.api_address)) as app,
        ):

            @app.task
            def late() -> None: ...

            assert app.runs.get(late.delay().id).id
        environment = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
        refused = subprocess.run(
            [sys.executable, "-m", "windlass_scheduler"],
            env={
                **environment,
                **own,
                "WINDLASS_STORE_URL": url,
                "WINDLASS_STORE_CA": str(strangers["ca_cert"]),
                "WINDLASS_LISTEN": "127.0.0.1:0",
                "WINDLASS_HTTP_LISTEN": "127.0.0.1:0",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == EXIT_UNAVAILABLE
        assert "certificate" in refused.stderr.lower()
