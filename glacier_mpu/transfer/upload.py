"""One upload from its beginning, or from where it was left, to its end.

Prints nothing and knows no flags and no signals: a Request says what is wanted, a Watcher hears
what happens, an Outcome says how it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime

from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.block import BlockDone, BlockTask, line_up, upload_block
from glacier_mpu.transfer.context import Context, opened_context, utc_now
from glacier_mpu.transfer.events import Connected
from glacier_mpu.transfer.file_run import FileRun
from glacier_mpu.transfer.request import FileRequest, Outcome, Request, StreamRequest
from glacier_mpu.transfer.run import Run
from glacier_mpu.transfer.stream_run import StreamRun
from glacier_mpu.transfer.watcher import Watcher
from glacier_mpu.transfer.workers import Threads, Workers
from glacier_mpu.vault.client import Address

BlockWorkers = Workers[BlockTask, BlockDone]


def upload(
    request: Request,
    address: Address,
    *,
    watcher: Watcher,
    stop: Stop,
    workers: Callable[[Context], BlockWorkers] | None = None,
    waits: Waits = Waits(),
    clock: Callable[[], datetime] = utc_now,
) -> Outcome:
    """Carry the request out and say how it ended, in trouble too. Leaves once `stop` is asked.

    `workers` makes what does the blocks; None is threads of this process. `clock` tells the time,
    with its offset. Raises the BadInput that `connect` raises if no client can be made from the
    address.
    """
    with opened_context(
        request, address, watcher=watcher, stop=stop, waits=waits, clock=clock
    ) as context:
        watcher.hear(Connected(context.vault.endpoint_url))
        if context.vault.unknown_region is not None:
            watcher.hear(context.vault.unknown_region)
        context.look()
        with closing((workers or _threads)(context)) as doing:
            outcome = _run_of(request, context, doing).carry_out()
        return replace(
            outcome,
            region=context.vault.region,
            bytes_sent=context.meter.bytes_sent,
            retries=context.meter.retries,
        )


def _run_of(request: Request, context: Context, workers: BlockWorkers) -> Run:
    match request:
        case FileRequest():
            return FileRun(request, context, workers)
        case StreamRequest():
            return StreamRun(request, context, workers)
    raise TypeError(request)


def _threads(context: Context) -> BlockWorkers:
    return Threads(
        lambda task: upload_block(task, context),
        line_up=lambda task: line_up(task, context),
        slots=context.slots,
        reading=context.reading,
        most_slots=context.most_slots,
        most_readers=context.reading.count,
    )
