"""An egress says that it has to wait for its target, for as long as it does."""

import contextlib
import socket

import attrs

from lab.limits import FAST
from lab.network import network
from tests.router.channels.test_channels import channel, closing
from van.wire.channel import Open, Pending

LIMITS = attrs.evolve(FAST, pending_after=0.05, pending_interval=0.05)


@contextlib.contextmanager
def full_backlog():
    """Lend a listening socket that takes no connection until somebody accepts one."""
    with contextlib.ExitStack() as closing_all:
        listening = closing_all.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            each = closing_all.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        yield listening


async def test_a_target_that_takes_its_time_is_told_of_again_and_again():
    async with network(LIMITS) as net:
        root, guest = await net.line("root", "guest")
        with full_backlog() as listening, closing(await channel(root, guest)) as ingress:
            root.claim("slow:1", listening.getsockname()[1])
            await ingress.send(Open("f", "tcp", "slow:1"))
            for _ in range(3):
                assert isinstance(await ingress.receive(), Pending)
        assert not root.router.defects.count
