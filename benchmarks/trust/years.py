"""Years of a VAN, by a clock that is moved: certificates are renewed, and what may happen happens.

`python -m benchmarks.trust.years` runs five sites, whose clocks go on by five days at a time until
a thousand certificates have been renewed. In that time a site is away for 40 days, the root is
replaced, and the machine that made the VAN is lost for good. One flow is held all the while. It
fails if that is lost, if a site is left without a certificate, or if what is away for too long is
let in.
"""

import argparse
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import attrs
import trio

from benchmarks.common.reporting import emit, note
from lab.network import Network, Site, network, wait_until
from van.control import endpoints as api
from van.control.values.authority import AuthorityGrantSpec, RootRollSpec
from van.router.site import alarms

STEP: Final = timedelta(days=5)
"""More than two thirds of a certificate's life, and less than all of it."""
AWAY_AT: Final = 20
"""Steps until a site is away."""
AWAY_FOR: Final = 8
"""Steps for which it is: 40 days."""
ROLLED_AT: Final = 50
LOST_AT: Final = 80
RENEWALS: Final = 1000
GRACE_DAYS: Final = 40
PATIENCE: Final = 5.0

Check = Callable[[], Awaitable[None]]


@attrs.define(eq=False)
class Calendar:
    """The time of day of all sites, which is moved on; and what came of that."""

    offset: timedelta = timedelta()
    renewals: int = 0
    story: list[tuple[str, str]] = attrs.field(factory=list)

    def now(self) -> datetime:
        """Return the time of day."""
        return datetime.now(UTC) + self.offset

    def adopt(self, site: Site) -> Site:
        """Have a site go by this time, and count its renewals."""
        site.router.trust.clock = self.now
        site.router.trust.replaced.subscribe(self._count)
        return site

    def tell(self, text: str) -> None:
        """Take down what happened, and when."""
        note(f"day {self.offset.days}: {text}")
        self.story.append((f"{self.offset.days:,}", text))

    def _count(self) -> None:
        self.renewals += 1


def main() -> None:
    """Let years pass, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renewals", type=int, default=RENEWALS)
    options = parser.parse_args()
    alarms.LOOK_INTERVAL = 0.02  # type: ignore[misc]  # it is a second's look at a day's step
    began = time.monotonic()
    calendar = trio.run(live, options.renewals)
    emit(
        f"{calendar.offset.days / 365:.1f} years, {calendar.renewals:,} renewals, "
        f"in {time.monotonic() - began:.0f} s",
        ("day", "what happened"),
        calendar.story,
    )


async def live(renewals: int) -> Calendar:
    """Run a VAN until so many certificates have been renewed; return what happened."""
    calendar = Calendar()
    async with network() as net, trio.open_nursery() as nursery:
        sites = await found(net, calendar)
        async with held_flow(sites["west"], sites["east"], nursery) as check:
            step = 0
            while calendar.renewals < renewals:
                step += 1
                await happen(net, sites, calendar, step)
                calendar.offset += STEP
                await wait_until(
                    partial(are_well, calendar, sites.values()), f"all are well in step {step}"
                )
                await check()
            calendar.tell("the flow that was opened on the first day still passes bytes")
        nursery.cancel_scope.cancel()
    return calendar


async def found(net: Network, calendar: Calendar) -> dict[str, Site]:
    """Make the sites: a hub with the root, one second to it, and three that may not invite."""
    names = ("hub", "second", "west", "east", "sleeper")
    sites = {name: calendar.adopt(await net.start(name)) for name in names}
    await net.link(sites["second"], sites["hub"], can_invite=True)
    for name in names[2:]:
        await net.link(sites[name], sites["hub"], cost=3)  # so that no flow leads through it
        await net.link(sites[name], sites["second"])
    await wait_until(
        lambda: sites["hub"].router.routes.identities().keys() >= set(names), "all are known"
    )
    await sites["hub"].ask(api.GRANT_AUTHORITY, AuthorityGrantSpec(site="second"))
    calendar.renewals = 0
    calendar.tell("five sites; site second is granted an authority second to the root")
    return sites


async def happen(net: Network, sites: dict[str, Site], calendar: Calendar, step: int) -> None:
    """Do what is due before a step."""
    if step == AWAY_AT:
        sites.pop("sleeper").scope.cancel()
        calendar.tell("site sleeper is away")
    elif step == AWAY_AT + AWAY_FOR:
        await come_back(net, sites, calendar)
    elif step == ROLLED_AT:
        await sites["hub"].ask(api.ROLL_ROOT, RootRollSpec())
        await wait_until(lambda: have_followed(sites), "all rest on the new root")
        calendar.tell("the root is replaced: all certificates rest on the new one")
    elif step == LOST_AT:
        rolled = await sites["hub"].ask(api.AUTHORITIES)
        assert rolled.roll is None, "the old root has not been put out by itself"
        calendar.tell("the old root was put out by itself meanwhile")
        sites.pop("hub").scope.cancel()
        calendar.tell("the machine with the root is lost for good")


async def come_back(net: Network, sites: dict[str, Site], calendar: Calendar) -> None:
    """Have who was away for 40 days refused after the usual time, and let in after a longer one."""
    sleeper = calendar.adopt(await net.start("sleeper"))
    dialer = sleeper.router.links.dialers.get("hub")
    assert dialer is not None
    await wait_until(lambda: "accept a new token" in dialer.detail, "it is told that it is late")
    assert not sleeper.router.links.up
    calendar.tell(f"site sleeper is back after {AWAY_FOR * STEP.days} days, and refused: too late")
    for each in ("hub", "second"):
        settings = sites[each].router.site.settings
        settings.config = attrs.evolve(settings.config, return_days=GRACE_DAYS)
    sleeper.scope.cancel()  # it would dial again in a while
    path = net.paths("sleeper").control_socket
    await wait_until(lambda: not path.exists(), "its router has stopped")
    sleeper = calendar.adopt(await net.start("sleeper"))
    await wait_until(lambda: sleeper.router.links.up, "it is let in")
    sites["sleeper"] = sleeper
    calendar.tell(f"with return_days = {GRACE_DAYS} it comes back by itself")


def are_well(calendar: Calendar, sites: Iterable[Site]) -> bool:
    """Tell whether each site has a new certificate and a link, and all others know of it."""
    soon, sites = calendar.now() + STEP, tuple(sites)
    return all(
        each.router.links.up and all(is_known(each, other.name, soon) for other in sites)
        for each in sites
    )


def is_known(site: Site, name: str, soon: datetime) -> bool:
    """Tell whether a site knows of a certificate that is good for long enough, or has it itself."""
    ours = site.router.trust.identity
    identity = ours if name == ours.site else site.router.routes.identity_of(name)
    return identity is not None and identity.not_after > soon


def have_followed(sites: dict[str, Site]) -> bool:
    """Tell whether every site's certificate rests on the root that the hub holds now."""
    authority = sites["hub"].router.trust.credentials.authority
    return authority is not None and all(
        each.router.trust.identity.roots == authority.roots for each in sites.values()
    )


@contextlib.asynccontextmanager
async def held_flow(
    client: Site, server: Site, nursery: trio.Nursery
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Lend what checks that a flow between two sites still passes bytes."""

    async def echo(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            async for data in stream:
                await stream.send_all(data)

    listeners = await nursery.start(trio.serve_tcp, echo, 0)
    await server.expose("echo:7", listeners[0].socket.getsockname()[1])
    stream = await trio.open_tcp_stream("127.0.0.1", await client.reach("echo:7"))

    async def check() -> None:
        await stream.send_all(b"still there")
        with trio.fail_after(PATIENCE):
            assert await stream.receive_some() == b"still there"

    async with stream:
        await check()
        yield check


if __name__ == "__main__":
    main()
