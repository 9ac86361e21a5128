"""A Glacier that has bad days: the stand-in with faults at chosen calls, so many times each."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from glacier_mpu.rehearsal.files import Incoming
from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.operations import Digests
from glacier_mpu.rehearsal.wire import Answer, Call, Refusal

FOREVER = 10**9


@dataclass
class Fault:
    """What goes wrong with an operation, after it went well `after` times, so many `times`."""

    operation: str
    act: Act
    times: int = 1
    after: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    met: int = 0

    def strikes(self, operation: str) -> bool:
        """Tell whether this call is one of the unlucky ones."""
        if operation != self.operation:
            return False
        with self._lock:
            self.met += 1
            return self.after < self.met <= self.after + self.times


class FaultyHandler(Handler):
    """The stand-in's handler, with the faults of its class.

    `calls` lists the operations that were asked for; `bytes_in` counts the bytes of their bodies,
    of broken ones, too.
    """

    faults: list[Fault]
    calls: list[str]
    bytes_in: int
    counting = threading.Lock()

    def answer_call(self) -> None:
        self.fault: AtSend | None = None
        super().answer_call()

    do_GET = do_PUT = do_POST = do_DELETE = answer_call  # noqa: N815

    def admit(self, call: Call) -> None:
        super().admit(call)
        self.calls.append(call.operation)
        for fault in self.faults:
            if fault.strikes(call.operation):
                fault.act(self, call)

    def receive(self, call: Call, body: Incoming) -> Digests:
        announced = self.unread
        try:
            return super().receive(call, body)
        finally:
            with self.counting:
                type(self).bytes_in += announced - self.unread

    def send(self, call: Call, answer: Answer) -> None:
        if self.fault is not None:
            self.fault(self, call, answer)
        else:
            super().send(call, answer)

    def slam(self) -> None:
        """End the connection with a reset, as a crashed machine's router does."""
        self.unread = 0
        self.close_connection = True
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.shutdown(socket.SHUT_RDWR)


Act = Callable[[FaultyHandler, Call], None]
AtSend = Callable[[FaultyHandler, Call, Answer], None]


def faulty(*faults: Fault) -> type[FaultyHandler]:
    """Return a handler class with these faults."""
    return type(
        "WithFaults", (FaultyHandler,), {"faults": list(faults), "calls": [], "bytes_in": 0}
    )


def cut_before_reading(handler: FaultyHandler, call: Call) -> None:
    handler.slam()
    raise ConnectionResetError


def cut_in_the_middle(handler: FaultyHandler, call: Call) -> None:
    handler.rfile.read(handler.unread // 2)
    handler.slam()
    raise ConnectionResetError


def at_send(act: AtSend) -> Act:
    def arm(handler: FaultyHandler, call: Call) -> None:
        handler.fault = act

    return arm


@at_send
def lose_the_answer(handler: FaultyHandler, call: Call, answer: Answer) -> None:
    handler.slam()


@at_send
def cut_the_answer(handler: FaultyHandler, call: Call, answer: Answer) -> None:
    encoded = handler.encode(answer)
    body = len(answer.body)
    handler.wfile.write(encoded[: -body // 2] if body > 2 else encoded[: len(encoded) // 2])
    handler.close_connection = True


def cut_the_answer_at(percent: int) -> Act:
    """Cut the head of the answer there: Python takes half a header for a whole one."""

    @at_send
    def act(handler: FaultyHandler, call: Call, answer: Answer) -> None:
        encoded = handler.encode(answer)
        head = len(encoded) - len(answer.body)
        handler.wfile.write(encoded[: head * percent // 100])
        handler.close_connection = True

    return act


@at_send
def leave_the_hash_out(handler: FaultyHandler, call: Call, answer: Answer) -> None:
    headers = {name: value for name, value in answer.headers.items() if "tree-hash" not in name}
    Handler.send(handler, call, replace(answer, headers=headers))


@at_send
def never_answer(handler: FaultyHandler, call: Call, answer: Answer) -> None:
    handler.connection.settimeout(30)
    with suppress(OSError):
        handler.connection.recv(1)  # until the client gives up
    handler.close_connection = True


@at_send
def echo_another_hash(handler: FaultyHandler, call: Call, answer: Answer) -> None:
    headers = {**answer.headers, "x-amz-sha256-tree-hash": "0" * 64}
    Handler.send(handler, call, replace(answer, headers=headers))


def refuse(status: int, code: str, message: str = "as the test wishes") -> Act:
    def act(handler: FaultyHandler, call: Call) -> None:
        raise Refusal(status, code, message)

    return act


def refuse_early(status: int, code: str) -> Act:
    """Refuse while the body is still coming, and hang up on the rest of it."""

    def act(handler: FaultyHandler, call: Call) -> None:
        handler.rfile.read(1 << 16)
        Handler.send(handler, call, Refusal(status, code, "as the test wishes").answer())
        raise ConnectionResetError

    return act


def answer_bare(status: int) -> Act:
    """Answer with a status and no body, as a proxy or a load balancer does."""

    def act(handler: FaultyHandler, call: Call) -> None:
        handler.fault = lambda handler, call, answer: Handler.send(
            handler, call, Answer(status, {}, b"")
        )
        raise Refusal(status, "unsaid", "")

    return act


def do(action: Callable[[], object]) -> Act:
    """Do something on this machine when the call arrives, and then serve it."""

    def act(handler: FaultyHandler, call: Call) -> None:
        action()

    return act
