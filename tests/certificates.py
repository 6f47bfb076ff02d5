"""Certificates as an operator has them: a CA of one's own, and what it signs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


@dataclass
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """A CA that signs what a test asks for."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of our own")])
        self._made = 0
        signed = (
            _begun(self._name, self._name, self._key, datetime.now(UTC), timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.cert = folder / "ca.pem"
        self.cert.write_bytes(signed.public_bytes(PEM))
        self._ski = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())

    def sign(self, *names, age=timedelta(hours=1), life=timedelta(days=365)):
        """A new certificate for these names and addresses, with its key (0600)."""
        self._made += 1
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"server {self._made}")])
        signed = (
            _begun(subject, self._name, key, datetime.now(UTC) - age, life)
            .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._ski), False
            )
            .sign(self._key, hashes.SHA256())
        )
        pair = Pair(
            self.folder / f"server-{self._made}.pem", self.folder / f"server-{self._made}.key"
        )
        pair.cert.write_bytes(signed.public_bytes(PEM))
        write_key(pair.key, key)
        return pair


def write_key(path, key, passphrase=b""):
    """A private key as a file of its owner only."""
    closed = serialization.BestAvailableEncryption(passphrase) if passphrase else None
    shape = serialization.PrivateFormat.PKCS8
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(PEM, shape, closed or serialization.NoEncryption()))


def _begun(subject, issuer, key, begins, life):
    return (
        x509.CertificateBuilder(serial_number=x509.random_serial_number())
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .not_valid_before(begins)
        .not_valid_after(begins + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs):
    rest = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs, crl_sign=signs, **rest)


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
