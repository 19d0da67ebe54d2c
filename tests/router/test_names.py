"""Two real sites that got one name while their networks were apart.

They are ephemeral: the name of another is remembered for its key (`links/test_pinning.py`).
"""

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate


async def test_the_site_with_the_lesser_claim_to_a_name_loses_its_link_and_is_told_why():
    async with network() as net:
        root, left, right = [await net.start(name) for name in ("root", "left", "right")]
        await net.link(left, root, can_invite=True)
        await net.link(right, root, can_invite=True)
        # While the two sides do not hear of each other, each lets in a site of the same name.
        token = await right.ask(api.CREATE_TOKEN, TokenCreate(is_ephemeral=True))
        for side in (left, right):
            side.router.links.delete("root", "apart for a while")
        await wait_until(lambda: not root.router.links.up, "the sides are apart")
        older = await net.start("x")
        await net.link(older, left, is_ephemeral=True)
        await wait_until(lambda: left.router.routes.engine.origin("x"), "the left side knows its x")
        other = net.paths("x")
        other.config_dir.rename(other.config_dir.with_name("first-x"))
        other.state_dir.rename(other.state_dir.with_name("first-x"))
        younger = await net.start("x")
        accepted = await younger.ask(api.ACCEPT_TOKEN, LinkAccept(token=token.token))
        assert accepted.is_up
        await wait_until(
            lambda: right.router.routes.engine.origin("x"), "the right side knows its x"
        )
        identities = [each.router.trust.credentials.identity for each in (older, younger)]
        is_older_first = _seniority(identities[0]) < _seniority(identities[1])
        winner, loser = (older, younger) if is_older_first else (younger, older)
        home = left if winner is older else right
        away = right if home is left else left
        await net.link(right, left)
        await wait_until(lambda: "x" not in away.router.links.up, "the other is let go")
        dialer = loser.router.links.dialers[away.name]
        await wait_until(
            lambda: "taken" in dialer.detail or "belongs" in dialer.detail, "it is told"
        )
        assert "x" in home.router.links.up
        key = winner.router.trust.credentials.identity.public_key_fingerprint
        engines = [side.router.routes.engine for side in (left, right)]
        await wait_until(
            lambda: all(engine.origin("x").key_id == key for engine in engines),
            "all know the one with the better claim",
        )
        kinds = [event.kind.value for event in away.router.control.events.after(0)]
        assert "name-contested" in kinds


def _seniority(identity):
    return identity.first_issued.timestamp(), identity.public_key_fingerprint
