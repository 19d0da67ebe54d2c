"""Tokens are minted where others can dial, are listed, and can be revoked."""

from datetime import timedelta

import attrs
import pytest
import trio

from lab.network import network
from van.config.file import load_config
from van.errors import NotAllowed, NotFound
from van.tls.grants import FULL


async def mint(site):
    """Return a token that is minted at a site."""
    lifetime = timedelta(minutes=5)
    return await site.router.invitations.mint(FULL, cost=1, uses=2, lifetime=lifetime)


async def test_two_tokens_at_the_same_moment_open_one_link_port():
    async with network() as net:
        west = await net.start("west")
        minted = []

        async def mint_one():
            minted.append(await mint(west))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(mint_one)
            nursery.start_soon(mint_one)
        assert minted[0].addresses == minted[1].addresses
        assert (load_config(net.paths("west").config_file).listen,) == minted[0].addresses


async def test_a_token_is_listed_until_it_is_revoked_and_after():
    async with network() as net:
        west = await net.start("west")
        invitations, token = west.router.invitations, await mint(west)
        (listed,) = invitations.statuses()
        assert (listed.id, listed.state, listed.uses) == (token.id, "valid", 2)
        assert 290 < listed.expires_in <= 300
        assert invitations.revoke(token.id) == ()
        assert [each.state for each in invitations.statuses()] == ["revoked"]
        with pytest.raises(NotFound, match="token 'x' was not minted here"):
            invitations.revoke("x")


async def test_who_holds_no_authority_can_not_invite():
    async with network() as net:
        west = await net.start("west")
        trust = west.router.trust
        trust.credentials = attrs.evolve(trust.credentials, authority=None)
        with pytest.raises(NotAllowed, match="site 'west' may not invite others"):
            await mint(west)
        assert not west.router.invitations.statuses()
