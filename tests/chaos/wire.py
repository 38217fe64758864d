"""The network between one worker and the broker: a proxy that can delay, hold, cut and lose what passes.

It reads Kafka's frames (a length, then for requests the API, its version and a number that the answer
repeats), so it can refuse one kind of request, or carry out a request and lose the answer.
"""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterable
from typing import Final

from streams.broker import HOST, free_port

PRODUCE: Final = 0
JOIN_GROUP: Final = 11
SYNC_GROUP: Final = 14
INIT_PRODUCER_ID: Final = 22
ADD_PARTITIONS: Final = 24
END_TRANSACTION: Final = 26
COMMIT_OFFSETS: Final = 28

_LIMIT: Final = 2**20
_STEP_S: Final = 0.02
_PAUSE_S: Final = 0.5


class Wire:
    """One listening port whose connections lead to a broker's listener.

    Every fault ends by itself after the time it was given.

    Attributes
    ----------
    lost
        Answers lost so far.
    refused
        Connections ended at a refused request so far.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.lost = self.refused = 0
        self._upstream = ""
        self._delay = (0.0, 0.0)  # until, seconds
        self._held_until = self._cut_until = self._refused_until = 0.0
        self._refused_api = -1
        self._doomed: tuple[frozenset[int], int] = (frozenset(), 0)
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name=f"wire-{self.port}", daemon=True)

    @property
    def address(self) -> str:
        """Where the worker finds the broker."""
        return f"{HOST}:{self.port}"

    def lead_to(self, upstream: str) -> None:
        """Begin to carry connections to an address."""
        self._upstream = upstream
        self._listening = socket.create_server((HOST, self.port))
        self._thread.start()

    def close(self) -> None:
        """End every connection."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    # -- faults

    def slow_down(self, delay_s: float, seconds: float) -> None:
        """Deliver every frame late, both ways."""
        self._delay = (time.monotonic() + seconds, delay_s)

    def hold(self, seconds: float) -> None:
        """Deliver nothing, as when packets go astray; all of it arrives once the network has healed."""
        self._held_until = time.monotonic() + seconds

    def cut(self, seconds: float) -> None:
        """End every connection and take no new one."""
        self._cut_until = time.monotonic() + seconds
        self._loop.call_soon_threadsafe(self._end_connections)

    def refuse(self, api: int, seconds: float) -> None:
        """End a connection as soon as it carries a request of a kind, before the broker sees it."""
        self._refused_api = api
        self._refused_until = time.monotonic() + seconds

    def lose_answers(self, apis: Iterable[int], count: int) -> None:
        """Let the broker carry out the next requests of some kinds, and end the connection for an answer."""
        self._doomed = (frozenset(apis), count)

    # -- carrying

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._listening, limit=_LIMIT)
        await self._over.wait()
        server.close()
        self._end_connections()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _end_connections(self) -> None:
        for task in self._connections:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, _CutError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if time.monotonic() < self._cut_until:
            await asyncio.sleep(_PAUSE_S)
            return
        host, port = self._upstream.split(":")
        try:
            there, back = await asyncio.open_connection(host, int(port), limit=_LIMIT)
        except OSError:
            # An end at once would invite the next attempt at once, without any client's pause between.
            await asyncio.sleep(_PAUSE_S)
            return
        doomed: set[int] = set()
        ways = [
            asyncio.ensure_future(self._requests(reader, back, doomed)),
            asyncio.ensure_future(self._answers(there, writer, doomed)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.close()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: set[int]
    ) -> None:
        while True:
            frame = await _frame(reader)
            api, _, number = struct.unpack_from(">hhi", frame, 4)
            if api == self._refused_api and time.monotonic() < self._refused_until:
                self.refused += 1
                raise _CutError
            apis, left = self._doomed
            if left and api in apis:
                self._doomed = (apis, left - 1)
                doomed.add(number)
            await self._deliver(frame, writer)

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: set[int]
    ) -> None:
        while True:
            frame = await _frame(reader)
            if doomed and struct.unpack_from(">i", frame, 4)[0] in doomed:
                self.lost += 1
                raise _CutError
            await self._deliver(frame, writer)

    async def _deliver(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        until, delay_s = self._delay
        if time.monotonic() < until:
            await asyncio.sleep(delay_s)
        while time.monotonic() < self._held_until:
            await asyncio.sleep(_STEP_S)
        writer.write(frame)
        await writer.drain()


class _CutError(Exception):
    """The connection ends here."""


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack(">i", head)[0])
