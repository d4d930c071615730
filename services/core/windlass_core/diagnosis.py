"""Owns what `windlass doctor` asks of an installed engine: the services' settings, and a store."""

import asyncio
from typing import Any

from redis.exceptions import RedisError

from windlass_core.settings import (
    ApiSettings,
    DispatcherSettings,
    SchedulerSettings,
    ServiceSettings,
    SettingsRefused,
    read_settings,
)
from windlass_core.store.connection import SCHEMES, connect, redact
from windlass_core.store.examination import Examination, examine
from windlass_core.tls import SYSTEM_TLS, StoreTls, TlsRefused


class Diagnosis:
    """Answers in plain words: the SDK that asks knows none of the engine's types."""

    def wrong_settings(self) -> list[str]:
        """What the services would refuse to start with, from the environment and `.env`."""
        wrong: dict[str, None] = {}
        for settings in (ApiSettings, DispatcherSettings, SchedulerSettings):
            try:
                read = read_settings(settings)
                read.store_tls.check()
                if read.server_tls is not None:
                    read.server_tls.credentials()
            except (SettingsRefused, TlsRefused) as error:
                wrong[str(error)] = None
        return list(wrong)

    def examine_store(self, url: str) -> dict[str, Any]:
        """How a store stands: product, now_ms, latency_us, findings; or why it can't be reached."""
        told: dict[str, Any] = {"url": redact(url), "error": "", "findings": []}
        if not url.startswith(SCHEMES):
            return {**told, "error": f"expected a URL with one of {', '.join(SCHEMES)}"}
        try:
            found = asyncio.run(_examine(url, _store_tls()))
        except (RedisError, OSError, ValueError, TlsRefused) as error:
            return {**told, "error": str(error)}
        findings = [(each.fatal, each.said, each.remedy) for each in found.findings]
        return {**told, "product": found.product, "now_ms": found.now_ms, "findings": findings}


def _store_tls() -> StoreTls:
    try:
        tls = read_settings(ServiceSettings).store_tls
    except SettingsRefused:  # told already
        return SYSTEM_TLS
    tls.check()
    return tls


async def _examine(url: str, tls: StoreTls) -> Examination:
    redis = connect(url, tls)
    try:
        return await examine(redis)
    finally:
        await redis.aclose()
