"""What the options ask for, as a Request; and which flags do not go with which source."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from glacier_mpu.cli.figures import as_size
from glacier_mpu.cli.options import Options, UsageError
from glacier_mpu.cli.values import AUTO
from glacier_mpu.errors import TooManyBlocks, quoted
from glacier_mpu.source.blocks import MIB, MOST_BLOCKS
from glacier_mpu.source.command import Command
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.kinds import inspect
from glacier_mpu.source.pipe import STANDARD_INPUT, StreamSource
from glacier_mpu.transfer.deadline import StopAfter, StopAt, StopTime
from glacier_mpu.transfer.request import FileRequest, StreamRequest


def look(options: Options) -> tuple[Options, FileRequest | StreamRequest]:
    """Look at the source, and return the request, and the options with what is known by now.

    Raises BadInput for what is known to be wrong by now.
    """
    source = _source(options)
    if isinstance(source, StreamSource):
        options = replace(options, is_named_pipe=options.file_path is not None)
        _check_stream(options)
        return options, _stream_request(options, source)
    _check_file(options)
    return options, _file_request(options, source)


def _source(options: Options) -> FileSource | StreamSource:
    if options.dry_run and options.source_path == STANDARD_INPUT:
        return StreamSource(path=STANDARD_INPUT)  # which need not be there yet
    if options.source_path is not None:
        return inspect(options.source_path)
    if options.source_command is not None:
        return StreamSource(command=Command((options.source_command,), in_shell=True))
    return StreamSource(command=Command(options.argv))


def _file_request(options: Options, source: FileSource) -> FileRequest:
    request = FileRequest(
        source=source,
        first=options.first,
        last=options.last,
        abort=_is_serial(options) and options.finish and not options.resume,
        ledger=_ledger(options),
        recheck=options.recheck,
        **_of_any_source(options),
    )
    request.check()
    return request


def _stream_request(options: Options, source: StreamSource) -> StreamRequest:
    """Return the request, which never aborts: what was read of a stream cannot be read again."""
    request = StreamRequest(
        source=source,
        expected_size=options.expected_size,
        spool=options.spool,
        overwrite=options.overwrite,
        **_of_any_source(options),
    )
    try:
        _ = request.new_block_size
    except TooManyBlocks as error:
        block_size = request.block_size or 0
        raise UsageError(
            f"with --blocksize {block_size // MIB} a stream has at most "
            f"{as_size(MOST_BLOCKS * block_size)}, and --expected-size is "
            f"{as_size(request.expected_size or 0)}",
            next_step=f"use --blocksize {error.smallest // MIB} or larger, or leave it out",
        ) from error
    return request


def _of_any_source(options: Options) -> dict[str, Any]:
    """Return the members of every Request."""
    serial = _is_serial(options)
    return {
        "description": options.description,
        "upload_id": options.upload_id,
        "block_size": options.block_size,
        "finish": options.finish,
        "slots": 1 if serial else None if options.threads == AUTO else options.threads,
        "max_bandwidth": options.max_bandwidth,
        "stop_time": _stop_time(options),
        "keep_going": not serial,
        "resume": options.resume,
    }


def _is_serial(options: Options) -> bool:
    return options.threads is None


def _stop_time(options: Options) -> StopTime | None:
    if options.stop_at is not None:
        return StopAt(options.stop_at.next(datetime.now()))
    return None if options.stop_after is None else StopAfter(options.stop_after)


def _ledger(options: Options) -> str | None:
    """Return the ledger's folder, or None for none."""
    if options.ledger is not None:
        return options.ledger or None
    from glacier_mpu.source.cache import usual_ledger  # --help need not wait for platformdirs

    return usual_ledger()


def _check_file(options: Options) -> None:
    """Raise UsageError for a flag that only a stream can have."""
    for flag, is_given in (
        ("--expected-size", options.expected_size is not None),
        ("--spool", options.spool is not None),
        ("--overwrite", options.overwrite),
    ):
        if is_given:
            raise UsageError(
                f"{flag} is for a stream, and {quoted(options.file_path or '')} is none",
                next_step="leave it out",
            )


def _check_stream(options: Options) -> None:
    """Raise UsageError for flags that do not go with a stream, or not without another one."""
    for flag, number in (("--start", options.first), ("--end", options.last)):
        if number is not None:
            raise UsageError(
                f"{flag} chooses among the blocks of a file, and a stream is uploaded as a whole",
                next_step="leave it out",
            )
    if options.resume and options.comment is None:
        raise UsageError(
            "--resume finds the upload of a stream by its description alone, and there is no "
            "--comment",
            next_step="add the --comment with which the upload was begun",
        )
    if options.overwrite and not (options.resume or options.upload_id):
        raise UsageError(
            "--overwrite is about an open upload, and none is to be resumed",
            next_step="add --upload-id or --resume, or leave it out",
        )
