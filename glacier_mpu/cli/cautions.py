"""What is to be known of a source before it is uploaded, said once at the start of a run."""

from __future__ import annotations

from glacier_mpu.cli.lines import WARNING
from glacier_mpu.cli.options import Options
from glacier_mpu.errors import quoted
from glacier_mpu.source.device import DeviceSource
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.mounts import mounted_writable
from glacier_mpu.source.pipe import StreamSource


def cautions_about(source: FileSource | StreamSource, options: Options) -> list[str]:
    """Look at the source and at this system, and return what is to be said."""
    command = source.command if isinstance(source, StreamSource) else None
    return cautions(
        options,
        hides_failures=command is not None and command.hides_failures(),
        mounted_at=mounted_writable(source.path) if isinstance(source, DeviceSource) else None,
    )


def cautions(
    options: Options, *, hides_failures: bool = False, mounted_at: str | None = None
) -> list[str]:
    """Return a line for each.

    hides_failures  the shell cannot tell that a program in the middle of the command's line failed
    mounted_at      where the device that is uploaded is mounted to be written to, if it is
    """
    lines = []
    if options.is_stream and not options.runs_command:
        lines.append(
            "a pipe cannot tell that the program which writes to it failed; --source-command can"
        )
    if hides_failures:
        lines.append(
            f"{WARNING}the shell of this system sees only whether the last program of the command "
            "fails, and not those in front of a |, as bash does; what they wrote until then would "
            "become the archive"
        )
    if mounted_at is not None:
        lines.append(
            f"{WARNING}{quoted(options.file_path or '')} is mounted read-write at "
            f"{quoted(mounted_at)}: what is uploaded may be inconsistent; upload a snapshot instead"
        )
    return lines


def is_warning(caution: str) -> bool:
    """Tell whether it is said also where only problems are shown."""
    return caution.startswith(WARNING)
