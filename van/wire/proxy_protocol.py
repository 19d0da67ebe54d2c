"""The header that tells a target who connects: the PROXY protocol, version 2.

HAProxy's `proxy-protocol.txt`, section 2.2, which nginx, Envoy, HAProxy, and many servers read. A
connection that comes out of a router begins with it, ahead of what the client says. Its source is
the client's own address as the ingress saw it; which site that is, the ingress has proved by its
certificate, and a TLV of a type that is left to applications says it.
"""

import ipaddress
import struct
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
PROXY: Final = 0x21
"""Version 2: the connection is somebody else's."""
LOCAL: Final = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
"""The whole header of a connection that is the router's own, to see whether the target is well."""
STREAMS: Final = {4: 0x11, 6: 0x21}
"""Family and protocol of a TCP connection, by the version of IP."""
UNKNOWN: Final = 0x00
"""The same where the client's address is not known."""
TLV_AUTHORITY: Final = 0x02
"""The name that the client connected to: that of the VAN address, without its port."""
TLV_UNIQUE_ID: Final = 0x05
"""The flow's id, as `van flows` and the log show it."""
TLV_SITE: Final = 0xE0
"""The site at which the client is: the first of the types that applications may choose."""
_TLV = struct.Struct("!BH")
_HEAD = struct.Struct("!12sBBH")
_PORTS = struct.Struct("!HH")


def header(*, client: str, address: str, site: str, flow: str) -> bytes:
    """Return the header of a client's connection to an address.

    `client` is `HOST:PORT` as the ingress has told it. The destination is unspecified, with the
    address's port: the address is none of IP. What is no address of IP makes both unknown.
    """
    name, _, port = address.rpartition(":")
    family, addresses = _addresses(client, int(port))
    texts = ((TLV_AUTHORITY, name), (TLV_UNIQUE_ID, flow), (TLV_SITE, site))
    tlvs = b"".join(_tlv(kind, text.encode()) for kind, text in texts)
    length = len(addresses) + len(tlvs)
    return _HEAD.pack(SIGNATURE, PROXY, family, length) + addresses + tlvs


def _addresses(client: str, port: int) -> tuple[int, bytes]:
    """Return the family, and source and destination as that has them."""
    host, _, client_port = client.rpartition(":")
    try:
        source = ipaddress.ip_address(host.strip("[]").partition("%")[0])
        ports = _PORTS.pack(int(client_port), port)
    except (ValueError, struct.error):
        return UNKNOWN, b""
    return STREAMS[source.version], source.packed + bytes(len(source.packed)) + ports


def _tlv(kind: int, value: bytes) -> bytes:
    return _TLV.pack(kind, len(value)) + value
