"""A thief with all that is on a site's disk tries to get in, after that site was expelled.

`python -m benchmarks.trust.thief --minutes 10` runs five sites, and a laptop that was let invite
others. Each way in is tried before the laptop is expelled, when it has to work, and again and again
afterwards at each site, while the sites are restarted in turn and the thief's own router keeps
dialling. It fails if any of them works, or if the laptop is seen anywhere.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import attrs
import trio

from benchmarks.common.reporting import emit, note
from lab.peers import link_up
from lab.ports import free_port
from lab.processes import Lab, wait_for
from lab.servers import naming_server
from van.errors import VanError
from van.names import Endpoint
from van.router.links.proof import prove
from van.router.reactor import connecting, tls_io
from van.router.reactor.message_stream import MessageStream
from van.tls.authority import Authority
from van.tls.contexts import client_context
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.tls.tokens import Token, decode_token
from van.wire import bundle, channel, framing, join
from van.wire.revision import MAJOR

SITES: Final = ("hub", "north", "east", "south", "west")
STOLEN: Final = "laptop"
ADDRESS: Final = "db:5432"
TRY_TIMEOUT: Final = 5.0
RESTART_EVERY: Final = 10.0
PAUSE: Final = 0.05


@attrs.frozen
class Loot:
    """What the thief has, and where it is used."""

    credentials: Credentials
    authority: Authority
    token: Token
    """One that the root's site had minted for somebody, still good."""
    ports: dict[str, Endpoint]

    def invented(self, **issued: object) -> Credentials:
        """Return a site of a new key and name that the stolen authority lets in."""
        key = generate_key()
        chain = self.authority.issue_site(
            make_request(key),
            site=f"friend-{time.time_ns()}",
            grants=Grants(),
            **issued,  # type: ignore[arg-type]
        )
        return Credentials.joined(key, chain, self.authority.root)

    def deeper(self) -> Credentials:
        """Return a site that an authority lets in which the stolen one has made."""
        ca_key, key = generate_key(), generate_key()
        grants = Grants(can_invite=True)
        ca_chain = self.authority.issue_intermediate(
            make_request(ca_key), site="helper", grants=grants
        )
        lower = Authority(ca_key, ca_chain, self.authority.root)
        chain = lower.issue_site(
            make_request(key), site=f"friend-{time.time_ns()}", grants=Grants()
        )
        return Credentials.joined(key, chain, self.authority.root)

    def run_out(self) -> Credentials:
        """Return the laptop with a certificate that ended a minute ago."""
        at = datetime.now(UTC) - timedelta(minutes=2)
        request = make_request(self.credentials.key)
        chain = self.authority.issue_site(
            request, site=STOLEN, grants=Grants(), now=at, lifetime=timedelta(minutes=1)
        )
        return Credentials.joined(self.credentials.key, chain, self.authority.root)


Try = Callable[[Loot, str], Awaitable[None]]


async def dial(loot: Loot, site: str, credentials: Credentials, alpn: str) -> MessageStream:
    """Return a conversation with a site; raise when it does not come about."""
    codec, most = (join.CODEC, join.MAX_MESSAGE) if alpn == join.ALPN else (channel.CODEC, 1 << 20)
    context = client_context(credentials.chain, credentials.key, credentials.root, (alpn,))
    sock = await connecting.dial(loot.ports[site])
    return MessageStream(
        await tls_io.handshake(context, sock, server_side=False), codec, max_payload=most
    )


async def link(loot: Loot, site: str, credentials: Credentials) -> None:
    """Link up."""
    conversation = await link_up(
        loot.ports[site], credentials, peer=site, incarnation=time.time_ns()
    )
    try:
        await conversation.receive()
    finally:
        conversation.close()


async def link_as_itself(loot: Loot, site: str) -> None:
    """Link up with the stolen certificate."""
    await link(loot, site, loot.credentials)


async def link_as_friend(loot: Loot, site: str) -> None:
    """Link up as a site that the stolen authority lets in now."""
    await link(loot, site, loot.invented())


async def link_as_old_friend(loot: Loot, site: str) -> None:
    """Link up as one that it claims to have let in before the theft."""
    past = datetime.now(UTC) - timedelta(days=20)
    await link(loot, site, loot.invented(now=past, lifetime=timedelta(days=29)))


async def link_from_below(loot: Loot, site: str) -> None:
    """Link up as a site of an authority that the stolen one has made."""
    await link(loot, site, loot.deeper())


async def open_flow(loot: Loot, site: str, credentials: Credentials) -> None:
    """Open a flow to the database, at the site that serves it."""
    conversation = await dial(loot, site, credentials, channel.ALPN)
    try:
        await conversation.send(channel.Hello(MAJOR, channel.Role.DIALER_OPENS))
        await conversation.receive()
        tls, _ = conversation.detach()
    except BaseException:
        conversation.close()
        raise
    try:
        opening = channel.CODEC.encode(channel.Open("f-1", "tcp", ADDRESS))[framing.HEADER_SIZE :]
        frame = bundle.pack(channel.Kind.OPEN, 1, opening)
        begin = channel.CODEC.encode(channel.Bundle(os.urandom(16)))
        await tls_io.send_all(tls, begin + frame)
        kind = (await tls_io.receive_some(tls))[:1]
        if not kind:
            raise VanError("the connection was closed")
        if site == "east" and kind[0] != channel.Kind.OPENED:
            raise VanError(f"not opened: {channel.Kind(kind[0]).name}")
    finally:
        tls.close()


async def flow_as_itself(loot: Loot, site: str) -> None:
    """Open a flow with the stolen certificate."""
    await open_flow(loot, site, loot.credentials)


async def flow_as_friend(loot: Loot, site: str) -> None:
    """Open a flow as a site that the stolen authority lets in."""
    await open_flow(loot, site, loot.invented())


async def ask_to_join(loot: Loot, site: str, shown: Credentials | Token) -> None:
    """Ask for a certificate for the stolen key."""
    context = client_context(shown.chain, shown.key, shown.root, (join.ALPN,))
    sock = await connecting.dial(loot.ports[site])
    tls = await tls_io.handshake(context, sock, server_side=False)
    conversation = MessageStream(tls, join.CODEC, max_payload=join.MAX_MESSAGE)
    try:
        request = make_request(loot.credentials.key)
        asked = join.JoinRequest(MAJOR, STOLEN, request, b"", ())
        await conversation.send(prove(asked, tls, loot.credentials.key))
        answer = await conversation.receive()
    finally:
        conversation.close()
    if not isinstance(answer, join.JoinAccepted):
        raise VanError(f"declined: {answer}")


async def join_by_token(loot: Loot, site: str) -> None:
    """Join with a token that is still good, by the stolen key."""
    await ask_to_join(loot, site, loot.token)


async def come_back(loot: Loot, site: str) -> None:
    """Come back as a site whose certificate has run out."""
    await ask_to_join(loot, site, loot.run_out())


TRIES: Final[tuple[Try, ...]] = (
    link_as_itself,
    link_as_friend,
    link_as_old_friend,
    link_from_below,
    flow_as_itself,
    flow_as_friend,
    join_by_token,
    come_back,
)


def main() -> int:
    """Let a thief try, and return 1 if anything was got."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    with Lab() as lab, naming_server("east") as target:
        loot = set_up(lab, target)
        note("every way in has to work before the laptop is expelled")
        trio.run(partial(check_ways_in, loot))
        lab.run("-s", "hub", "site", "expel", STOLEN, "--reason", "stolen", "--yes")
        lab.up(STOLEN)
        note(f"expelled: the thief tries for {options.minutes:g} minutes")
        failed, got = trio.run(partial(rob, lab, loot, 60 * options.minutes))
    emit(
        f"{options.minutes:g} minutes of a thief at {len(SITES)} sites",
        ("what was tried", "in vain", "with success"),
        [(each.__name__, f"{failed[each]:,}", f"{got[each]:,}") for each in TRIES],
    )
    return bool(sum(got.values()))


def set_up(lab: Lab, target: int) -> Loot:
    """Make the sites in a ring, and the laptop; return what is on the laptop's disk."""
    ports = {site: Endpoint("127.0.0.1", free_port()) for site in SITES}
    for site in SITES:
        lab.init(site, "--listen", str(ports[site]))
    for site, before in zip(SITES[1:], SITES, strict=False):
        lab.link(site, before, "--can-invite")
    lab.link(SITES[-1], SITES[0], "--can-invite")
    lab.init(STOLEN)
    lab.link(STOLEN, "hub", "--can-invite")
    lab.expose("east", ADDRESS, target)
    lab.reach(STOLEN, ADDRESS)
    file = lab.directory / "forgotten.toml"
    lab.run("-s", "hub", "link", "create", str(file), "--uses", "100", "--expires", "1h")
    lab.run("-s", STOLEN, "down")
    credentials = Credentials.load(lab.directory / "state" / "van" / STOLEN / "identity.toml")
    assert credentials.authority is not None
    return Loot(credentials, credentials.authority, decode_token(file.read_text()), ports)


async def check_ways_in(loot: Loot) -> None:
    """See each way in work while the laptop is a member; raise when one does not."""
    for each in TRIES:
        site = "east" if "flow" in each.__name__ else "hub"
        with trio.fail_after(TRY_TIMEOUT):
            await each(loot, site)


async def rob(lab: Lab, loot: Loot, seconds: float) -> tuple[Counter[Try], Counter[Try]]:
    """Return how often each way was tried in vain, and how often with success."""
    failed: Counter[Try] = Counter()
    got: Counter[Try] = Counter()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(_restart_in_turn, lab))
            while True:
                for site in SITES:
                    for each in TRIES:
                        (got if await _works(each, loot, site) else failed)[each] += 1
                        await trio.sleep(PAUSE)
    return failed, got


async def _works(attempt: Try, loot: Loot, site: str) -> bool:
    with contextlib.suppress(VanError, OSError, trio.TooSlowError), trio.fail_after(TRY_TIMEOUT):
        await attempt(loot, site)
        note(f"{attempt.__name__} has worked at {site}")
        return True
    return False


async def _restart_in_turn(lab: Lab) -> None:
    while True:
        for site in (*SITES, STOLEN):
            await trio.sleep(RESTART_EVERY)
            await trio.to_thread.run_sync(partial(_restart, lab, site))


def _restart(lab: Lab, site: str) -> None:
    lab.van("-s", site, "restart")
    wait_for(lambda: lab.status(site), f"{site} answers again")
    for each in SITES:
        known = {found["site"] for found in lab.status(each)["sites"]}
        assert STOLEN not in known, f"the laptop is seen at {each}"
    links = json.loads(lab.van("-s", STOLEN, "link", "list", "--json").stdout)
    assert all(each["state"] != "up" for each in links), "the thief's router has a link"


if __name__ == "__main__":
    sys.exit(main())
