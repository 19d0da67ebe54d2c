import os
import socket
import ssl
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.tls.forging import Issued, as_issued, ca_form, forge, site_form, token_form
from tests.tls.handshakes import (
    ALPN,
    any_context,
    begin,
    close_all,
    connect,
    dialled,
    dialling,
    finish,
    forge_today,
    shake_hands,
    socket_pair,
    stranger_context,
    today,
    wrap,
)
from van.errors import CertificateError, CertificateExpired, CertificateNotYetValid
from van.tls.authority import Authority
from van.tls.connection import TlsError, WantRead
from van.tls.contexts import client_context, peer_chain, peer_identity
from van.tls.credentials import Credentials
from van.tls.failures import describe_tls_error
from van.tls.grants import FULL, Grants
from van.tls.identity import BootstrapIdentity, SiteIdentity
from van.tls.keys import generate_key, make_request
from van.tls.pem import decode_key, encode_chain, encode_key


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
    assert pair.client.alpn == pair.server.alpn == "van-link/1"


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
    assert pair.server.alpn == "van-join/1"
    pair = connect(dialling(hub, ["other"]), dialled(hub, ["van-link/1"]))
    assert pair.server.alpn == ""


def test_older_tls_is_not_spoken(hub):
    old = stranger_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        connect(old, dialled(hub))


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
    with pytest.raises(WantRead):
        here.shut_down()
    assert finish(there.shut_down) == [None]
    raw_there = there.sock
    raw_there.send(b"raw bytes that follow at once")
    assert finish(here.shut_down) == [None]
    raw_here = here.sock
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
    order = [pair.client.shut_down, pair.server.shut_down]
    assert finish(*(order if first == "client" else reversed(order))) == [None, None]
    again = wrap(pair.client.sock, pair.server.sock, dialling(edge), dialled(hub))
    assert shake_hands(again) == (None, None)
    assert peer_identity(again.client, edge.root, at=today()) == hub.identity
    assert peer_identity(again.server, hub.root, at=today()) == edge.identity
    again.client.send(b"through")
    assert finish(lambda: again.server.recv(99)) == [b"through"]


def test_a_hello_right_behind_close_notify_starts_the_new_tls(hub):
    pair = connect(dialling(hub), dialled(hub), "tcp")
    with pytest.raises(WantRead):
        pair.server.shut_down()
    assert finish(pair.client.shut_down) == [None]
    client = begin(dialling(hub), pair.client.sock)
    with pytest.raises(WantRead):
        client.do_handshake()
    assert finish(pair.server.shut_down) == [None]
    server = begin(dialled(hub), pair.server.sock, server_side=True)
    assert finish(client.do_handshake, server.do_handshake) == [None, None]


def test_a_connection_that_fails_harms_no_other(hub):
    """OpenSSL keeps errors by thread, and not by connection."""
    broken, sound = (connect(dialling(hub), dialled(hub), "tcp") for _ in range(2))
    buffer = bytearray(99)
    read_broken, read_sound = broken.server.reader(buffer), sound.server.reader(buffer)
    broken.client.sock.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert read_broken() < 0
    (error,) = finish(lambda: broken.server.recv_into(memoryview(buffer)))
    assert isinstance(error, TlsError)
    assert read_sound() < 0
    with pytest.raises(WantRead):
        sound.server.recv_into(memoryview(buffer))
    sound.client.send(b"well")
    assert finish(lambda: sound.server.recv(9)) == [b"well"]


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
    dialler = any_context(chain, issued.key, hub.root)
    theirs, ours = refusal(dialler, dialled(hub))
    assert ours.cause == cause
    assert theirs is not None
    listener = any_context(chain, issued.key, hub.root)
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


@pytest.mark.parametrize(
    ("times", "error"),
    [
        ((timedelta(-2), timedelta(minutes=-1)), CertificateExpired),
        ((timedelta(hours=1), timedelta(1)), CertificateNotYetValid),
    ],
)
def test_expired_and_early_certificates_prove_nothing_after_the_handshake(hub, times, error):
    """The handshake lets them pass, so that there is somebody to be told."""
    form = site_form(hub.van_id)
    first, last = times
    late = forge_today(as_issued(hub.authority), form, not_before=first, not_after=last)
    context = any_context([late.der], late.key, hub.root)
    pair = connect(context, dialled(hub))
    with pytest.raises(error):
        peer_identity(pair.server, hub.root, at=today())
    pair = connect(dialling(hub), context)
    with pytest.raises(error):
        peer_identity(pair.client, hub.root, at=today())


def test_an_expired_authority_takes_what_is_below_along(hub):
    old = forge_today(
        as_issued(hub.authority),
        ca_form(hub.van_id, "east"),
        not_before=timedelta(-2),
        not_after=timedelta(minutes=-1),
    )
    leaf = forge_today(old, site_form(hub.van_id, "victim"))
    pair = connect(any_context([leaf.der, old.der], leaf.key, hub.root), dialled(hub))
    with pytest.raises(CertificateExpired, match="authority of site 'east'"):
        peer_identity(pair.server, hub.root, at=today())


def test_a_token_can_t_be_dialled(hub):
    token = forge_today(as_issued(hub.authority), token_form(hub.van_id))
    context = any_context([token.der], token.key, hub.root)
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
    client, server = refusal(stranger_context(), dialled(hub))
    assert (server.cause, client.cause) == ("no-certificate", "handshake")
    assert server.text == "the peer showed no certificate"


def test_a_certificate_that_passes_tls_is_still_judged_by_its_grants(hub):
    """OpenSSL knows nothing of grants: `peer_identity` must."""
    ca = forge_today(as_issued(hub.authority), ca_form(hub.van_id, grants=Grants()))
    leaf = forge_today(ca, site_form(hub.van_id, grants=Grants()))
    context = any_context([leaf.der, ca.der], leaf.key, hub.root)
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
        context = any_context((*hub.chain, *extra), hub.key, hub.root)
        dialled_by_it = connect(context, dialled(hub)).server
        dialling_it = connect(dialling(hub), context).client
        for connection in (dialled_by_it, dialling_it):
            with pytest.raises(CertificateError, match="other certificates"):
                peer_chain(connection)


def test_before_a_handshake_a_peer_is_nobody(hub):
    pair = wrap(*socket_pair(), dialling(hub), dialled(hub))
    for sock in (pair.client, pair.server):
        with pytest.raises(CertificateError, match="no certificate"):
            peer_chain(sock)


def test_what_is_not_tls_is_a_failed_handshake(hub):
    client, server = socket_pair()
    with client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
    wrapped = begin(dialled(hub), server, server_side=True)
    (error,) = finish(wrapped.do_handshake)
    failure = describe_tls_error(error)
    assert failure.cause == "handshake"
    assert failure.text.startswith("TLS handshake failed: ")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
        TlsError("bad record type"),
    ],
)
def test_every_end_of_a_handshake_has_a_text(error):
    failure = describe_tls_error(error)
    assert failure.cause == "handshake"
    assert len(failure.text) > len("TLS handshake failed: ")


def test_certificates_must_pass_the_strict_checks_of_openssl(hub):
    """As RFC 5280 has them: here, a certificate that does not say whose key signed it."""
    vague = forge_today(
        as_issued(hub.authority), site_form(hub.van_id), says_whose_key_signed=False
    )
    _, ours = refusal(any_context([vague.der], vague.key, hub.root), dialled(hub))
    assert ours.text == "the peer's certificate is refused: missing authority key identifier"


@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_keys_are_agreed_on_so_that_a_quantum_computer_can_t_find_them_later(hub, family):
    pair = connect(dialling(hub), dialled(hub), family)
    for end in (pair.client, pair.server):
        assert end._connection.get_group_name() == "X25519MLKEM768"


def test_nothing_is_resumed(hub, tmp_path):
    """Not even for a client of another library that tries."""
    context = stranger_context()
    file = tmp_path / "hub.pem"
    file.write_text(encode_key(hub.key) + encode_chain(hub.chain))
    context.load_cert_chain(file)
    server = dialled(hub)
    first = connect(context, server, "tcp")
    resumable: Any = first.client
    first.server.send(b"x")
    assert finish(lambda: resumable.recv(1)) == [b"x"]
    near, far = socket_pair("tcp")
    again = begin(context, near)
    again.session = resumable.session
    assert (
        finish(again.do_handshake, begin(server, far, server_side=True).do_handshake) == [None] * 2
    )
    assert not again.session_reused
