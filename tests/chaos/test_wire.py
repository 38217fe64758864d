"""The network that the faults run over does what it is told; else they would prove nothing."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from streams.broker import HOST
from tests.chaos import wire as apis
from tests.chaos.wire import Wire

FETCH = 1


class Broker:
    """Answers every request with its number, and remembers which it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self._server = socket.create_server((HOST, 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self._server.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while frame := receive(connection):
                api, _, number = struct.unpack(">hhi", frame)
                self.seen.append((api, number))
                connection.sendall(struct.pack(">ii", 4, number))

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()


def receive(connection: socket.socket) -> bytes:
    """Return the next frame without its length; nothing where the connection has ended."""
    try:
        head = connection.recv(4, socket.MSG_WAITALL)
        return connection.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL) if len(head) == 4 else b""
    except OSError:
        return b""


class Client:
    def __init__(self, wire: Wire) -> None:
        self.connection = socket.create_connection((HOST, wire.port), timeout=30)

    def ask(self, api: int, number: int) -> int | None:
        """Return the number that comes back, None where the connection ends."""
        self.connection.sendall(struct.pack(">ihhi", 8, api, 0, number))
        answer = receive(self.connection)
        return struct.unpack(">i", answer)[0] if answer else None


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    with contextlib.suppress(OSError):
        made.close()


@pytest.fixture
def wire(broker) -> Iterator[Wire]:
    made = Wire()
    made.lead_to(broker.address)
    yield made
    made.close()


def test_requests_and_answers_pass(broker, wire):
    client = Client(wire)
    assert [client.ask(FETCH, number) for number in (1, 2)] == [1, 2]
    assert broker.seen == [(FETCH, 1), (FETCH, 2)]


def test_a_lost_answer_belongs_to_a_request_that_was_carried_out(broker, wire):
    wire.lose_answers([apis.END_TRANSACTION], 1)
    client = Client(wire)
    assert client.ask(FETCH, 1) == 1
    assert client.ask(apis.END_TRANSACTION, 2) is None
    assert broker.seen == [(FETCH, 1), (apis.END_TRANSACTION, 2)]
    assert wire.lost == 1
    assert Client(wire).ask(apis.END_TRANSACTION, 3) == 3


def test_a_refused_request_never_arrives_and_others_do(broker, wire):
    wire.refuse(apis.PRODUCE, 60)
    assert Client(wire).ask(FETCH, 1) == 1
    assert Client(wire).ask(apis.PRODUCE, 2) is None
    assert broker.seen == [(FETCH, 1)]
    assert wire.refused == 1


def test_a_cut_ends_connections_and_takes_no_new_ones(broker, wire):
    client = Client(wire)
    assert client.ask(FETCH, 1) == 1
    wire.cut(60)
    assert receive(client.connection) == b""
    assert Client(wire).ask(FETCH, 2) is None
    assert broker.seen == [(FETCH, 1)]


def test_what_is_held_arrives_later_and_in_order(broker, wire):
    client = Client(wire)
    assert client.ask(FETCH, 1) == 1
    wire.hold(0.5)
    for number in (2, 3):
        client.connection.sendall(struct.pack(">ihhi", 8, FETCH, 0, number))
    assert broker.seen == [(FETCH, 1)]
    assert [receive(client.connection) for _ in range(2)] == [struct.pack(">i", n) for n in (2, 3)]


def test_a_slow_network_still_delivers(wire):
    wire.slow_down(0.05, 60)
    assert [Client(wire).ask(FETCH, number) for number in (1, 2)] == [1, 2]


def test_no_broker_behind_the_wire_ends_the_connection(broker, wire):
    broker.close()
    assert Client(wire).ask(FETCH, 1) is None
