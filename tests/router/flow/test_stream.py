"""The two ends of a flow, against a far end that does as the test wants."""

import socket

import pytest
import trio
import trio.testing

from lab.network import wait_until
from tests.router.egress.examples import targets
from tests.router.ends import two_ends
from tests.router.reactor.test_lingering import read_to_the_end
from van.config import ConnectorConfig
from van.names import Address, Endpoint
from van.router.egress.connector import Connector
from van.router.egress.served import Served
from van.router.egress.stream import EgressStream
from van.router.flow.flow import Flow
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import Ending, Outcome
from van.router.ingress.stream import IngressStream
from van.router.reactor import tls_io
from van.router.reactor.sockets import close_with_reset, connected_pair
from van.wire.channel import CODEC, Done, Kind, Open, Opened, Reason, Refused, Report
from van.wire.framing import pack_header

OPEN = Open("f", "tcp", "a:1")
OPENED = CODEC.encode(Opened(None))
REFUSED = CODEC.encode(Refused(Reason.BUSY, "busy"))
DONE = CODEC.encode(Done(0, None))
EOF = pack_header(Kind.EOF, 0)
RESET = pack_header(Kind.RESET, 0)


class Ended:
    """Takes the outcome of a flow."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._has_ended = trio.Event()

    def __call__(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._has_ended.set()

    async def outcome(self) -> Outcome:
        """Wait for the outcome, of which there is one."""
        with trio.fail_after(5):
            await self._has_ended.wait()
        (outcome,) = self._outcomes
        return outcome


class RecordingObserver(ExchangeObserver):
    """Takes what is said of how an instance does."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def flow_opened(self, report: Report | None) -> None:
        self.told.append("flow opened")

    def request_sent(self) -> None:
        self.told.append("request sent")

    def response_started(self) -> None:
        self.told.append("response started")


def serving(nursery):
    """Return a flow at an instance."""
    config = ConnectorConfig("tcp", Address("a", 1), Endpoint("127.0.0.1", 1))
    (instance,) = Connector(config, is_allowed=True).instances
    flow = Flow("f", "egress", "tcp", "a:1", "", "", 0.0)
    return Served(targets(nursery), instance, flow)


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
            ended = Ended()
            carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
            client.send(b"first")
            carrier.start(OPEN)
            channel.resume()
            client.send(b" and more")
            await trio.testing.wait_all_tasks_blocked()
            await tls_io.send_all(ends.far[0], REFUSED)
            outcome = await ended.outcome()
            assert outcome.ending is Ending.REFUSED
            assert outcome.is_channel_clean
            assert carrier.take_replay() == (b"first and more", False)
            assert carrier.bytes_from_local == 14
            again = IngressStream(
                ends.loop, local, await ends.channel(), Ended(), RecordingObserver()
            )
            again.start(OPEN, first=b"first and more")
            assert again.bytes_from_local == 14
            again.abort("the test is over")
            channel.close()


@pytest.mark.parametrize(
    "frames",
    [OPENED, REFUSED, EOF, RESET, DONE],
    ids=["flow opened", "refused", "eof", "reset", "done"],
)
@pytest.mark.parametrize("last", [REFUSED, OPENED + EOF + DONE], ids=["refused", "done"])
async def test_what_an_egress_says_after_its_last_word_ends_the_channel(last, frames):
    async with two_ends() as ends:
        local, client = pair()
        with local, client:
            channel = await ends.channel()
            ended = Ended()
            carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
            client.send(b"first")
            client.shutdown(socket.SHUT_WR)
            carrier.start(OPEN)
            channel.resume()
            await trio.testing.wait_all_tasks_blocked()
            await tls_io.send_all(ends.far[0], last + frames)
            outcome = await ended.outcome()
            await wait_until(lambda: not channel.is_open, "the channel is closed")
            if last == REFUSED:
                assert outcome.ending is Ending.REFUSED
                assert carrier.take_replay() == (b"first", True)
            else:
                assert outcome.ending is Ending.FINISHED


EVIL = pack_header(Kind.DATA, 4) + b"evil"
OUT_OF_TURN = {
    "data-first": EVIL + OPENED,
    "eof-first": EOF + OPENED,
    "data-then-refused": EVIL + REFUSED,
    "done-first": DONE,
    "garbage": b"\xff" * 1000,
    "malformed": pack_header(Kind.OPENED, 1) + b"\xc1",
    "opened-twice": OPENED * 2 + EVIL,
    "opened-then-refused": OPENED + REFUSED + EVIL,
    "done-too-early": OPENED + DONE + EVIL,
    "open-back": OPENED + CODEC.encode(OPEN) + EVIL,
}
"""What an egress may not answer; where it has not taken the flow, another may get it."""


@pytest.mark.parametrize("answer", OUT_OF_TURN)
async def test_what_an_egress_says_out_of_turn_costs_it_the_channel_and_no_client_sees_it(answer):
    said = OUT_OF_TURN[answer]
    async with two_ends() as ends:
        local, client = connected_pair()
        with local, client:
            channel = await ends.channel()
            ended = Ended()
            carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
            client.send(b"first")
            carrier.start(OPEN)
            channel.resume()
            await tls_io.send_all(ends.far[0], said)
            outcome = await ended.outcome()
            assert not outcome.is_channel_clean
            assert not channel.is_open
            if said.startswith(OPENED):
                assert outcome.ending is Ending.RESET
                assert await read_to_the_end(client) == (b"", True)
            else:
                assert outcome.ending is Ending.REFUSED
                assert carrier.take_replay() == (b"first", False)
                with pytest.raises(BlockingIOError):
                    client.recv(1)


async def test_a_flow_on_a_channel_that_is_lost_already_can_be_offered_elsewhere():
    async with two_ends() as ends:
        local, client = pair()
        with local, client:
            channel = await ends.channel()
            channel.close()
            ended = Ended()
            carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
            client.send(b"first")
            carrier.start(OPEN)
            outcome = await ended.outcome()
            assert outcome.ending is Ending.REFUSED
            assert not outcome.is_channel_clean
            assert carrier.take_replay() == (b"", False)
            assert local.recv(10) == b"first"  # left to whoever carries it there


async def test_an_egress_whose_target_and_channel_are_lost_at_once_ends(nursery):
    async with two_ends() as ends:
        local, target = pair()
        channel = await ends.channel()
        ended = Ended()
        carrier = EgressStream(ends.loop, local, channel, ended, serving(nursery))
        target.close()
        channel._inbox = pack_header(Kind.DATA, 5) + b"first"
        ends.far[0].close()
        carrier.start()
        outcome = await ended.outcome()
        assert outcome.ending is Ending.RESET
        assert local.fileno() == -1
        channel.close()


async def test_a_flow_that_is_broken_off_closes_both_ends():
    async with two_ends() as ends:
        local, client = pair()
        with client:
            channel = await ends.channel()
            ended = Ended()
            carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
            carrier.start(OPEN)
            carrier.abort()
            carrier.abort()
            assert (await ended.outcome()).ending is Ending.RESET
            assert local.fileno() == -1
            assert not channel.is_open
            await wait_until(lambda: not ends.loop.watches, "the other end was told why")


async def test_what_a_target_says_last_follows_the_answer_and_its_end_follows_that(nursery):
    async with two_ends() as ends:
        local, target = pair()
        with target:
            channel = await ends.channel()
            ended = Ended()
            carrier = EgressStream(ends.loop, local, channel, ended, serving(nursery))
            target.send(b"all")
            target.shutdown(socket.SHUT_WR)
            carrier.start(may_hold=True)
            expected = OPENED + data(b"all") + EOF
            assert await hear(ends.far[0], len(expected)) == expected
            assert carrier.meter() == (0, 3)
            await tls_io.send_all(ends.far[0], EOF)
            assert (await ended.outcome()).ending is Ending.FINISHED
            assert await tls_io.receive_some(ends.far[0]) == DONE
            channel.close()


async def test_a_flow_whose_egress_never_clears_it_away_after_a_reset_is_given_up(
    autojump_clock,
):
    async with two_ends() as ends:
        local, client = pair()
        with client:
            channel = await ends.channel()
            ended = Ended()
            carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
            carrier.start(OPEN)
            channel.resume()
            await tls_io.send_all(ends.far[0], OPENED + RESET)
            outcome = await ended.outcome()
            assert outcome.ending is Ending.RESET
            assert not outcome.is_channel_clean
            assert not channel.is_open


def data(text):
    return pack_header(Kind.DATA, len(text)) + text


async def hear(far, size):
    """Return so many bytes that come over a channel."""
    heard = b""
    with trio.fail_after(10):
        while len(heard) < size:
            heard += await tls_io.receive_some(far)
    return heard


async def test_what_a_target_said_before_it_was_gone_goes_ahead_of_its_reset(nursery):
    async with two_ends() as ends:
        local, target = connected_pair()
        channel = await ends.channel()
        ended = Ended()
        carrier = EgressStream(ends.loop, local, channel, ended, serving(nursery))
        target.send(b"too large")
        close_with_reset(target)
        channel._inbox = data(b"much") * 3  # is sent on before anything is read
        carrier.start()
        expected = OPENED + data(b"too large") + RESET + DONE
        assert await hear(ends.far[0], len(expected)) == expected
        assert (await ended.outcome()).ending is Ending.RESET
        channel.close()


async def test_what_a_target_said_waits_for_a_channel_that_is_full(nursery):
    async with two_ends() as ends:
        local, target = connected_pair()
        channel = await ends.channel()
        ended = Ended()
        carrier = EgressStream(ends.loop, local, channel, ended, serving(nursery))
        carrier.start()
        expected = OPENED
        while not channel.is_blocked:
            channel.send(data(bytes(16000)))
            expected += data(bytes(16000))
        target.send(b"too large")
        close_with_reset(target)
        await trio.testing.wait_all_tasks_blocked()
        await tls_io.send_all(ends.far[0], data(b"much"))
        expected += data(b"too large") + RESET + DONE
        assert await hear(ends.far[0], len(expected)) == expected
        assert (await ended.outcome()).ending is Ending.RESET
        channel.close()


async def test_a_reset_right_behind_the_last_words_is_no_orderly_end(nursery):
    async with two_ends() as ends:
        local, target = connected_pair()
        channel = await ends.channel()
        ended = Ended()
        carrier = EgressStream(ends.loop, local, channel, ended, serving(nursery))
        target.send(b"too large")
        close_with_reset(target)
        carrier.start(may_hold=True)
        expected = OPENED + data(b"too large") + RESET + DONE
        assert await hear(ends.far[0], len(expected)) == expected
        channel.close()


async def test_what_a_client_said_before_it_was_gone_goes_ahead_of_its_reset():
    async with two_ends() as ends:
        local, client = connected_pair()
        channel = await ends.channel()
        ended = Ended()
        carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
        carrier.start(OPEN)
        channel.resume()
        client.send(b"quit")
        close_with_reset(client)
        carrier.receive_frame(Kind.OPENED, Opened(None))
        carrier.receive_data(memoryview(b"more"))
        carrier.receive_data(memoryview(b"more"))
        expected = CODEC.encode(OPEN) + data(b"quit") + RESET
        assert await hear(ends.far[0], len(expected)) == expected
        await tls_io.send_all(ends.far[0], DONE)
        assert (await ended.outcome()).ending is Ending.RESET
        channel.close()


@pytest.mark.parametrize("end", ["reset", "path lost"])
async def test_what_the_other_end_said_goes_ahead_of_a_reset_to_a_slow_client(end):
    async with two_ends() as ends:
        local, client = connected_pair()
        for each in (local, client):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                each.setsockopt(socket.SOL_SOCKET, option, 4096)
        with client:
            channel = await ends.channel()
            ended = Ended()
            carrier = IngressStream(ends.loop, local, channel, ended, RecordingObserver())
            carrier.start(OPEN)
            channel.resume()
            piece = bytes(range(250)) * 40
            said = OPENED + data(piece) * 3 + (RESET + DONE) * (end == "reset")
            await tls_io.send_all(ends.far[0], said)
            await wait_until(lambda: channel._is_paused, "the client takes no more")
            if end == "path lost":
                ends.far[0].close()
            assert await read_to_the_end(client) == (piece * 3, True)
            assert (await ended.outcome()).ending is Ending.RESET
            channel.close()
