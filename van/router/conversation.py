"""A conversation of small messages over TLS, as links, joins, and new channels hold."""

from collections import deque
from typing import Final

import trio

from van.errors import LinkLost
from van.router import sockets
from van.tls.connection import TlsConnection
from van.wire.framing import Codec, FrameReader, Message

CLOSED: Final = "the other side closed the connection"


class Conversation:
    """Sends and receives messages of one codec; owns its TLS socket until `detach`."""

    def __init__(self, tls: TlsConnection, codec: Codec, *, max_payload: int) -> None:
        self._tls = tls
        self._codec = codec
        self._frames = FrameReader(max_payload=max_payload)
        self._unsent: deque[memoryview] = deque()

    @property
    def has_unsent(self) -> bool:
        """Tell whether a message has not gone out in full."""
        return bool(self._unsent)

    async def send(self, message: Message) -> None:
        """Send one message; one task at a time. Raises `LinkLost`.

        What is left of a message whose sending was cancelled goes out before the next one.
        """
        self._unsent.append(memoryview(self._codec.encode(message)))
        await self.finish_sending()

    def send_now(self, message: Message) -> bool:
        """Send one message without waiting; tell whether it went out in full. Raises `LinkLost`.

        For a time when no task sends; after a false answer, one has to call `finish_sending`.
        """
        self._unsent.append(memoryview(self._codec.encode(message)))
        while self._unsent:
            sent = sockets.send_now(self._tls, self._unsent[0])
            if not sent:
                return False
            self._take_sent(sent)
        return True

    async def finish_sending(self) -> None:
        """Send what is left of messages that did not go out in full. Raises `LinkLost`."""
        while self._unsent:
            self._take_sent(await sockets.send_some(self._tls, self._unsent[0]))

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
        while True:
            frame = self._frames.next_frame()
            if frame is not None:
                message = self._codec.decode(*frame)
                if message is not None:
                    return message
                continue
            data = await sockets.receive_some(self._tls)
            if not data:
                raise LinkLost(CLOSED)
            self._frames.receive_data(data)

    def detach(self) -> tuple[TlsConnection, bytes]:
        """Give up the socket, with the bytes that were read from it and belong to what follows."""
        return self._tls, self._frames.unread()

    def close(self) -> None:
        """Close the connection without ceremony; a task that waits in it gets `LinkLost`."""
        if self._tls.fileno() != -1:
            trio.lowlevel.notify_closing(self._tls)
            self._tls.close()
