"""Certificates of an authority of our own: a good one, and every kind that nobody may trust.

It must not serve them.
"""

import ssl
import subprocess
from enum import StrEnum
from pathlib import Path

OPENSSL_SECONDS = 30.0
CONFIG = """
[ca]
default_ca = ours
[ours]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""
KIND = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
GOOD = "good"
LONG_AGO, PAST = "20200101000000Z", "20210101000000Z"
FUTURE, FAR_FUTURE = "20900101000000Z", "20910101000000Z"


class Distrusted(StrEnum):
    """Why a certificate may not be trusted."""

    EXPIRED = "expired certificate"
    NOT_YET_VALID = "certificate of the future"
    SELF_SIGNED = "certificate that vouches for itself"
    OTHER_NAME = "certificate of another name"


class Authority:
    """Signs certificates for names; `trusted` is the file by which they are checked (PEM).

    `folder` is made. Raises CalledProcessError where openssl does not do as it is told.
    """

    def __init__(self, folder: Path, names: str) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "ca.cnf").write_text(CONFIG)
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        self.trusted = self._vouching_for_itself("authority", "/CN=chaos authority")
        self.contexts = {
            GOOD: self._signed("good", names, LONG_AGO, FAR_FUTURE),
            Distrusted.EXPIRED: self._signed("expired", names, LONG_AGO, PAST),
            Distrusted.NOT_YET_VALID: self._signed("future", names, FUTURE, FAR_FUTURE),
            Distrusted.OTHER_NAME: self._signed("other", "DNS:other.example.com", LONG_AGO, FAR_FUTURE),
            Distrusted.SELF_SIGNED: _context(
                self._vouching_for_itself("alone", "/CN=alone", "-addext", f"subjectAltName={names}")
            ),
        }

    def _vouching_for_itself(self, name: str, subject: str, *more: str) -> Path:
        file = self._folder / f"{name}.pem"
        files = ("-keyout", f"{name}.key", "-out", file.name)
        self._openssl("req", "-x509", "-days", "30", *KIND, "-subj", subject, *more, *files)
        return file

    def _signed(self, name: str, names: str, begins: str, ends: str) -> ssl.SSLContext:
        file = self._folder / f"{name}.pem"
        (self._folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        request = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("req", "-new", *KIND, "-subj", f"/CN={name}", *request)
        times = ("-startdate", begins, "-enddate", ends)
        by = ("-config", "ca.cnf", "-cert", self.trusted.name, "-keyfile", "authority.key")
        files = ("-in", f"{name}.csr", "-out", file.name, "-extfile", f"{name}.ext")
        self._openssl("ca", "-batch", "-notext", *by, *times, *files)
        return _context(file)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments],
            check=True,
            cwd=self._folder,
            capture_output=True,
            timeout=OPENSSL_SECONDS,
        )


def _context(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, file.with_suffix(".key"))
    return context
