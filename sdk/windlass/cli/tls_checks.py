"""Owns what `windlass doctor` says of encryption: whether there is any, whose certificate, until when."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from windlass.cli.findings import Finding
from windlass.config import REPLICATED

if TYPE_CHECKING:
    from windlass.config import ClientConfig

_EXPIRES_SOON: Final = timedelta(days=14)
_LOCAL: Final = ("127.", "localhost", "[::1]")


async def check_tls(address: str, config: ClientConfig) -> list[Finding]:
    """Shake hands with whoever listens at `address`, as gRPC would; with each, where it names several."""
    if address.startswith("unix:"):
        return []
    scheme = next((each for each in REPLICATED if address.startswith(each)), "")
    targets = address.removeprefix(scheme).split(",")
    found = await asyncio.gather(*(_check_target(target, config) for target in targets))
    return [finding for findings in found for finding in findings]


async def _check_target(target: str, config: ClientConfig) -> list[Finding]:
    if config.tls_ca is None and config.tls_cert is None:
        if target.startswith(_LOCAL):
            return []
        return [
            Finding.warning(
                "tls", f"nothing is encrypted on the way to {target}, the token neither", "set WINDLASS_TLS_CA"
            )
        ]
    host, _, port = target.rpartition(":")
    try:
        context = _context(config)
    except (ssl.SSLError, OSError) as error:
        said = f"the certificate files cannot be used: {error}"
        return [Finding.failed("tls", said, "check WINDLASS_TLS_CA, WINDLASS_TLS_CERT and WINDLASS_TLS_KEY")]
    try:
        async with asyncio.timeout(config.connect_timeout):
            certificate = await _handshake(host.strip("[]"), int(port), context)
        if certificate is None:
            return [_refused(target, "it hangs up")]
        return [_judge(target, certificate)]
    except ssl.SSLCertVerificationError as error:
        remedy = "let the server's certificate name this host, and WINDLASS_TLS_CA hold its authority"
        return [Finding.failed("tls", f"{target}: {error.verify_message}", remedy)]
    except ssl.SSLError as error:
        return [_refused(target, error.reason or str(error))]
    except (OSError, TimeoutError):
        return []  # that nothing answers is said by whoever wanted to speak with it


def _context(config: ClientConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.tls_ca)
    if config.tls_cert is not None:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    context.set_alpn_protocols(["h2"])
    return context


def _refused(target: str, why: str) -> Finding:
    said = f"{target} does not take part in TLS, or not with this client's certificate: {why}"
    return Finding.failed("tls", said, "check the listener's WINDLASS_LISTEN_* settings, and WINDLASS_TLS_CERT")


async def _handshake(host: str, port: int, context: ssl.SSLContext) -> dict[str, Any] | None:
    """Give the server's certificate; None where it takes the connection and drops it."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        certificate: dict[str, Any] = writer.get_extra_info("peercert") or {}
        # In TLS 1.3 a server that refuses the client's certificate says so only now; one that takes it
        # begins to speak HTTP/2.
        return certificate if await reader.read(1) else None
    finally:
        writer.close()


def _judge(target: str, certificate: dict[str, Any]) -> Finding:
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    names = ", ".join(str(value) for _, value in certificate.get("subjectAltName", ()))
    said = f"{target} has a certificate for {names}, good until {expires:%Y-%m-%d}"
    if expires - datetime.now(UTC) < _EXPIRES_SOON:
        return Finding.warning("tls", said, "renew it")
    return Finding.ok("tls", said)
