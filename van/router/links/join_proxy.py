"""Asks an authority elsewhere for what a neighbour needs whose certificate has run out, where this
site has none to give: a join proxy, as RFC 8995 calls it.

The authority judges as if it were asked in person. All that is done here is for a neighbour that
has shown an old certificate, which nothing else is wrong with, and holds its key.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from van.errors import JoinRefused, RemoteError
from van.router.links.authorities import authority_holders, reachable_authorities
from van.router.links.issuing import Issued
from van.router.links.routes import Routes
from van.router.site.trust import Trust
from van.tls.identity import SiteIdentity
from van.wire.channel import CODEC, MAX_READMIT_PAYLOAD, Readmit, Renewed
from van.wire.framing import HEADER_SIZE
from van.wire.join import JoinRequest

ASKED: Final = 3
"""How many authorities are asked for one neighbour, one after the other."""
ANSWER_TIMEOUT: Final = 3.0
"""Seconds for each, the channel included: all have had theirs before who returns gives up."""
MAX_OF_ONE: Final = 6
"""How often a minute it is asked for one neighbour: it comes again every three seconds."""
MAX_OF_ALL: Final = 120
"""How often for all together, which is what they cost the rest of the network at most: a few
milliseconds of an authority's time for each."""

Compose = Callable[[bytes], Awaitable[Readmit]]
"""Makes the request for a channel, of which this is exported."""
Ask = Callable[[str, Compose, float], Awaitable[Renewed]]
"""Asks a site, and raises `RemoteError` if it does not answer within so many seconds."""
Prove = Callable[[bytes], Awaitable[JoinRequest]]
"""Has who returns prove its key in a channel, of which this is exported."""


class JoinProxy:
    """Asks for others; in trio's thread."""

    def __init__(self, trust: Trust, routes: Routes, ask: Ask) -> None:
        self._trust = trust
        self._routes = routes
        self._ask = ask
        self._minute_ends = -math.inf
        self._asked: Counter[str] = Counter()
        """How often in this minute, by the key that it was for."""

    def may_ask(self, site: SiteIdentity) -> bool:
        """Tell whether there is an authority to ask for a site."""
        return bool(self._authorities(site))

    def reaches_any(self, *, without: str) -> bool:
        """Tell whether there is an authority at all, of a site other than this one."""
        holders = authority_holders(self._trust, self._routes)
        return any(each.identity.site not in {without, self._trust.site} for each in holders)

    async def ask(self, identity: SiteIdentity, prove: Prove) -> Issued:
        """Return what the network gives a site that returns; raise `JoinRefused` with what all who
        were asked have said."""
        failures: list[str] = []
        for site in self._authorities(identity)[:ASKED]:
            self._count(identity)
            try:
                return await self._ask_one(site, identity, prove)
            except RemoteError as exc:
                failures.append(f"site {site!r}: {exc}")
        raise JoinRefused("; ".join(failures))

    async def _ask_one(self, site: str, identity: SiteIdentity, prove: Prove) -> Issued:
        async def compose(exported: bytes) -> Readmit:
            request = await prove(exported)
            asked = Readmit(
                identity.site, identity.chain, request.request, request.ca_request, request.proof
            )
            if len(CODEC.encode(asked)) > HEADER_SIZE + MAX_READMIT_PAYLOAD:
                raise JoinRefused(f"the certificates of site {identity.site!r} are too large")
            return asked

        answer = await self._ask(site, compose, ANSWER_TIMEOUT)
        if answer.error:
            raise JoinRefused(answer.error)
        return Issued(answer.chain, answer.ca_chain)

    def _authorities(self, identity: SiteIdentity) -> list[str]:
        found = reachable_authorities(self._trust, self._routes, identity)
        return [each for each in found if each not in {identity.site, self._trust.site}]

    def _count(self, identity: SiteIdentity) -> None:
        """Take note that an authority is asked for a site; raise `JoinRefused` if that is too
        often."""
        now, key = trio.current_time(), identity.public_key_fingerprint
        if now >= self._minute_ends:
            self._minute_ends = now + 60.0
            self._asked.clear()
        if self._asked[key] >= MAX_OF_ONE or self._asked.total() >= MAX_OF_ALL:
            raise JoinRefused(
                f"site {self._trust.site!r} has asked authorities for returning sites as often as "
                "it does in a minute: it is tried again"
            )
        self._asked[key] += 1
