"""The header that says who connects, byte by byte as HAProxy's proxy-protocol.txt has it."""

import struct

import pytest

from van.wire.proxy_protocol import LOCAL, header

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")


def tlvs(data):
    found = {}
    while data:
        kind, size = struct.unpack_from("!BH", data)
        found[kind] = data[3 : 3 + size]
        data = data[3 + size :]
    return found


def of(client):
    """Return family, addresses and ports, and the TLVs, of a header; what is said first is held."""
    data = header(client=client, address="db:5432", site="west", flow="west-7")
    assert data.startswith(SIGNATURE + b"\x21")
    family, size = struct.unpack_from("!BH", data, 13)
    assert len(data) == 16 + size
    addresses = {0x11: 12, 0x21: 36, 0x00: 0}[family]
    return family, data[16 : 16 + addresses], tlvs(data[16 + addresses :])


TOLD = {0x02: b"db", 0x05: b"west-7", 0xE0: b"west"}


def test_a_client_over_ipv4():
    ports = struct.pack("!HH", 50000, 5432)
    assert of("192.0.2.7:50000") == (0x11, bytes([192, 0, 2, 7, 0, 0, 0, 0]) + ports, TOLD)


@pytest.mark.parametrize(
    "client", ["2001:db8::7:50000", "[2001:db8::7]:50000", "2001:db8::7%eth0:50000"]
)
def test_a_client_over_ipv6(client):
    source = bytes.fromhex("20010db8000000000000000000000007")
    ports = struct.pack("!HH", 50000, 5432)
    assert of(client) == (0x21, source + bytes(16) + ports, TOLD)


@pytest.mark.parametrize("client", ["", "somebody", "somebody:1", "192.0.2.7:x", "192.0.2.7:70000"])
def test_a_client_that_is_not_known(client):
    assert of(client) == (0x00, b"", TOLD)


def test_a_connection_of_the_routers_own():
    assert LOCAL == SIGNATURE + b"\x20\x00\x00\x00"
