"""What a command line asks for, of any source."""

from __future__ import annotations

from glacier_mpu.cli.options import Options, parse
from tests.support.scripts import VAULT, script_parser


def asked(*arguments: str, script: str = "GlacierMPUP.py") -> Options:
    """Return the options of these arguments, which name the source, and of the vault."""
    return parse(script_parser(script), ["--vault", VAULT, *arguments], command=[f"/{script}"])
