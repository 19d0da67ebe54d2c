"""Sites as routers in this process, on the real network of loopback, for tests in trio."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import cast

import msgspec
import trio

from lab.limits import FAST
from lab.ports import free_port
from van.config import ConnectorConfig, SiteConfig
from van.control import endpoints as api
from van.control.endpoints import Answered, ApiEndpoint, Asked
from van.control.values.attachments import ConnectorSpec, ListenerSpec
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate
from van.names import Address, Endpoint
from van.paths import SitePaths
from van.router.daemon import serve_site
from van.router.egress.connector import Connector
from van.router.egress.instance import ALL_WELL
from van.router.management.operations import Operations
from van.router.reactor.limits import Limits
from van.router.reactor.splice import DirectionFactory, best_direction
from van.router.router import Router, RouterOptions
from van.router.site.settings import Settings
from van.router.site.state import SiteState
from van.sites import create_site
from van.tls.credentials import Credentials

WAIT_TIMEOUT = 20.0


async def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, or fail saying what did not come about."""
    with trio.move_on_after(WAIT_TIMEOUT):
        while not condition():
            await trio.sleep(0.005)
        return
    raise AssertionError(f"in {WAIT_TIMEOUT:.0f} s it did not come about that {what}")


class Site:
    """One router with the means to ask it what the control API can."""

    def __init__(self, router: Router, scope: trio.CancelScope) -> None:
        self.router = router
        self.scope = scope
        self._handlers = Operations(router).handlers()

    @property
    def name(self) -> str:
        """Return the site's name."""
        return self.router.trust.site

    async def ask(
        self,
        endpoint: ApiEndpoint[Asked, Answered],
        value: Asked | None = None,
        **path: str | int,
    ) -> Answered:
        """Ask as a control client would, without the socket between."""
        body = b"" if value is None else msgspec.json.encode(value)
        answer = await self._handlers.answer(endpoint.method, endpoint.fill(**path), body)
        return cast("Answered", answer)

    async def expose(self, address: str, target: int | str, **options: object) -> None:
        """Attach a target, a loopback port or an endpoint, to an address."""
        endpoint = f"127.0.0.1:{target}" if isinstance(target, int) else target
        await self.ask(
            api.EXPOSE,
            ConnectorSpec(address=address, target=endpoint, **options),  # type: ignore[arg-type]
        )

    def claim(self, address: str, target: int, **options: object) -> Connector:
        """Serve an address, without a look whether there is anybody at the target."""
        endpoint = Endpoint("127.0.0.1", target)
        protocol = str(options.pop("protocol", "tcp"))
        config = ConnectorConfig(protocol, Address.parse(address), endpoint, **options)  # type: ignore[arg-type]
        connector = Connector(config, is_allowed=True)
        for instance in connector.instances:
            instance.receive(ALL_WELL)
        self.router.data.egress.targets.add(connector)
        self.router.data.attachments.advertising.advertise()
        return connector

    def give_up(self, address: str) -> None:
        """Serve an address no more."""
        for connector in self.router.data.egress.targets.find("tcp", Address.parse(address)):
            self.router.data.egress.targets.remove(connector)
        self.router.data.attachments.advertising.advertise()

    async def bind(self, address: str, **options: object) -> int:
        """Open a free port to an address; return it, open or still waiting."""
        port = free_port(is_udp=options.get("protocol") == "udp")
        listen = f"127.0.0.1:{port}"
        await self.ask(
            api.BIND,
            ListenerSpec(address=address, listen=listen, **options),  # type: ignore[arg-type]
        )
        return port

    async def reach(self, address: str, **options: object) -> int:
        """Bind an address, wait until the port is open, and return it."""
        port = await self.bind(address, **options)
        await wait_until(
            lambda: any(
                each.is_open
                for each in self.router.data.ingress.listeners
                if each.config.listen.port == port
            ),
            f"{address} is open at {self.name}",
        )
        return port


class Network:
    """Makes sites, links them, and clears them away."""

    def __init__(self, directory: Path, nursery: trio.Nursery, limits: Limits = FAST) -> None:
        self.directory = directory
        self.limits = limits
        self._nursery = nursery
        self.sites: dict[str, Site] = {}

    def paths(self, name: str) -> SitePaths:
        """Return the paths of a site of this network."""
        return SitePaths(self.directory / "c" / name, self.directory / "s" / name)

    async def start(
        self, name: str, *, make_direction: DirectionFactory | None = None, **options: object
    ) -> Site:
        """Start a site's router, making the site first if it is new."""
        paths = self.paths(name)
        if not paths.identity_file.exists():
            create_site(name, paths, SiteConfig())
        state = SiteState.load(
            paths, Credentials.load(paths.identity_file), Settings.load(paths.config_file)
        )
        terms = RouterOptions(
            limits=self.limits,
            make_direction=make_direction or best_direction(),
            **options,  # type: ignore[arg-type]
        )
        scope = trio.CancelScope()
        router: Router = await self._nursery.start(partial(_run, state, terms, scope))
        self.sites[name] = site = Site(router, scope)
        return site

    async def link(
        self, site: Site, to: Site, *, hold: float | None = None, **options: object
    ) -> None:
        """Link a site to another one by a token that the other mints."""
        token = await to.ask(api.CREATE_TOKEN, TokenCreate(**options))  # type: ignore[arg-type]
        accepted = await site.ask(api.ACCEPT_TOKEN, LinkAccept(token=token.token, hold=hold))
        assert accepted.is_up, accepted.detail

    async def line(self, *names: str, **options: DirectionFactory) -> list[Site]:
        """Start sites and link each to the next; the options give a site's way to relay."""
        sites = [await self.start(name, make_direction=options.get(name)) for name in names]
        # Each new site joins the one before it, whose token lets it invite the next.
        for left, right in pairwise(sites):
            await self.link(right, left, can_invite=True)
        await wait_until(
            lambda: all(site.router.routes.fib.routes.keys() >= set(names) for site in sites),
            "every table has every site",
        )
        return sites


async def _run(
    site: SiteState,
    options: RouterOptions,
    scope: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[Router],
) -> None:
    with scope:
        await serve_site(site, options, task_status=task_status)


@contextlib.asynccontextmanager
async def network(limits: Limits = FAST) -> AsyncIterator[Network]:
    """Lend a network of sites with these times and bounds, and clear it away."""
    directory = Path(tempfile.mkdtemp(prefix="van-"))
    try:
        async with trio.open_nursery() as nursery:
            yield Network(directory, nursery, limits)
            nursery.cancel_scope.cancel()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
