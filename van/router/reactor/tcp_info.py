"""What the kernel tells of a TCP connection: what it sent, what it sent again, and how long that
takes. See `tcp_info` in Linux's `linux/tcp.h`."""

import socket
import struct
import sys
from typing import Final

import attrs

_FIELDS: Final = struct.Struct("=xB2xB19xI40xI28xI16xQ16xII4xI")
"""`ca_state`, `backoff`, `unacked`, `rtt`, `total_retrans`, `bytes_acked`, `notsent_bytes`,
`min_rtt`, and `data_segs_out`."""
_RECOVERY: Final = 3
"""`TCP_CA_Recovery`: what is lost is sent again; in any state above, too."""
_LOSS: Final = 4
"""`TCP_CA_Loss`: a timer has run out, and everything since is sent anew."""
_UNKNOWN: Final = 0xFFFFFFFF
"""What `min_rtt` is before there is any."""


@attrs.frozen
class TcpInfo:
    """One connection at one time; counts begin with the connection."""

    sent: int
    """Segments with data, those that were sent again included; modulo 2^32."""
    repeated: int
    """Segments that were sent again; modulo 2^32."""
    acknowledged: int
    """Bytes that the other end's system has."""
    in_flight: int
    """Segments that it is not known to have."""
    unsent: int
    """Bytes that wait here, as the path takes no more at present."""
    round_trip: float
    """Seconds, smoothed."""
    shortest: float
    """The least in the last minutes."""
    is_timed_out: bool
    """Whether nothing is heard of what was sent, so that a timer decides when it is sent again."""
    is_recovering: bool = False
    """Whether something was lost, and not all that was on its way then is acknowledged yet."""


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """Return what the kernel tells of a connection; None where it does not tell that much."""
    if sys.platform != "linux" or sock.family == socket.AF_UNIX:
        return None
    try:
        found = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _FIELDS.size)
    except OSError:
        return None
    if len(found) < _FIELDS.size:
        return None
    state, backoff, in_flight, rtt, repeated, acknowledged, unsent, least, sent = _FIELDS.unpack(
        found
    )
    return TcpInfo(
        sent,
        repeated,
        acknowledged,
        in_flight,
        unsent,
        rtt / 1e6,
        (rtt if least == _UNKNOWN else least) / 1e6,
        state == _LOSS or backoff > 0,
        state >= _RECOVERY,
    )
