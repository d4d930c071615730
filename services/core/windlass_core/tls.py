"""Owns what TLS needs from files, on either side: a file that can't be used is refused by its setting."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


class TlsRefused(Exception):
    """A certificate or a key can't be used; the message names the setting and the file."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """A server's certificate and key, PEM; with `client_ca`, clients must show a certificate that it signed."""

    cert: Path
    key: Path
    client_ca: Path | None

    def credentials(self) -> grpc.ServerCredentials:
        """For a port. Raises TlsRefused."""
        check_pair(self.cert, self.key, "WINDLASS_LISTEN")
        authority = None
        if self.client_ca is not None:
            check_authority(self.client_ca, "WINDLASS_LISTEN_CLIENT_CA")
            authority = self.client_ca.read_bytes()
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.cert.read_bytes())],
            root_certificates=authority,
            require_client_auth=authority is not None,
        )


@dataclass(frozen=True, slots=True)
class StoreTls:
    """Files for a store that speaks TLS: authorities to trust in place of the system's, and a client's own pair."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Raises TlsRefused for a file that can't be used."""
        if self.ca is not None:
            check_authority(self.ca, "WINDLASS_STORE_CA")
        if self.cert is not None and self.key is not None:
            check_pair(self.cert, self.key, "WINDLASS_STORE")

    def options(self) -> dict[str, str]:
        """As the client takes them."""
        files = {"ssl_ca_certs": self.ca, "ssl_certfile": self.cert, "ssl_keyfile": self.key}
        return {name: str(path) for name, path in files.items() if path is not None}


# The authorities of the system, and no certificate of one's own.
SYSTEM_TLS = StoreTls()


def check_pair(cert: Path, key: Path, prefix: str) -> None:
    """Certificate and key of the settings PREFIX_CERT and PREFIX_KEY. Raises TlsRefused."""
    for setting, path in ((f"{prefix}_CERT", cert), (f"{prefix}_KEY", key)):
        _read(path, setting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key under a password would have it asked for at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, OSError) as error:
        if "MISMATCH" in str(error):
            raise TlsRefused(f"{prefix}_KEY={key} is not the key of {prefix}_CERT={cert}") from error
        raise TlsRefused(
            f"{prefix}_CERT={cert} and {prefix}_KEY={key}: expected a certificate chain and its key, "
            f"both PEM, the key without a password ({error})"
        ) from error


def check_authority(path: Path, setting: str) -> None:
    """Certificates to trust. Raises TlsRefused."""
    _read(path, setting)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        raise TlsRefused(f"{setting}={path}: expected certificates in PEM ({error})") from error


def _read(path: Path, setting: str) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise TlsRefused(f"{setting}={path}: {error.strerror}") from error
