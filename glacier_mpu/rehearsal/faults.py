"""Faults on purpose: the kinds of trouble, with which calls they happen, and the handler that acts.

`table` reads them from a file. Tests hand the same objects to RehearsalServer.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.wire import MIB, Answer, Call, Refusal

ALWAYS = sys.maxsize
_ON_PURPOSE = "The rehearsal refuses this on purpose."
# On Windows the two members of struct linger are short.
_RESET_ON_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


@dataclass(eq=False)
class Fault:
    """What happens to an operation, after it went well `after` times, so many `times`.

    operation is the name in AWS's model ("UploadMultipartPart"). blocks: only these parts of an
    upload, counted from 0, and only they are counted; empty for all. met counts the calls so far.
    """

    operation: str
    act: Act
    times: int = field(default=1, kw_only=True)
    after: int = field(default=0, kw_only=True)
    blocks: Collection[int] = field(default=(), kw_only=True)
    met: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def strikes(self, operation: str, block: int | None) -> bool:
        """Count this call if it is meant, and tell whether it is one of those that go wrong."""
        if operation != self.operation or (self.blocks and block not in self.blocks):
            return False
        with self._lock:
            self.met += 1
            return self.after < self.met <= self.after + self.times


class FaultyHandler(Handler):
    """The handler with faults. They act on calls that are rightly signed, for a vault that exists.

    sending, if a fault sets it, takes the place of `send` for this call.
    """

    faults: Sequence[Fault] = ()

    def answer_call(self) -> None:
        self.sending: Callable[[Call, Answer], None] | None = None
        super().answer_call()

    def admit(self, call: Call) -> None:
        super().admit(call)
        self.apply_faults(call)

    def apply_faults(self, call: Call) -> None:
        """Do what goes wrong with this call, or prepare it. All faults count it before one acts."""
        block = self.service.operations.block(call) if self.faults else None
        for fault in [fault for fault in self.faults if fault.strikes(call.operation, block)]:
            fault.act(self, call)

    def send(self, call: Call, answer: Answer) -> None:
        if self.sending is None:
            super().send(call, answer)
        else:
            self.sending(call, answer)

    def reset(self) -> None:
        """End the connection with a reset, as a machine does that has crashed meanwhile."""
        self.unread = 0
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.connection.shutdown(socket.SHUT_RDWR)

    def pause(self, seconds: float) -> None:
        """Wait, also if the client hangs up. Raises ConnectionError if the server is closed."""
        if self.server.closing.wait(seconds):
            raise ConnectionAbortedError


Act = Callable[[FaultyHandler, Call], None]


def with_faults(faults: Sequence[Fault]) -> type[FaultyHandler]:
    """A handler class with these faults."""
    return type("WithFaults", (FaultyHandler,), {"faults": faults})


# -- the kinds: each is an Act, called when a call is admitted and before its body is read -------


class _InsteadOfSending(ABC):
    """What lets the work be done, and then does something else than send the answer.

    Called by its name below: `super()` finds no class in a dataclass with slots.
    """

    __slots__ = ()

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        handler.sending = partial(self.send, handler)

    @abstractmethod
    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        """Do it."""


@dataclass(frozen=True, slots=True)
class CutBeforeReading:
    """Reset the connection before the body is read."""

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        handler.reset()
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class CutInBody:
    """Reset the connection when `percent` of the body were read."""

    percent: int = 50

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        handler.invite_body(call)
        left = handler.unread * self.percent // 100
        while left > 0:
            left -= len(handler.read_body(left))
        handler.reset()
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class LoseAnswer(_InsteadOfSending):
    """Do the work, and reset the connection instead of answering."""

    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        handler.reset()


@dataclass(frozen=True, slots=True)
class CutAnswer(_InsteadOfSending):
    """Do the work, send `percent` of the answer, head and body, and close the connection."""

    percent: int = 50

    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        encoded = handler.encode(answer)
        handler.wfile.write(encoded[: len(encoded) * self.percent // 100])
        handler.close_connection = True


@dataclass(frozen=True, slots=True)
class NeverAnswer(_InsteadOfSending):
    """Do the work, and keep the connection open without an answer until the client gives up."""

    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        handler.connection.settimeout(None)
        with suppress(OSError):
            while handler.connection.recv(MIB):
                pass
        handler.unread = 0
        handler.close_connection = True


@dataclass(frozen=True, slots=True)
class Slow(_InsteadOfSending):
    """Wait for so many seconds before the work is done, or after it and before the answer.

    The work is done also when the client has given up meanwhile.
    """

    seconds: float
    when: Literal["before", "after"] = "after"

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        if self.when == "before":
            handler.pause(self.seconds)
        else:
            _InsteadOfSending.__call__(self, handler, call)

    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        handler.pause(self.seconds)
        Handler.send(handler, call, answer)


@dataclass(frozen=True, slots=True)
class LeaveHashOut(_InsteadOfSending):
    """Answer without the tree hash."""

    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        kept = {name: text for name, text in answer.headers.items() if not _is_hash(name)}
        Handler.send(handler, call, replace(answer, headers=kept))


@dataclass(frozen=True, slots=True)
class EchoAnotherHash(_InsteadOfSending):
    """Answer with a tree hash of zeros."""

    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        changed = {
            name: "0" * 64 if _is_hash(name) else text for name, text in answer.headers.items()
        }
        Handler.send(handler, call, replace(answer, headers=changed))


def _is_hash(name: str) -> bool:
    return name == "x-amz-sha256-tree-hash"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse before the body is read."""

    status: int
    code: str
    message: str = _ON_PURPOSE

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        raise Refusal(self.status, self.code, self.message)


@dataclass(frozen=True, slots=True)
class RefuseEarly:
    """Refuse while the body is still coming, and hang up on the rest of it."""

    status: int
    code: str
    message: str = _ON_PURPOSE

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        handler.invite_body(call)
        handler.read_body(1 << 16)
        Handler.send(handler, call, Refusal(self.status, self.code, self.message).answer())
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class AnswerBare(_InsteadOfSending):
    """Refuse with a status and no body, as a proxy or a load balancer does."""

    status: int

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        _InsteadOfSending.__call__(self, handler, call)
        raise Refusal(self.status, "", "")

    def send(self, handler: FaultyHandler, call: Call, answer: Answer) -> None:
        Handler.send(handler, call, Answer(self.status))
