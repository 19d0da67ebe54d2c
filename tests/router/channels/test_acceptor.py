"""What is asked for on an idle channel is served by whom the table names, or ends the channel."""

import attrs
import pytest

from tests.router.ends import two_ends
from van.errors import RemoteProtocolError
from van.router.channels.acceptor import Acceptor
from van.router.channels.channel import Channel
from van.wire.channel import Branch, Kind, Open, Opened, Relay, Report, Vertex


@attrs.define
class Site:
    """This site, as far as the acceptor asks."""

    site: str = "here"


@attrs.define
class Around:
    """What the acceptor is given that it does not need to serve what comes from afar."""

    trust: Site = attrs.field(factory=Site)


@pytest.fixture
def served():
    return []


@pytest.fixture
def acceptor(served):
    def note(channel: Channel, message: object) -> None:
        served.append(message)

    handlers = dict.fromkeys((Open, Relay, Branch), note)
    around = Around()
    return Acceptor(around, around, around, handlers)  # type: ignore[arg-type]


OPEN = Open("f", "tcp", "a:1")
REQUESTS = [OPEN, Relay("elsewhere", 9), Branch(bytes(16), 1, (Vertex("here", 0),))]


@pytest.mark.parametrize("request_", REQUESTS, ids=["open", "relay", "branch"])
async def test_a_request_goes_to_whom_the_table_names(acceptor, served, request_):
    async with two_ends() as ends:
        channel = await ends.channel()
        acceptor.await_flows(channel)
        channel.user.receive_frame(0, request_)
        assert served == [request_]
        channel.close()


async def test_what_an_ingress_still_sent_of_a_flow_is_skipped(acceptor, served):
    async with two_ends() as ends:
        channel = await ends.channel()
        acceptor.await_flows(channel)
        for kind in (Kind.EOF, Kind.RESET):
            channel.user.receive_frame(kind, None)
        channel.user.receive_data(memoryview(b"late"))
        assert not served
        channel.close()


async def test_a_frame_for_which_there_is_no_handler_is_refused(acceptor, served):
    async with two_ends() as ends:
        channel = await ends.channel()
        acceptor.await_flows(channel)
        with pytest.raises(RemoteProtocolError):
            channel.user.receive_frame(Kind.OPENED, Opened(Report(0, 0.0, 0.0)))
        assert not served
        channel.close()
