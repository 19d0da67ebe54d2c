"""There is at most one link between two sites, whoever dials, and what is changed lasts."""

import contextlib
from functools import partial

import pytest
import trio
import trio.testing

from lab.network import network, wait_until
from van.config import LinkConfig
from van.config.file import load_config
from van.errors import LinkDeclined, LinkLost, NotFound
from van.names import Endpoint
from van.router.links.link import exchange_hellos, make_hello
from van.router.reactor import connecting, tls_io
from van.router.reactor.message_stream import MessageStream
from van.tls.contexts import client_context
from van.wire.link import ALPN, CODEC, MAX_MESSAGE, Goodbye


@contextlib.asynccontextmanager
async def pair(*names):
    """Lend two sites, of which the second one dialled the first; both can be dialled."""
    async with network() as net:
        first, second = await net.line(*(names or ("alpha", "beta")))
        await second.router.link_port.open(Endpoint("127.0.0.1", 0))
        # The first link may settle its costs and routes before a test begins.
        await wait_until(lambda: second.name in first.router.routes.fib.routes, "a route")
        yield net, first, second


def config_of(site, cost=1):
    """Return what another site needs to dial this one."""
    return LinkConfig(site.name, (site.router.link_port.endpoint,), cost)


async def converse(site, by):
    """Return a link's conversation with a site, dialled by hand as another site of the VAN."""
    ours = by.router.trust.credentials
    context = client_context(ours.chain, ours.key, ours.root, (ALPN,))
    sock = await connecting.dial(site.router.link_port.endpoint)
    tls = await tls_io.handshake(context, sock, server_side=False)
    conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
    hello = make_hello(
        by.name,
        incarnation=1,
        cost=1,
        hold_time=1.05,
        clock=0.0,
        run=by.router.site.run,
    )
    try:
        await exchange_hellos(conversation, hello, peer=site.name)
    except BaseException:
        conversation.close()
        raise
    return conversation


def forget(site, neighbor):
    """Let a site stop dialling, without a word to the neighbour."""
    site.router.links._stop_dialer(neighbor)
    site.router.site.settings.remove_link(neighbor)


def is_unlinked(site):
    return not site.router.links.up


def reaches(site, far, *, cost):
    return site.router.routes.fib.routes[far.name].cost == cost


async def last_words(conversation):
    """Return the goodbye with which a conversation ends, if there is one."""
    goodbye = None
    try:
        while True:
            message = await conversation.receive()
            if isinstance(message, Goodbye):
                goodbye = message
    except LinkLost:
        return goodbye
    finally:
        conversation.close()


async def test_a_link_dialled_by_the_smaller_name_stays_when_the_other_side_dials():
    async with pair("beta", "alpha") as (_, beta, alpha):
        present = alpha.router.links.up["beta"]
        with pytest.raises(LinkDeclined, match="there is a link to site 'alpha' already"):
            await converse(alpha, by=beta)
        assert alpha.router.links.up["beta"] is present
        refused = alpha.router.link_port.refused
        await wait_until(lambda: refused["conversation"] == 1, "it is counted")


async def test_a_link_dialled_by_the_smaller_name_takes_the_place_of_the_others():
    async with pair("alpha", "beta") as (_, alpha, beta):
        present = beta.router.links.up["alpha"]
        conversation = await converse(beta, by=alpha)
        await wait_until(
            lambda: beta.router.links.up.get("alpha") not in (None, present), "the new one is up"
        )
        assert not beta.router.links.up["alpha"].is_outgoing
        conversation.close()


@pytest.mark.slow("looks for a while whether the link stays")
async def test_two_sites_that_dial_each_other_at_once_agree_on_one_link():
    async with pair() as (_, alpha, beta):
        before = {alpha.router.links.up["beta"], beta.router.links.up["alpha"]}
        alpha.router.links.dial(config_of(beta))
        beta.router.links.dial(config_of(alpha))

        def links():
            ours, theirs = alpha.router.links.up.get("beta"), beta.router.links.up.get("alpha")
            agree = ours and theirs and ours.is_outgoing is not theirs.is_outgoing
            return {ours, theirs} if agree and not {ours, theirs} & before else None

        await wait_until(links, "a link is up")
        await trio.sleep(0.5)
        kept = links()
        await trio.sleep(0.5)
        assert links() == kept, "it stays"


@pytest.mark.slow("a connection that makes way has half a second to read why")
async def test_a_connection_dialled_anew_takes_the_place_of_the_one_before():
    async with pair() as (_, first, second):
        forget(second, first.name)
        second.router.links.up[first.name].close("for a test")
        await wait_until(lambda: not first.router.links.up, "the link is gone")
        one = await converse(first, by=second)
        await wait_until(lambda: "beta" in first.router.links.up, "the link is up")
        before = first.router.links.up["beta"]
        other = await converse(first, by=second)
        goodbye = await last_words(one)
        assert "replaced" in goodbye.reason
        assert not goodbye.is_final
        await wait_until(lambda: first.router.links.up.get("beta") not in (None, before), "the new")
        other.close()
        await wait_until(lambda: not first.router.links.up, "the link is gone")
        assert not first.router.routes.engine.neighbors()


@pytest.mark.slow("each makes way for the next, and has half a second to read why")
async def test_of_many_connections_at_once_one_remains():
    async with pair() as (_, first, second), trio.open_nursery() as nursery:
        forget(second, first.name)
        second.router.links.up[first.name].close("for a test")
        await wait_until(lambda: not first.router.links.up, "the link is gone")
        conversations = []

        async def dial():
            with contextlib.suppress(LinkLost):
                conversations.append(await converse(first, by=second))

        for _ in range(8):
            nursery.start_soon(dial)
        await wait_until(lambda: len(conversations) == 8, "all have said hello")
        await wait_until(lambda: "beta" in first.router.links.up, "a link is up")
        await trio.sleep(0.3)
        assert [each.neighbor for each in first.router.routes.engine.neighbors()] == ["beta"]
        for each in conversations:
            each.close()
        await wait_until(lambda: not first.router.links.up, "the link is gone")
        assert not first.router.routes.engine.neighbors()
        assert not first.router.link_port.refused["defect"]


@pytest.mark.parametrize("deleting", [0, 1])
async def test_a_deleted_link_is_given_up_by_both_for_good(deleting):
    async with pair() as (net, *sites):
        site, other = sites[deleting], sites[1 - deleting]
        site.router.links.delete(other.name, "deleted for a test")
        for each in sites:
            await wait_until(partial(is_unlinked, each), "the link is gone")
            assert not each.router.links.dialers
            assert not load_config(net.paths(each.name).config_file).links
        with pytest.raises(NotFound, match="no link to site"):
            site.router.links.delete(other.name, "again")


async def test_a_neighbour_that_has_mail_to_get_hears_of_a_deletion_all_the_same():
    async with pair() as (_, first, second):
        first.router.links.terms.set_cost("beta", 9)
        first.router.links.delete("beta", "deleted for a test")
        await wait_until(lambda: not second.router.links.up, "the link is gone")
        assert not second.router.links.dialers


async def test_a_link_that_is_deleted_while_it_is_dialled_anew_does_not_come_back():
    async with pair() as (_, first, second):
        links = second.router.links
        links.dial(config_of(first))
        links.delete("alpha", "deleted for a test")
        await wait_until(lambda: not links.up, "the link is gone")
        await trio.sleep(0.5)
        assert not links.up
        assert not first.router.links.up


@pytest.mark.parametrize("changing", [0, 1])
async def test_a_changed_cost_counts_at_both_ends_and_after_a_restart(changing):
    async with pair() as (net, *sites):
        site, other = sites[changing], sites[1 - changing]
        site.router.links.terms.set_cost(other.name, 7)
        await wait_until(lambda: other.router.links.up[site.name].cost == 7, "both have it")
        assert site.router.links.up[other.name].cost == 7
        for each, far in (sites, sites[::-1]):
            await wait_until(partial(reaches, each, far, cost=7), "paths have it")
        assert load_config(net.paths("beta").config_file).links[0].cost == 7
        sites[1].scope.cancel()
        await wait_until(lambda: not net.paths("beta").control_socket.exists(), "beta has stopped")
        again = await net.start("beta")
        await wait_until(lambda: "alpha" in again.router.links.up, "the link is up again")
        await wait_until(lambda: "beta" in sites[0].router.links.up, "the link is up again")
        assert again.router.links.up["alpha"].cost == 7
        assert sites[0].router.links.up["beta"].cost == 7


async def test_the_cost_of_a_link_that_is_down_is_kept_for_later():
    async with pair() as (net, first, second):
        first.scope.cancel()
        await wait_until(lambda: not second.router.links.up, "the link is gone")
        second.router.links.terms.set_cost("alpha", 5)
        assert load_config(net.paths("beta").config_file).links[0].cost == 5
        assert second.router.links.dialers["alpha"].config.cost == 5
        with pytest.raises(NotFound):
            second.router.links.terms.set_cost("gamma", 5)


async def test_a_site_that_answers_for_another_is_not_linked_to():
    async with pair() as (_, first, second):
        endpoint = first.router.link_port.endpoint
        second.router.links.dial(LinkConfig("gamma", (endpoint,)))
        dialer = second.router.links.dialers["gamma"]
        await wait_until(lambda: "is site 'alpha'" in dialer.detail, "status says why")
        assert "gamma" not in second.router.links.up
