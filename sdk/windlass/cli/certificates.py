"""Owns `windlass certs dev`: which certificates are made, and which settings use them."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from windlass.engine import load
from windlass.exceptions import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def make(out: Path, names: Sequence[str]) -> None:
    """Write them, and print the settings to export. Raises InvalidConfig, EngineNotInstalled."""
    make_certificates = load("certificates")
    try:
        files: dict[str, Path] = make_certificates(out, names)
    except FileExistsError as error:
        raise InvalidConfig(
            f"{error.filename} is there already: remove it, or name another folder with --out"
        ) from None
    except OSError as error:
        raise InvalidConfig(f"--out {out}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidConfig(str(error)) from None
    print(f"# Certificates in {out}, for a year. The authority's key, {files['ca_key'].name}, makes further ones.")
    print("# For the services; the last line asks for clients' certificates too (mutual TLS):")
    _export("LISTEN_CERT", files["server_cert"])
    _export("LISTEN_KEY", files["server_key"])
    _export("LISTEN_CLIENT_CA", files["ca_cert"])
    print("# For clients and workers:")
    _export("TLS_CA", files["ca_cert"])
    _export("TLS_CERT", files["client_cert"])
    _export("TLS_KEY", files["client_key"])


def _export(name: str, file: Path) -> None:
    """For a shell to read, whatever is in the path."""
    print(f"export WINDLASS_{name}={quote(str(file.absolute()))}")
