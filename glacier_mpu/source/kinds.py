"""What the source path names: a file, a device, a stream, or what cannot be uploaded."""

from __future__ import annotations

import errno
import os
import stat

from glacier_mpu.errors import BadInput, SourceIsFolder, SourceIsStream, quoted
from glacier_mpu.source import device, file, stdin
from glacier_mpu.source.body import reason
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.pipe import STANDARD_INPUT, StreamSource


def inspect(
    path: str, *, standard_input: int | None = stdin.DESCRIPTOR
) -> FileSource | StreamSource:
    """Look at what is to be uploaded. A stream is not opened: a pipe's opening waits for a writer.

    Raises BadInput for what cannot be an archive: missing, unreadable, empty, too large, a folder;
    and SourceIsStream for what can only be piped in, and for a standard input that gives nothing.
    """
    if path == STANDARD_INPUT:
        if why := stdin.why_not_read(standard_input):
            raise SourceIsStream(f"standard input {why}")
        return StreamSource(path=path)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        tried = quoted(os.path.abspath(path) if path else "")  # in whatever folder this runs
        raise BadInput(f"cannot upload {tried}: {reason(error)}") from error
    if stat.S_ISREG(mode):
        return file.inspect(path)
    if stat.S_ISBLK(mode):
        return device.inspect(path)
    if stat.S_ISFIFO(mode):
        return _named_pipe(path)
    raise _refusal(path, mode)


def _named_pipe(path: str) -> StreamSource:
    if not os.access(path, os.R_OK):
        raise BadInput(f"cannot read {quoted(path)}: {os.strerror(errno.EACCES)}")
    return StreamSource(path=path)


def _refusal(path: str, mode: int) -> BadInput:
    if stat.S_ISDIR(mode):
        return SourceIsFolder(f"{quoted(path)} is a folder")
    kinds = {stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device without a size"}
    kind = kinds.get(stat.S_IFMT(mode), "something else")
    return SourceIsStream(f"{quoted(path)} is {kind}, not a file")
