"""Owns `windlass doctor`: in which order things are looked at, and how what was found is told."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Final

from windlass.cli.connection_checks import check_connections
from windlass.cli.findings import Finding, Verdict
from windlass.cli.output import console, is_live, print_json
from windlass.config import ClientConfig, UnknownSettingWarning
from windlass.engine import load
from windlass.exceptions import EngineNotInstalled, InvalidConfig
from windlass.transport.io_thread import io_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

_STYLES: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red", Verdict.SKIPPED: "dim"}


def examine(store_url: str, *, as_json: bool) -> int:
    """Look at everything and tell; 1 where something has failed, else 0."""
    found: list[Finding] = []
    coloured = is_live() and not as_json
    for finding in _look(store_url):
        found.append(finding)
        if not as_json:
            _print(finding, coloured=coloured)
    failed = [finding for finding in found if finding.verdict is Verdict.FAILED]
    warned = [finding for finding in found if finding.verdict is Verdict.WARNING]
    if as_json:
        print_json({"healthy": not failed, "findings": [finding.as_object() for finding in found]})
    else:
        print(f"{len(failed)} failed, {len(warned)} warnings, {len(found) - len(failed) - len(warned)} others")
    return 1 if failed else 0


def _look(store_url: str) -> Iterator[Finding]:
    config: ClientConfig | None = None
    with warnings.catch_warnings(record=True) as unknown:
        warnings.simplefilter("always", UnknownSettingWarning)
        try:
            config = ClientConfig()
        except InvalidConfig as error:
            yield Finding.failed("settings", str(error), "correct it in the environment or in .env")
    for each in unknown:
        yield Finding.warning("settings", str(each.message), "correct or remove it")
    if config is not None and not unknown:
        yield Finding.ok("settings", f"the api is looked for at {config.api_address}")
    yield from _look_at_engine(store_url or os.environ.get("WINDLASS_STORE_URL", ""))
    if config is None:
        yield Finding.skipped("api", "not looked for: the settings must be right first")
    else:
        yield from io_thread().run(check_connections(config)).result()


def _look_at_engine(store_url: str) -> Iterator[Finding]:
    """What can only be seen where the engine is installed, as on the machine of a service."""
    try:
        diagnosis = load("diagnosis")()
    except EngineNotInstalled:
        if store_url:
            yield Finding.skipped("store", "not looked at from here: the engine is not installed")
        return
    for wrong in diagnosis.wrong_settings():
        yield Finding.failed("settings", f"services would not start: {wrong}", "correct it")
    if not store_url:
        return
    told = diagnosis.examine_store(store_url)
    if told["error"]:
        yield Finding.failed("store", f"{told['url']}: {told['error']}", "check that it runs, and WINDLASS_STORE_URL")
        return
    yield Finding.ok("store", f"{told['product']} answers at {told['url']}")
    for fatal, said, remedy in told["findings"]:
        yield Finding(Verdict.FAILED if fatal else Verdict.WARNING, "store", said, remedy)


def _print(finding: Finding, *, coloured: bool) -> None:
    advice = f"\n{'':>21}{finding.remedy}" if finding.remedy else ""
    if not coloured:
        print(f"{finding.verdict:<8} {finding.check:<11} {finding.said}{advice}", flush=True)
        return
    from rich.text import Text

    words = ((f"{finding.verdict:<8}", _STYLES[finding.verdict]), f" {finding.check:<11} {finding.said}{advice}")
    console().print(Text.assemble(*words), soft_wrap=True)
