"""What a token allows is all that its site may do, to the port."""

import pytest

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.attachments import ListenerSpec
from van.errors import NotAllowed
from van.routing.database.admission import reduce_body
from van.wire.lsa import AddressesBody, Binding, Service


async def test_a_site_is_held_to_the_ports_of_its_grants_here_and_everywhere():
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        await net.link(guest, hub, allow_expose=("db:5432", "*:443"), allow_bind=("*.shop:80",))
        await guest.expose("db:5432", 9)
        await guest.expose("any.thing:443", 9)
        for address in ("db:5433", "any.thing:80"):
            with pytest.raises(NotAllowed, match=r"allowed are db:5432, \*:443"):
                await guest.expose(address, 9)
        await guest.bind("web.shop:80")
        with pytest.raises(NotAllowed, match=r"allowed are \*\.shop:80"):
            await guest.ask(api.BIND, ListenerSpec(address="web.shop:81", listen="127.0.0.1:9"))
        # And whoever would not keep to that is not believed, nor served.
        origin = hub.router.routes.engine.origin
        await wait_until(lambda: origin("guest"), "the hub knows who guest is")
        claimed = AddressesBody(
            (Service("db:5432", "tcp"), Service("db:5433", "tcp")),
            (Binding("web.shop:80", "tcp"), Binding("web.shop:8", "tcp")),
        )
        known = origin("guest")
        assert known is not None
        body, ignored = reduce_body(claimed, known)
        assert isinstance(body, AddressesBody)
        assert [each.address for each in body.services] == ["db:5432"]
        assert [each.address for each in body.listeners] == ["web.shop:80"]
        assert ignored == ("db:5433", "web.shop:8")
        lets_bind, identity = hub.router.trust.lets_bind, guest.router.trust.identity
        assert lets_bind(identity, "web.shop:80")
        assert not lets_bind(identity, "web.shop:81")


async def test_a_site_that_may_expose_and_bind_nothing_does_neither():
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        await net.link(guest, hub, allow_expose=(), allow_bind=())
        with pytest.raises(NotAllowed, match="allowed are none"):
            await guest.expose("db:5432", 9)
        with pytest.raises(NotAllowed, match="allowed are none"):
            await guest.bind("db:5432")
