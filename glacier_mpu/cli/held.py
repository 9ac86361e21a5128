"""What the vault holds of what a run is asked for. Pure counting."""

from __future__ import annotations

from glacier_mpu.transfer.events import UploadOpened


class Held:
    """Blocks that the vault holds, as far as is known, of those that a run is asked for.

    asked_size  bytes of all blocks that are asked for
    numbers     blocks that the vault holds
    size        bytes of those
    """

    def __init__(self, opened: UploadOpened) -> None:
        self.asked = opened.asked
        self.numbers: set[int] = set()
        self.size = 0
        self._plan = opened.plan
        self.asked_size = sum(block.size for block in opened.plan.blocks(opened.asked))
        for number in opened.stored:
            self.add(number)

    def add(self, number: int) -> None:
        """Count a block; one that is not asked for, or counted already, changes nothing."""
        if number in self.asked and number not in self.numbers:
            self.numbers.add(number)
            self.size += self._plan.block(number).size

    def drop(self, number: int) -> None:
        """Count a block no more: another than the file's is stored."""
        if number in self.numbers:
            self.numbers.remove(number)
            self.size -= self._plan.block(number).size
