"""What the vault holds when a run ends: other runs and machines may have stored blocks, too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from glacier_mpu.errors import BlocksMissing, FileTooShort, SourceLost, UploadError
from glacier_mpu.source.blocks import as_named_ranges
from glacier_mpu.source.ledger import Remembered
from glacier_mpu.stop import Stopped
from glacier_mpu.transfer.candidates import stored_blocks
from glacier_mpu.transfer.send import Blocks, Sender
from glacier_mpu.vault.answers import Listing, StoredPart
from glacier_mpu.vault.errors import HashMismatch, UploadNotFound, VaultError

ListParts = Callable[[], Listing]


def check_the_rest(
    blocks: Blocks,
    sender: Sender,
    *,
    list_parts: ListParts,
    compare_known: Callable[[Sequence[int]], None],
    tick: Callable[[], None],
) -> None:
    """Make sure that blocks outside the asked range, too, are stored as the file has them.

    Raises BlocksMissing, before the file is read where it must come to that. Before and after
    comparing, which may take hours, they are listed anew: others may have stored them meanwhile.
    """
    if not blocks.unproven():
        return
    _list_anew(blocks, list_parts)
    rest = blocks.unproven()
    compare_known(rest)
    _refuse_if_lacking(blocks, blocks.unsent())
    sender.run(rest, may_send=False, tick=tick)
    blocks.raise_failure()
    _list_anew(blocks, list_parts)
    _refuse_if_lacking(blocks, blocks.unproven())


def list_if_answered(blocks: Blocks, list_parts: ListParts) -> None:
    """List once more where all else is done; if that fails, what was known before is said.

    Raises what is an answer, too: UploadNotFound, FileTooShort.
    """
    try:
        _list_anew(blocks, list_parts)
    except (UploadNotFound, FileTooShort):
        raise
    except (Stopped, Exception):  # noqa: BLE001, S110 - nothing more was asked for, or depends on it
        pass


def refuse_if_replaced(blocks: Blocks, asked: Collection[int]) -> None:
    """Raise BlocksMissing if blocks that this run had proven are no longer the file's."""
    replaced = set(asked) & set(blocks.unproven())
    if replaced:
        raise BlocksMissing(
            "another run replaced stored blocks by those of another file: "
            f"{as_named_ranges(replaced)}"
        )


def list_would_be_answered(blocks: Blocks, error: UploadError | None) -> bool:
    """Tell whether a list is worth asking for after blocks failed, or the file could not be read.

    Not after a dead line or refused credentials, for which a list would be retried as long again.
    (After a stop, no call is made.)
    """
    if isinstance(error, SourceLost):
        return True
    if isinstance(error, VaultError) and error.every_block_alike:
        return False
    return bool(blocks.failed) and all(map(_service_answers, blocks.failed.values()))


def _service_answers(error: UploadError) -> bool:
    """Tell whether the service answered, or was not asked, and would answer other calls."""
    if not isinstance(error, VaultError) or isinstance(error, HashMismatch):
        return True
    return error.status > 0 and not error.every_block_alike


def _list_anew(blocks: Blocks, list_parts: ListParts) -> None:
    _take_note(blocks, stored_blocks(list_parts(), blocks.plan))


def _take_note(blocks: Blocks, stored: Mapping[int, StoredPart]) -> None:
    """Take note of a fresh list: what others have stored or replaced counts as it is listed.

    A block that is proven and not listed stays proven: a list may be older than the last answers.
    """
    blocks.stored = stored
    for number, part in stored.items():
        block, digest = blocks.plan.block(number), blocks.known.get(number)
        if isinstance(digest, Remembered):
            # What the ledger knows proves no difference; but what was proven by it is so no more.
            if part.tree_hash != digest.tree:
                blocks.proven.discard(number)
            digest = None
        if part.size != block.size or (digest is not None and part.tree_hash != digest.tree):
            blocks.proven.discard(number)
            blocks.differing.add(number)
        else:
            blocks.differing.discard(number)
            if digest is not None:
                blocks.proven.add(number)


def _refuse_if_lacking(blocks: Blocks, lacking: Collection[int]) -> None:
    """Raise BlocksMissing if completion lacks any blocks."""
    absent = blocks.missing(sorted(lacking))
    lacks = {
        "not stored": absent,
        "stored, but not as in the file": set(lacking) - set(absent),
    }
    reasons = [f"{what}: {as_named_ranges(numbers)}" for what, numbers in lacks.items() if numbers]
    if reasons:
        raise BlocksMissing(f"the upload cannot be completed; {'; '.join(reasons)}")
