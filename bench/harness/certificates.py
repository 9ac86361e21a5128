"""A certificate authority of the bench's own, and the server's certificate for 127.0.0.1."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Strict enough for Python 3.13; boto 2 compares the address with the DNS names only.
_CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = 127.0.0.1
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, DNS:127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths: what clients trust, the server's certificate and key, boto 2's configuration."""

    authority: Path
    certificate: Path
    key: Path
    boto_config: Path


def make(folder: Path) -> Certificates:
    """Make all of them with the openssl command. Raises RuntimeError where that is not there."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise RuntimeError("the bench needs the openssl command to make its certificates")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "openssl.cnf").write_text(_CONFIG)
    curve = "ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config openssl.cnf"
    sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 2 -days 30"
    for words in (
        f"req -x509 -newkey {curve} -subj /CN=bench -extensions authority -days 30"
        " -keyout ca.key -out ca.pem",
        f"req -newkey {curve} -keyout server.key -out server.csr",
        f"{sign} -extfile openssl.cnf -extensions server -out server.pem",
    ):
        command = [openssl, *words.split()]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {words.split()[0]} failed: {done.stderr.strip()[-300:]}")
    boto_config = folder / "boto.cfg"
    boto_config.write_text(f"[Boto]\nca_certificates_file = {folder / 'ca.pem'}\n")
    return Certificates(
        folder / "ca.pem", folder / "server.pem", folder / "server.key", boto_config
    )
