import os
import socket
import ssl
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.tls.forging import Issued, as_issued, ca_form, forge, site_form, token_form
from tests.tls.handshakes import (
    ALPN,
    any_context,
    close_all,
    connect,
    dialled,
    dialling,
    finish,
    forge_today,
    keep,
    shake_hands,
    socket_pair,
    today,
    wrap,
)
from van.errors import CertificateError
from van.tls.authority import Authority
from van.tls.contexts import client_context, describe_tls_error, peer_chain, peer_identity
from van.tls.credentials import Credentials
from van.tls.grants import FULL, Grants
from van.tls.identity import BootstrapIdentity, SiteIdentity, generate_key, make_request
from van.tls.pem import decode_key

CLIENT, SERVER = ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER


def let_in(inviter: Credentials, site: str, grants=FULL) -> Credentials:
    """Return the credentials of a site that another let in, and let invite if the grants say so."""
    assert inviter.authority is not None
    key, ca_key = generate_key(), None
    ca_chain: tuple[bytes, ...] = ()
    chain = inviter.authority.issue_site(make_request(key), site=site, grants=grants)
    if grants.can_invite:
        ca_key = generate_key()
        request = make_request(ca_key)
        ca_chain = inviter.authority.issue_intermediate(request, site=site, grants=grants)
    return Credentials.joined(key, chain, inviter.root, ca_key, ca_chain)


@pytest.fixture(scope="module")
def sites():
    """Three sites: the second let in by the first, and the third by the second."""
    hub = Credentials.create("hub")
    east = let_in(hub, "east")
    return [hub, east, let_in(east, "edge", Grants(False, ("web",), ()))]


@pytest.fixture(autouse=True)
def sockets_close():
    yield
    close_all()


@pytest.fixture(scope="module")
def hub(sites):
    return sites[0]


@pytest.mark.parametrize("family", ["unix", "tcp"])
@pytest.mark.parametrize("dialler", [0, 1, 2])
@pytest.mark.parametrize("listener", [0, 1, 2])
def test_two_sites_know_each_other_after_a_handshake(sites, dialler, listener, family):
    client, server = sites[dialler], sites[listener]
    pair = connect(dialling(client), dialled(server), family)
    assert peer_identity(pair.client, client.root, at=today()) == server.identity
    assert peer_identity(pair.server, server.root, at=today()) == client.identity
    assert peer_chain(pair.client) == server.chain
    assert peer_chain(pair.server) == client.chain
    for sock in (pair.client, pair.server):
        assert (sock.version(), sock.selected_alpn_protocol()) == ("TLSv1.3", "van-link/1")
        assert not sock.session_reused


@pytest.mark.parametrize("minter", [0, 1])
def test_a_token_dials_and_is_known_as_one(sites, minter):
    authority = sites[minter].authority
    pem, der = authority.issue_bootstrap("abc", lifetime=timedelta(minutes=15))
    chain = (der, *authority.chain)
    context = client_context(chain, decode_key(pem), authority.root, ALPN)
    pair = connect(context, dialled(sites[minter]))
    identity = peer_identity(pair.server, authority.root, at=today())
    assert isinstance(identity, BootstrapIdentity)
    assert (identity.van_id, identity.token_id) == (authority.van_id, "abc")
    assert isinstance(peer_identity(pair.client, authority.root, at=today()), SiteIdentity)


def test_conversations_are_told_apart_by_alpn(hub):
    pair = connect(dialling(hub, ["van-join/1"]), dialled(hub, ["van-link/1", "van-join/1"]))
    assert pair.server.selected_alpn_protocol() == "van-join/1"
    pair = connect(dialling(hub, ["other"]), dialled(hub, ["van-link/1"]))
    assert pair.server.selected_alpn_protocol() is None


def test_older_tls_is_not_spoken(hub):
    old = dialling(hub)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(old, dialled(hub))


def test_nothing_is_resumed_and_nothing_remembered(hub):
    client, server = dialling(hub), dialled(hub)
    first = connect(client, server)
    second = connect(client, server)
    for pair in (first, second):
        pair.client.send(b"x")
        finish(lambda pair=pair: pair.server.recv(1))
        assert not pair.client.session_reused
    assert server.session_stats()["number"] == 0


def test_no_ticket_waits_unread_after_a_handshake(hub):
    pair = connect(dialling(hub), dialled(hub))
    pair.server.send(b"x")
    assert finish(lambda: pair.client.recv(1)) == [b"x"]
    with socket.socket(fileno=os.dup(pair.client.fileno())) as raw:
        raw.setblocking(False)
        with pytest.raises(BlockingIOError):
            raw.recv(1, socket.MSG_PEEK)


@pytest.mark.parametrize("family", ["unix", "tcp"])
@pytest.mark.parametrize("first", ["client", "server"])
def test_ending_tls_leaves_the_raw_stream_exact(hub, family, first):
    """What a side sends right after its close_notify is not swallowed by the other's TLS."""
    pair = connect(dialling(hub), dialled(hub), family)
    pair.client.send(b"request")
    pair.server.send(b"reply")
    assert finish(lambda: pair.server.recv(99), lambda: pair.client.recv(99)) == [
        b"request",
        b"reply",
    ]
    here, there = pair.client, pair.server
    if first == "server":
        here, there = there, here
    with pytest.raises(ssl.SSLWantReadError):
        here.unwrap()
    raw_there = finish(there.unwrap)[0]
    raw_there.send(b"raw bytes that follow at once")
    raw_here = finish(here.unwrap)[0]
    assert finish(lambda: raw_here.recv(99)) == [b"raw bytes that follow at once"]
    raw_here.send(b"and back")
    assert finish(lambda: raw_there.recv(99)) == [b"and back"]
    for raw in (raw_here, raw_there):
        with pytest.raises(BlockingIOError):
            raw.recv(1)


@pytest.mark.parametrize("family", ["unix", "tcp"])
@pytest.mark.parametrize("first", ["client", "server"])
def test_new_tls_runs_over_the_same_socket_after_the_old_ended(sites, family, first):
    """As a relay does: hop TLS ends, and the ends start their own on the same stream."""
    hub, east, edge = sites
    pair = connect(dialling(edge), dialled(east), family)
    order = [pair.client.unwrap, pair.server.unwrap]
    raw = finish(*(order if first == "client" else reversed(order)))
    client, server = raw if first == "client" else reversed(raw)
    again = wrap(client, server, dialling(edge), dialled(hub))
    assert shake_hands(again) == (None, None)
    assert peer_identity(again.client, edge.root, at=today()) == hub.identity
    assert peer_identity(again.server, hub.root, at=today()) == edge.identity
    again.client.send(b"through")
    assert finish(lambda: again.server.recv(99)) == [b"through"]


def test_a_hello_right_behind_close_notify_starts_the_new_tls(hub):
    pair = connect(dialling(hub), dialled(hub), "tcp")
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.unwrap()
    raw_client = finish(pair.client.unwrap)[0]
    client = keep(dialling(hub).wrap_socket(raw_client, do_handshake_on_connect=False))
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    raw_server = finish(pair.server.unwrap)[0]
    context = dialled(hub)
    server = keep(context.wrap_socket(raw_server, server_side=True, do_handshake_on_connect=False))
    assert finish(client.do_handshake, server.do_handshake) == [None, None]


# What hostile peers show.


def refusal(client_side, server_side):
    """Return how either side of a handshake describes that it failed, or None."""
    pair = wrap(*socket_pair(), client_side, server_side)
    client, server = shake_hands(pair)
    if client is None and server is not None:
        # In TLS 1.3 a client is done before the server has judged it: the alert comes with a read.
        client = finish(lambda: pair.client.recv(1))[0]
    return tuple(exc and describe_tls_error(exc) for exc in (client, server))


def both_ways(hub, chain, issued: Issued, cause):
    """Check that a certificate is refused when its holder dials, and when it is dialled."""
    dialler = any_context(CLIENT, chain, issued.key, hub.root)
    theirs, ours = refusal(dialler, dialled(hub))
    assert ours.cause == cause
    assert theirs is not None
    listener = any_context(SERVER, chain, issued.key, hub.root)
    ours, theirs = refusal(dialling(hub), listener)
    assert ours.cause == cause
    assert theirs is not None


def test_a_site_of_another_van_is_refused_by_both_sides(hub):
    other = Credentials.create("hub")
    client, server = refusal(dialling(other), dialled(hub))
    assert client.cause == server.cause == "other-authority"
    assert client.text == "the peer's certificate is of another VAN"
    assert server.text == "the peer says that our certificate is of another VAN"
    issued = Issued(other.identity.certificate, other.key)
    both_ways(hub, other.chain, issued, "other-authority")


def test_expired_and_early_certificates_are_refused(hub):
    issuer, form = as_issued(hub.authority), site_form(hub.van_id)
    expired = forge_today(
        issuer, form, not_before=timedelta(days=-2), not_after=timedelta(minutes=-1)
    )
    both_ways(hub, [expired.der], expired, "expired")
    early = forge_today(issuer, form, not_before=timedelta(hours=1))
    both_ways(hub, [early.der], early, "not-yet-valid")


def test_a_token_can_t_be_dialled(hub):
    token = forge_today(as_issued(hub.authority), token_form(hub.van_id))
    context = any_context(SERVER, [token.der], token.key, hub.root)
    ours, _ = refusal(dialling(hub), context)
    assert (ours.cause, ours.text) == (
        "wrong-purpose",
        "the peer's certificate is not good for this",
    )


def test_a_site_that_issues_certificates_is_refused(hub):
    site = forge_today(as_issued(hub.authority), site_form(hub.van_id))
    leaf = forge_today(site, site_form(hub.van_id, "victim"))
    both_ways(hub, [leaf.der, site.der], leaf, "wrong-purpose")


def test_a_name_outside_its_constraints_is_refused(hub):
    other = Authority.create_root().van_id
    ca = forge_today(as_issued(hub.authority), ca_form(hub.van_id))
    leaf = forge_today(ca, site_form(other))
    both_ways(hub, [leaf.der, ca.der], leaf, "refused")


def test_a_peer_without_a_certificate_is_refused(hub):
    nobody = ssl.SSLContext(CLIENT)
    nobody.check_hostname = False
    nobody.load_verify_locations(cadata=hub.root.public_bytes(Encoding.DER))
    client, server = refusal(nobody, dialled(hub))
    assert (server.cause, client.cause) == ("no-certificate", "no-certificate")
    assert server.text == "the peer showed no certificate"


def test_a_certificate_that_passes_tls_is_still_judged_by_its_grants(hub):
    """OpenSSL knows nothing of grants: `peer_identity` must."""
    ca = forge_today(as_issued(hub.authority), ca_form(hub.van_id, grants=Grants()))
    leaf = forge_today(ca, site_form(hub.van_id, grants=Grants()))
    context = any_context(CLIENT, [leaf.der, ca.der], leaf.key, hub.root)
    pair = connect(context, dialled(hub))
    with pytest.raises(CertificateError, match="was not let invite") as caught:
        peer_identity(pair.server, hub.root, at=today())
    assert describe_tls_error(caught.value).cause == "refused"


def test_extra_certificates_in_a_handshake_are_refused(sites):
    hub, east, _ = sites
    stranger = forge(as_issued(Authority.create_root()), site_form("a" * 26)).der
    root = hub.root.public_bytes(Encoding.DER)
    unused = east.authority.chain[0]
    for extra in ((stranger,), (unused,), (root, root), (hub.chain[0],), (root, unused)):
        for protocol in (CLIENT, SERVER):
            context = any_context(protocol, (*hub.chain, *extra), hub.key, hub.root)
            pair = (
                connect(context, dialled(hub))
                if protocol is CLIENT
                else connect(dialling(hub), context)
            )
            sock = pair.server if protocol is CLIENT else pair.client
            with pytest.raises(CertificateError, match="other certificates"):
                peer_chain(sock)


def test_before_a_handshake_a_peer_is_nobody(hub):
    pair = wrap(*socket_pair(), dialling(hub), dialled(hub))
    for sock in (pair.client, pair.server):
        with pytest.raises(CertificateError, match="no certificate"):
            peer_chain(sock)


def test_what_is_not_tls_is_a_failed_handshake(hub):
    client, server = socket_pair()
    server.setblocking(False)
    with client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
    context = dialled(hub)
    wrapped = keep(context.wrap_socket(server, server_side=True, do_handshake_on_connect=False))
    (error,) = finish(wrapped.do_handshake)
    failure = describe_tls_error(error)
    assert failure.cause == "handshake"
    assert failure.text.startswith("TLS handshake failed: ")


@pytest.mark.parametrize(
    "error", [ConnectionResetError(104, "Connection reset by peer"), EOFError(), ssl.SSLEOFError(8)]
)
def test_every_end_of_a_handshake_has_a_text(error):
    failure = describe_tls_error(error)
    assert failure.cause == "handshake"
    assert len(failure.text) > len("TLS handshake failed: ")


def test_a_key_without_memory_files_passes_through_a_private_file(hub, monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pair = connect(dialling(hub), dialled(hub))
    assert peer_identity(pair.server, hub.root, at=today()) == hub.identity
    assert list(tmp_path.iterdir()) == []


def test_certificates_pass_the_strict_checks_of_openssl(sites):
    """`ssl` in Python 3.13 turns them on; here they are on in every version."""
    for site in sites:
        for context in (dialled(site), dialling(site)):
            assert context.verify_flags & ssl.VERIFY_X509_STRICT
            assert context.verify_mode == ssl.CERT_REQUIRED
            assert context.get_ca_certs(binary_form=True) == [site.root.public_bytes(Encoding.DER)]
