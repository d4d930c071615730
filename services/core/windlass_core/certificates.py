"""Owns certificates for trying TLS: an authority of one's own, and what it signs. Not for production."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
ALWAYS = ("localhost", "127.0.0.1", "::1")
# Whose clock is a little behind takes it all the same.
_BEFORE = timedelta(minutes=5)
_FILES = {
    "ca_cert": "ca.pem",
    "ca_key": "ca-key.pem",
    "server_cert": "server.pem",
    "server_key": "server-key.pem",
    "client_cert": "client.pem",
    "client_key": "client-key.pem",
}


def make_certificates(folder: Path, names: Sequence[str] = ()) -> dict[str, Path]:
    """Writes an authority, a server's and a client's certificate, with their keys, mode 0600.

    The server's is good for localhost and the further names and addresses. Raises FileExistsError
    where one of the files is there, OSError, and ValueError for a name that can't be one.
    """
    files = {what: folder / name for what, name in _FILES.items()}
    for path in files.values():
        if path.exists():
            raise FileExistsError(17, "is there already", str(path))
    ca_key, server_key, client_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    ca_name = _name("Windlass development authority")
    ca = _builder(ca_name, ca_name, ca_key)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(_usage(authority=True), critical=True)
    server = _leaf(_name("windlass-server"), ca_name, server_key, ca_key, ExtendedKeyUsageOID.SERVER_AUTH)
    alternatives = [_alternative(name) for name in dict.fromkeys((*ALWAYS, *names))]
    server = server.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    client = _leaf(_name("windlass-client"), ca_name, client_key, ca_key, ExtendedKeyUsageOID.CLIENT_AUTH)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for what, builder, key in (("ca", ca, ca_key), ("server", server, server_key), ("client", client, client_key)):
        certificate = builder.sign(ca_key, hashes.SHA256())
        _write(files[f"{what}_cert"], certificate.public_bytes(serialization.Encoding.PEM))
        _write(files[f"{what}_key"], _pem(key))
    return files


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _BEFORE).not_valid_after(now + LIFETIME)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _leaf(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    ca_key: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    builder = _builder(subject, issuer, key)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return builder.add_extension(authority, critical=False)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        if not name or not name.isascii() or ":" in name or "/" in name or " " in name:
            raise ValueError(f"{name!r} is no host name and no address (no port, no scheme)") from None
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
