"""The two ends of a flow, against a far end that does as the test wants."""

import socket

import pytest
import trio
import trio.testing

from tests.router.ends import two_ends
from tests.support.network import wait_until
from van.router import sockets
from van.router.carrier import Ending
from van.router.egress_carrier import EgressCarrier
from van.router.ingress_carrier import IngressCarrier
from van.wire.channel import CODEC, Done, Kind, Open, Opened, Reason, Refused, Report
from van.wire.framing import pack_header

REPORT = Report(0, 0.0, 0.0)
OPEN = Open("f", "tcp", "a:1")
OPENED = CODEC.encode(Opened(REPORT))
REFUSED = CODEC.encode(Refused(Reason.BUSY, "busy"))
DONE = CODEC.encode(Done(0, REPORT))
EOF = pack_header(Kind.EOF, 0)
RESET = pack_header(Kind.RESET, 0)


def pair():
    """Return the two ends of a local connection, the router's first."""
    ends = socket.socketpair()
    for each in ends:
        each.setblocking(False)
    return ends


async def test_what_the_client_said_is_kept_for_another_after_a_refusal():
    async with two_ends() as ends:
        local, client = pair()
        with local, client:
            channel = await ends.channel()
            carrier = IngressCarrier(ends.pump, local, channel)
            client.send(b"first")
            carrier.start(OPEN)
            channel.resume()
            client.send(b" and more")
            await trio.testing.wait_all_tasks_blocked()
            await sockets.send_all(ends.far[0], REFUSED)
            outcome = await carrier.finished()
            assert outcome.ending is Ending.REFUSED
            assert outcome.is_channel_clean
            assert carrier.take_replay() == (b"first and more", False)
            assert carrier.bytes_from_local == 14
            again = IngressCarrier(ends.pump, local, await ends.channel())
            again.start(OPEN, first=b"first and more")
            assert again.bytes_from_local == 14
            again.abort("the test is over")
            channel.close()


@pytest.mark.parametrize(
    "frames", [OPENED, REFUSED, EOF, RESET, DONE], ids=["opened", "refused", "eof", "reset", "done"]
)
@pytest.mark.parametrize("last", [REFUSED, OPENED + EOF + DONE], ids=["refused", "done"])
async def test_what_an_egress_says_after_its_last_word_ends_the_channel(last, frames):
    async with two_ends() as ends:
        local, client = pair()
        with local, client:
            channel = await ends.channel()
            carrier = IngressCarrier(ends.pump, local, channel)
            client.send(b"first")
            client.shutdown(socket.SHUT_WR)
            carrier.start(OPEN)
            channel.resume()
            await trio.testing.wait_all_tasks_blocked()
            await sockets.send_all(ends.far[0], last + frames)
            outcome = await carrier.finished()
            await wait_until(lambda: not channel.is_open, "the channel is closed")
            if last == REFUSED:
                assert outcome.ending is Ending.REFUSED
                assert carrier.take_replay() == (b"first", True)
            else:
                assert outcome.ending is Ending.FINISHED


async def test_a_flow_on_a_channel_that_is_lost_already_can_be_offered_elsewhere():
    async with two_ends() as ends:
        local, client = pair()
        with local, client:
            channel = await ends.channel()
            channel.close()
            carrier = IngressCarrier(ends.pump, local, channel)
            client.send(b"first")
            carrier.start(OPEN)
            with trio.fail_after(5):
                outcome = await carrier.finished()
            assert outcome.ending is Ending.REFUSED
            assert not outcome.is_channel_clean
            assert local.fileno() != -1
            assert carrier.take_replay() == (b"first", False)


async def test_an_egress_whose_target_and_channel_are_lost_at_once_ends():
    async with two_ends() as ends:
        local, target = pair()
        channel = await ends.channel()
        carrier = EgressCarrier(ends.pump, local, channel, REPORT)
        target.close()
        channel._inbox = pack_header(Kind.DATA, 5) + b"first"
        ends.far[0].close()
        carrier.start()
        with trio.fail_after(5):
            outcome = await carrier.finished()
        assert outcome.ending is Ending.RESET
        assert local.fileno() == -1
        channel.close()


async def test_a_flow_that_is_broken_off_closes_both_ends():
    async with two_ends() as ends:
        local, client = pair()
        with client:
            channel = await ends.channel()
            carrier = IngressCarrier(ends.pump, local, channel)
            carrier.start(OPEN)
            with trio.move_on_after(0):
                await carrier.finished()
            assert local.fileno() == -1
            assert not channel.is_open
            assert not ends.pump.watches
