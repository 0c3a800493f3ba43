"""Certificates for the tests of connections with TLS."""

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.postgres.server import PostgresServer

_KEY = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


@dataclass(frozen=True)
class Certificates:
    """PEM files: two issuers, a server with its key, and a client with its key; others can read `open_key`."""

    issuer: Path
    other_issuer: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    open_key: Path

    def give_server(self, server: PostgresServer) -> None:
        """Give a server that is not running its certificate, and the issuer of its clients' certificates."""
        owner = server.data.stat()
        for source, name in ((self.server, "server.crt"), (self.server_key, "server.key"), (self.issuer, "root.crt")):
            target = server.data / name
            shutil.copyfile(source, target)
            target.chmod(0o600)
            shutil.chown(target, owner.st_uid, owner.st_gid)
        with (server.data / "postgresql.conf").open("a") as file:
            file.write("ssl_ca_file = 'root.crt'\n")


def make_certificates(folder: Path) -> Certificates:
    """Make the files in a folder."""
    issuer, other = _issue("issuer", None), _issue("other issuer", None)
    server, client = _issue("localhost", issuer), _issue("certified", issuer)
    files = Certificates(
        *(folder / name for name in ("ca.pem", "other.pem", "s.pem", "s.key", "c.pem", "c.key", "o.key"))
    )
    for path, (certificate, _) in (
        (files.issuer, issuer),
        (files.other_issuer, other),
        (files.server, server),
        (files.client, client),
    ):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    for path, (_, key) in ((files.server_key, server), (files.client_key, client), (files.open_key, client)):
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        path.chmod(0o600)
    files.open_key.chmod(0o644)
    return files


def _issue(name: str, issuer: _KEY | None) -> _KEY:
    """Make a certificate with a new key, by an issuer or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key
