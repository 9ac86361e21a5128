"""Blocks between the file and one open upload: compare what is stored, send what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from glacier_mpu.errors import HashMismatch, SourceUnreadable, Stopped, UploadError
from glacier_mpu.source.blocks import Block, Plan
from glacier_mpu.source.file import BlockBody, Source, check_unchanged, digest_block
from glacier_mpu.source.treehash import Digest, combine
from glacier_mpu.transfer.request import Watcher
from glacier_mpu.transfer.workers import Slots, run_each
from glacier_mpu.vault.answers import StoredPart
from glacier_mpu.vault.calls import Vault


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run's parts share. `ends_run`: whether a block's error does; `pause` takes seconds."""

    vault: Vault
    slots: Slots
    stopped: Callable[[], bool]
    on_move: Callable[[int], None]
    let_by: Callable[[int], int]
    ends_run: Callable[[UploadError], bool]
    pause: Callable[[float], object]


def upload_block(
    source: Source, upload_id: str, block: Block, *, tools: Tools, digest: Digest | None = None
) -> Digest:
    """Store one block and return its hashes. Safe to repeat.

    `digest` gives the hashes where they are known. The block is hashed before it waits for a slot:
    with one worker more than there are slots, the next is ready when a slot becomes free. Blocks
    are sent in their order.
    """
    try:
        if digest is None:
            digest = digest_block(source, block, stopped=tools.stopped, on_read=lambda _: None)
    except BaseException:
        tools.slots.step_out(block.number)
        raise
    with (
        tools.slots.slot(block.number),
        BlockBody(
            source,
            block,
            linear_hash=digest.linear,
            stopped=tools.stopped,
            on_move=tools.on_move,
            let_by=tools.let_by,
        ) as body,
    ):
        try:
            tools.vault.send_block(upload_id, block, digest=digest, body=body)
        except UploadError as error:
            body.seek(0)  # what was sent of it does not count
            if tools.ends_run(error):
                tools.slots.close()  # before the next block takes over this one's slot
            raise
        body.forget()
    return digest


class Transfer:
    """The blocks of a file on their way into an upload, and what is known of each, by number.

    stored     what the vault listed
    failed     why blocks could not be read or sent
    differing  blocks that are stored, but not as the file has them

    `bytes_skipped` counts what was found to be stored as the file has it.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        upload_id: str,
        *,
        tools: Tools,
        watcher: Watcher,
        workers: Executor,
        tick: Callable[[], None],
    ) -> None:
        self.stored: dict[int, StoredPart] = {}
        self.failed: dict[int, UploadError] = {}
        self.differing: set[int] = set()
        self.bytes_skipped = 0
        self._source = source
        self._plan = plan
        self._upload_id = upload_id
        self._tools = tools
        self._watcher = watcher
        self._workers = workers
        self._tick = tick
        self._roots: dict[int, bytes] = {}
        self._to_send: dict[int, Digest] = {}

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these blocks that are not stored at all."""
        return [n for n in numbers if n not in self.stored and n not in self._roots]

    def unproven(self) -> list[int]:
        """Return the file's blocks that are not known to be stored as the file has them."""
        return [number for number in self._plan.numbers if number not in self._roots]

    def wanted(self) -> list[int]:
        """Return the blocks that have still to be sent, as far as is known."""
        return [n for n in self.unproven() if n not in self.stored or n in self.differing]

    def tree_hash(self) -> str:
        """Return the archive's tree hash in hex, or an empty string while a block is unproven."""
        if self.unproven():
            return ""
        return combine([self._roots[number] for number in self._plan.numbers]).hex()

    def compare(self, numbers: Sequence[int], *, readers: int) -> None:
        """Read those of these blocks that are stored, and tell which are as the file has them.

        Raises the error that ends the run; an unreadable block may only be noted in `failed`.
        """
        blocks = [self._plan.block(number) for number in numbers if number in self.stored]
        for block in blocks:
            stored = self.stored[block.number].size
            if stored != block.size:
                self._differs(
                    block, f"{stored} bytes are stored, the file's block has {block.size}"
                )
        of_size = [block for block in blocks if block.number not in self.differing]
        self._each(
            "check",
            self._digest,
            of_size,
            window=lambda: readers,
            on_success=self._compared,
            tick=self._tick,
        )

    def send(self, numbers: Sequence[int], *, tick: Callable[[], None]) -> None:
        """Send those of these blocks that are unproven, one more in hand than there are slots.

        Raises the error that ends the run; a block that failed may only be noted in `failed`.
        """
        blocks = [self._plan.block(number) for number in numbers if number not in self._roots]
        self._tools.slots.line_up(block.number for block in blocks)
        self._each(
            "send",
            self._send,
            blocks,
            window=lambda: self._tools.slots.count + 1,
            on_success=self._sent,
            tick=tick,
        )

    def raise_failure(self) -> None:
        """Raise the first of the noted failures, if there is one."""
        for error in self.failed.values():
            raise error

    def _digest(self, block: Block) -> Digest:
        return digest_block(
            self._source,
            block,
            stopped=self._tools.stopped,
            on_read=self._watcher.moved,
            forget=True,
        )

    def _compared(self, block: Block, digest: Digest) -> None:
        stored = self.stored[block.number].tree_hash
        if stored == digest.tree:
            self._roots[block.number] = digest.tree
            self.bytes_skipped += block.size
            self._watcher.finished(block, "is already stored")
        else:
            self._to_send[block.number] = digest
            self._watcher.finished(block, "differs")
            self._differs(
                block, f"its stored tree hash is {stored.hex()}, the file's {digest.tree.hex()}"
            )

    def _differs(self, block: Block, reason: str) -> None:
        self.differing.add(block.number)
        self._watcher.note(f"block {block.number} differs: {reason}")

    def _send(self, block: Block) -> Digest:
        known = self._to_send.get(block.number)
        return upload_block(self._source, self._upload_id, block, tools=self._tools, digest=known)

    def _sent(self, block: Block, digest: Digest) -> None:
        self._roots[block.number] = digest.tree
        self.failed.pop(block.number, None)
        self._watcher.finished(block, "is stored")

    def _each(
        self,
        phase: str,
        work: Callable[[Block], Digest],
        blocks: Sequence[Block],
        *,
        window: Callable[[], int],
        on_success: Callable[[Block, Digest], None],
        tick: Callable[[], None],
    ) -> None:
        """Do the work for each block. Raises the first error that ends the run, once all rest."""
        if not blocks:
            return
        last_straw: list[UploadError] = []

        def on_finished(block: Block, future: Future[Digest]) -> bool:
            error = future.exception()
            if error is None:
                on_success(block, future.result())
            elif isinstance(error, UploadError):
                error = self._failure(block, error)
                if self._tools.ends_run(error):
                    last_straw.append(error)
                    self._tools.slots.close()
            elif not isinstance(error, Stopped):
                raise error
            return not last_straw

        size = sum(block.size for block in blocks)
        self._watcher.begins(phase, blocks=len(blocks), size=size)
        run_each(self._workers, work, blocks, window=window, on_finished=on_finished, tick=tick)
        if last_straw:
            raise last_straw[0]

    def _failure(self, block: Block, error: UploadError) -> UploadError:
        """Note and return why the block failed, which may be that the file changed or is gone."""
        if isinstance(error, HashMismatch | SourceUnreadable):
            try:
                check_unchanged(self._source)
            except UploadError as change:
                error = change
        self.failed[block.number] = error
        self._watcher.failed(block, error)
        return error
