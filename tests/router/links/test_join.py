"""A guest lets nobody but the site that minted its token answer."""

from datetime import timedelta

import pytest

from lab.network import network
from van.errors import CertificateError, RemoteProtocolError
from van.router.links.join_client import JoinClient
from van.tls.grants import Grants
from van.tls.tokens import mint
from van.wire.join import JoinAccepted
from van.wire.revision import MAJOR


def token_of(minting, *, dialled):
    """Return a token of one site whose address leads to another."""
    credentials = minting.router.trust.credentials
    endpoint = dialled.router.link_port.endpoint
    token = mint(
        credentials.authority,
        site=minting.name,
        addresses=(endpoint,),
        grants=Grants(),
        cost=1,
        lifetime=timedelta(minutes=5),
    )
    minting.router.site.ledger.add(token, 1)
    return token


async def test_another_site_of_the_van_can_not_answer_in_the_place_of_the_one_that_minted():
    async with network() as net:
        hub, east = await net.line("hub", "east")
        stranger = await net.start("stranger")
        token = token_of(east, dialled=hub)
        with pytest.raises(CertificateError, match="expected site 'east', found 'hub'"):
            await JoinClient().join(stranger.router.trust.credentials, token, is_member=False)


async def test_a_server_can_not_name_another_neighbour(monkeypatch):
    async with network() as net:
        hub, east = await net.line("hub", "east")
        token = token_of(hub, dialled=hub)
        decide = hub.router.control.join_server._decide

        async def lie(tls, conversation, request):
            answer = await decide(tls, conversation, request)
            return JoinAccepted(
                "elsewhere", answer.root, answer.chain, answer.ca_chain, 1, major=MAJOR
            )

        monkeypatch.setattr(hub.router.control.join_server, "_decide", lie)
        with pytest.raises(RemoteProtocolError, match="calls itself 'elsewhere'"):
            await JoinClient().join(east.router.trust.credentials, token, is_member=True)
