"""Connects to one place where a target listens: once, and takes the kernel's word for what came.

To ask for a connection again tells whether it has been made, but takes away what the target said if
it is broken off meanwhile, and looks like a refusal then.
"""

import errno
import functools
import ipaddress
import os
import socket
from typing import Final

import attrs
import trio

from van.names import Endpoint, Target, UnixPath
from van.router.reactor import sockets
from van.router.reactor.binding import NOT_HERE
from van.router.reactor.loopback import is_ambiguous, loopbacks

MIN_QUEUE_PAUSE: Final = 0.005
MAX_QUEUE_PAUSE: Final = 0.1
"""Seconds between two looks whether a unix socket's queue has room, which no event tells; doubles
from the least to the most."""
_NONBLOCK: Final = getattr(socket, "SOCK_NONBLOCK", 0)
"""Makes a socket that never blocks, where the system can do that in one step."""
_TYPE: Final = socket.SOCK_STREAM | _NONBLOCK


@attrs.frozen
class Begun:
    """A connection that was asked for; whoever has it closes the socket, or finishes it."""

    sock: socket.socket | None
    """None when there is nothing under way."""
    code: int
    """0 when it has been made, EINPROGRESS when it is under way, or why it can't be."""


@attrs.frozen
class _Place:
    family: int
    address: tuple[str, int] | str
    is_here: bool
    """Whether it is on this machine, whose death need not be noticed."""


def begin(target: Target) -> Begun:
    """Ask for a connection to a literal address or a unix socket; never waits, and never raises.

    Of `localhost` both loopbacks are asked, the one that answered last before the other.
    """
    places = _places(target)
    failure: Begun | None = None
    for number, place in enumerate(places):
        begun = _begin_at(place)
        if begun.sock is not None:
            if number:
                places.insert(0, places.pop(number))
            return begun
        if failure is None or failure.code in NOT_HERE:  # of two reasons, the one that says more
            failure = begun
    return failure or Begun(None, errno.EADDRNOTAVAIL)


def answering(target: Target) -> str:
    """Return where a target that leaves that open has answered, once it has."""
    address = _places(target)[0].address
    return str(Endpoint(str(address[0]), int(address[1])))


def _begin_at(place: _Place) -> Begun:
    try:
        sock = socket.socket(place.family, _TYPE)
    except OSError as exc:
        return Begun(None, exc.errno or errno.EMFILE)
    if not _NONBLOCK:
        sock.setblocking(False)
    try:
        code = sock.connect_ex(place.address)
    except OSError as exc:  # it is no address that could be connected to
        code = exc.errno or errno.EINVAL
    if code == errno.EINPROGRESS:
        code = sockets.connect_outcome(sock)  # on this machine it takes no longer
    if code == 0:
        _set_options(sock, place)
    elif code != errno.EINPROGRESS:
        sock.close()
        return Begun(None, code)
    return Begun(sock, code)


async def finish(target: Target, begun: Begun) -> socket.socket:
    """Wait until a connection is made, for as long as the system does; raise `OSError`.

    Closes the socket unless it returns it.
    """
    pause = MIN_QUEUE_PAUSE
    while begun.code == errno.EAGAIN and isinstance(target, UnixPath):
        await trio.sleep(pause)
        pause = min(MAX_QUEUE_PAUSE, pause * 2)
        begun = begin(target)
    sock, code = begun.sock, begun.code
    if sock is None:
        raise OSError(code, os.strerror(code))
    try:
        while code == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(sock)
            code = sockets.connect_outcome(sock)
        if code:
            raise OSError(code, os.strerror(code))
        _set_options(sock, _places(target)[0])
    except BaseException:
        sock.close()
        raise
    return sock


async def connect(target: Target) -> socket.socket:
    """Do both, and wait for as long as the system does; raise `OSError`."""
    return await finish(target, begin(target))


def _set_options(sock: socket.socket, place: _Place) -> None:
    if not place.is_here:
        sockets.set_flow_options(sock)
    elif place.family != socket.AF_UNIX:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass  # it has gone already, which shows on the next read


@functools.lru_cache(1024)
def _places(target: Target) -> list[_Place]:
    """Return where a target may be: at one place, unless it is `localhost`."""
    if isinstance(target, UnixPath):
        return [_Place(socket.AF_UNIX, target.path, is_here=True)]
    hosts = loopbacks() if is_ambiguous(target) else (target.host,)
    return [_place(host, target.port) for host in hosts]


def _place(host: str, port: int) -> _Place:
    address = ipaddress.ip_address(host)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return _Place(family, (host, port), is_here=address.is_loopback)
