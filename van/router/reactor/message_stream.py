"""A conversation of small messages over TLS, as links, joins, and new channels hold."""

from collections import deque
from collections.abc import Iterator
from typing import Final

import trio

from van.errors import LinkLost
from van.router.reactor import sockets, tls_io
from van.tls.connection import TlsConnection
from van.wire.framing import WAKE_SIZE, Codec, FrameReader, Message, pad

CLOSED: Final = "the other side closed the connection"


class MessageStream:
    """Sends and receives messages of one codec; owns its TLS socket until `detach`."""

    def __init__(self, tls: TlsConnection, codec: Codec, *, max_payload: int) -> None:
        self._tls = tls
        self._codec = codec
        self._frames = FrameReader(max_payload=max_payload)
        self._unsent: deque[memoryview] = deque()
        self._wake_size = 0
        self._may_wait = False

    def let_wait(self) -> None:
        """From now on, let messages that may wait wake neither the peer's `receive` nor ours, which
        leaves them for `receive_waiting`."""
        self._wake_size = WAKE_SIZE
        self._may_wait = sockets.let_wait(self._tls.sock, WAKE_SIZE)

    @property
    def has_unsent(self) -> bool:
        """Tell whether a message has not gone out in full."""
        return bool(self._unsent)

    async def send(self, message: Message) -> None:
        """Send one message; one task at a time. Raises `LinkLost`.

        What is left of a message whose sending was cancelled goes out before the next one.
        """
        self._append(message)
        await self.finish_sending()

    def send_now(self, message: Message) -> bool:
        """Send one message without waiting; tell whether it went out in full. Raises `LinkLost`.

        For a time when no task sends; after a false answer, one has to call `finish_sending`.
        """
        self._append(message)
        while self._unsent:
            sent = tls_io.send_now(self._tls, self._unsent[0])
            if not sent:
                return False
            self._take_sent(sent)
        return True

    def _append(self, message: Message) -> None:
        frame = self._codec.encode(message)
        if not message.may_wait:
            frame = pad(frame, self._wake_size)
        self._unsent.append(memoryview(frame))

    async def finish_sending(self) -> None:
        """Send what is left of messages that did not go out in full. Raises `LinkLost`."""
        while self._unsent:
            self._take_sent(await tls_io.send_some(self._tls, self._unsent[0]))

    def _take_sent(self, count: int) -> None:
        if count < len(self._unsent[0]):
            self._unsent[0] = self._unsent[0][count:]
        else:
            self._unsent.popleft()

    async def receive(self) -> Message:
        """Return the next message of a known kind.

        Raises `LinkLost` at the end of the connection and `RemoteProtocolError` for what is not a
        message.
        """
        while (message := self._next_message()) is None:
            data = await tls_io.receive_some(self._tls)
            if not data:
                raise LinkLost(CLOSED)
            self._frames.receive_data(data)
        return message

    def receive_waiting(self) -> Iterator[tuple[Message, float]]:
        """Yield what has come without waking `receive`, with the seconds that it has waited.

        For a time when `receive` waits. Raises as that does.
        """
        if not self._may_wait or self._tls.fileno() == -1:
            return
        data = tls_io.receive_now(self._tls)
        if data is None:
            return
        if not data:
            raise LinkLost(CLOSED)
        age = sockets.last_received(self._tls.sock)
        self._frames.receive_data(data)
        while (message := self._next_message()) is not None:
            yield message, age

    def _next_message(self) -> Message | None:
        while (frame := self._frames.next_frame()) is not None:
            message = self._codec.decode(*frame)
            if message is not None:
                return message
        return None

    def detach(self) -> tuple[TlsConnection, bytes]:
        """Give up the socket, with the bytes that were read from it and belong to what follows."""
        return self._tls, self._frames.unread()

    def close(self) -> None:
        """Close the connection without ceremony; a task that waits in it gets `LinkLost`."""
        if self._tls.fileno() != -1:
            trio.lowlevel.notify_closing(self._tls)
            self._tls.close()
