"""The stand-in's faults under short names, and a handler that also counts what arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import cast

from glacier_mpu.rehearsal import faults
from glacier_mpu.rehearsal.faults import (
    ALWAYS,
    AnswerBare,
    CutAnswer,
    CutBeforeReading,
    CutInBody,
    EchoAnotherHash,
    LeaveHashOut,
    LoseAnswer,
    NeverAnswer,
    Refuse,
    RefuseEarly,
    Slow,
)
from glacier_mpu.rehearsal.files import Incoming
from glacier_mpu.rehearsal.operations import Digests
from glacier_mpu.rehearsal.wire import Answer, Call

FOREVER = ALWAYS

cut_before_reading = CutBeforeReading()
cut_in_the_middle = CutInBody()
lose_the_answer = LoseAnswer()
cut_the_answer = CutAnswer()
cut_the_answer_at = CutAnswer
leave_the_hash_out = LeaveHashOut()
never_answer = NeverAnswer()
slow = Slow
echo_another_hash = EchoAnotherHash()
refuse = Refuse
refuse_early = RefuseEarly
answer_bare = AnswerBare


class FaultyHandler(faults.FaultyHandler):
    """The stand-in's handler, with the faults of its class.

    `calls` lists the operations that were asked for; `bytes_in` counts the bytes of their bodies,
    of broken ones, too.
    """

    calls: list[str]
    bytes_in: int
    counting = threading.Lock()

    def apply_faults(self, call: Call) -> None:
        self.calls.append(call.operation)
        super().apply_faults(call)

    def slam(self) -> None:
        self.reset()

    def receive(self, call: Call, body: Incoming) -> Digests:
        announced = self.unread
        try:
            return super().receive(call, body)
        finally:
            with self.counting:
                type(self).bytes_in += announced - self.unread


Act = Callable[[FaultyHandler, Call], None]
AtSend = Callable[[FaultyHandler, Call, Answer], None]


class Fault(faults.Fault):
    """A fault whose act may also use what only this handler has, and comes before its numbers."""

    def __init__(
        self,
        operation: str,
        act: Act,
        times: int = 1,
        after: int = 0,
        *,
        blocks: Collection[int] = (),
    ) -> None:
        super().__init__(
            operation, cast("faults.Act", act), times=times, after=after, blocks=blocks
        )


def faulty(*unlucky: faults.Fault) -> type[FaultyHandler]:
    """Return a handler class with these faults."""
    return type(
        "WithFaults", (FaultyHandler,), {"faults": list(unlucky), "calls": [], "bytes_in": 0}
    )


def at_send(act: AtSend) -> Act:
    """Turn what is done instead of sending the answer into an act."""

    def arm(handler: FaultyHandler, call: Call) -> None:
        handler.sending = partial(act, handler)

    return arm


def do(action: Callable[[], object]) -> Act:
    """Do something on this machine when the call arrives, and then serve it."""

    def act(handler: FaultyHandler, call: Call) -> None:
        action()

    return act


class HoldBack:
    """A fault that holds a block back until it is opened, and then lets it through or drops it."""

    def __init__(self, *, drops: bool = False) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._drops = drops

    def __call__(self, handler: FaultyHandler, call: object) -> None:
        self.reached.set()
        self.opened.wait(60)
        if self._drops:
            handler.slam()
            raise ConnectionResetError
