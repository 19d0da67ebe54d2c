"""A channel cuts frames, keeps what it could not send, and stays closed once it is."""

import socket

import pytest
import trio
import trio.testing

from lab.network import wait_until
from tests.router.ends import Nobody, two_ends
from van.errors import RemoteProtocolError
from van.router.reactor import tls_io
from van.router.reactor.poller import READ
from van.wire.channel import CODEC, Kind, Open, Opened, Report
from van.wire.framing import pack_header

OPENED = CODEC.encode(Opened(Report(0, 0, 0)))
EOF_FRAME = pack_header(Kind.EOF, 0)
RESET_FRAME = pack_header(Kind.RESET, 0)


async def test_frames_arrive_however_they_are_cut():
    async with two_ends() as ends:
        channel = await ends.channel()
        channel.user = user = Nobody()
        channel.resume()
        text = OPENED + pack_header(Kind.DATA, 3) + b"abc" + pack_header(200, 2) + b"??" + EOF_FRAME
        for index in range(len(text)):
            await tls_io.send_all(ends.far[0], text[index : index + 1])
            await trio.testing.wait_all_tasks_blocked()
        await wait_until(lambda: Kind.EOF in user.frames, "the last frame has come")
        assert user.frames == [Kind.OPENED, 0, 0, 0, Kind.EOF]
        channel.close()


async def test_a_closed_channel_can_be_paused_and_resumed_and_sent_to():
    """Its descriptor may be another socket's by then, which must not be touched."""
    async with two_ends() as ends:
        closed = await ends.channel()
        closed.close()
        other = await ends.channel()
        closed.pause()
        closed.resume()
        closed.pause()
        assert not closed.send(RESET_FRAME)
        other.user = user = Nobody()
        other.resume()
        await tls_io.send_all(ends.far[1], EOF_FRAME)
        await wait_until(lambda: user.frames == [Kind.EOF], "the other one works")
        other.close()


async def test_a_channel_is_given_up_to_a_relay_only_when_nothing_was_sent_ahead():
    async with two_ends() as ends:
        channel = await ends.channel()
        channel._inbox = b"x"
        with pytest.raises(RemoteProtocolError, match="followed"):
            channel.detach()
        assert not channel.is_open
        channel = await ends.channel()
        tls = channel.detach()
        assert not channel.is_open
        tls.close()


async def test_what_can_not_be_sent_is_kept_and_sent_later():
    async with two_ends() as ends:
        channel = await ends.channel()
        frame = pack_header(Kind.DATA, 16000) + bytes(16000)
        count = 1
        while channel.send(frame):
            count += 1
        assert channel.is_blocked
        received = 0
        while received < count * len(frame):
            received += len(await tls_io.receive_some(ends.far[0]))
        await wait_until(lambda: not channel.is_blocked, "all is sent")
        channel.close()


async def test_what_is_held_back_goes_out_in_the_record_of_what_is_sent_next():
    async with two_ends() as ends:
        channel = await ends.channel()
        channel.hold(Opened(Report(0, 0, 0)))
        channel.send(EOF_FRAME)
        assert await tls_io.receive_some(ends.far[0]) == OPENED + EOF_FRAME
        ends.loop.buffer[: len(RESET_FRAME)] = RESET_FRAME
        channel.hold(Opened(Report(0, 0, 0)))
        channel.send_buffer(len(RESET_FRAME))
        assert await tls_io.receive_some(ends.far[0]) == OPENED + RESET_FRAME
        channel.close()


async def test_what_is_held_back_is_sent_when_the_loop_pauses():
    async with two_ends() as ends:
        channel = await ends.channel()
        near, far = socket.socketpair()
        with near, far:

            def drain(_mask: int) -> None:
                near.recv(1)

            watch = ends.loop.watch(near.fileno(), READ, drain)
            channel.hold(Opened(Report(0, 0, 0)))
            far.send(b"x")
            with trio.fail_after(5):
                assert await tls_io.receive_some(ends.far[0]) == OPENED
            watch.close()
        channel.hold(Opened(Report(0, 0, 0)))
        channel.close()
        channel.release_held()  # what is held back by a closed channel is dropped


@pytest.mark.parametrize(
    "frame",
    [
        pack_header(Kind.DATA, 65537),
        pack_header(Kind.OPEN, 4097),
        pack_header(99, 0),
        CODEC.encode(Open("f", "tcp", "a:1"))[:-1] + b"\xc1",
    ],
    ids=["too-much-data", "too-long", "unknown", "malformed"],
)
async def test_what_is_not_a_frame_ends_the_channel(frame):
    async with two_ends() as ends:
        channel = await ends.channel()
        channel.user = user = Nobody()
        channel.resume()
        await tls_io.send_all(ends.far[0], frame)
        await wait_until(lambda: user.lost, "the user is told")
        assert not channel.is_open
