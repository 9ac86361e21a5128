"""Starts the discarding server in a process of its own, and talks to it."""

from __future__ import annotations

import json
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from harness.certificates import Certificates

_MAIN = Path(__file__).resolve().parent.parent / "server" / "main.py"


class Server:
    """A running server; it ends with `close`, and by itself when this process is gone."""

    def __init__(self, python: str, certificates: Certificates, *, line: bool) -> None:
        words = [python, _MAIN, "--certificate", certificates.certificate, "--key"]
        words += [certificates.key, *(["--line"] if line else [])]
        self._process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )
        greeting = self._process.stdout.readline() if self._process.stdout else ""
        if not greeting:
            self.close()
            raise RuntimeError("the bench's server did not start")
        self._ports: dict[str, int] = json.loads(greeting)

    def url(self, *, tls: bool = True) -> str:
        """Return the service's address."""
        scheme = "https" if tls else "http"
        return f"{scheme}://127.0.0.1:{self._ports[scheme]}"

    def port(self, *, tls: bool = True) -> int:
        """Return the service's port."""
        return self._ports["https" if tls else "http"]

    def pace(self, **line: float) -> None:
        """Set what the line allows, and count from nothing. See server/pacing.py for the names."""
        self._ask("POST", "/bench/pace", line)

    def claim(self, *, parts: int, part_size: int) -> str:
        """Let the server claim to hold an upload of so many parts; return its id."""
        return str(self._ask("POST", "/bench/claim", {"parts": parts, "size": part_size})["id"])

    def stats(self) -> dict[str, Any]:
        """Return bytes, CPU seconds, the series of bytes over time, refusals; all since `pace`."""
        return self._ask("GET", "/bench/stats", {})

    def close(self) -> None:
        """End the server."""
        if self._process.stdin:
            self._process.stdin.close()  # that is its sign to leave
        if self._process.stdout:
            self._process.stdout.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port(tls=False), timeout=30)
        try:
            connection.request(method, path, json.dumps(body))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer
