"""A TLS connection over a non-blocking socket, of which `van.tls.contexts` makes the contexts.

These two are the modules that know which TLS library is used. It is pyOpenSSL, for the OpenSSL that
comes with `cryptography`: the same whatever Python was built with, so that keys are agreed on by
X25519MLKEM768 everywhere, and a handshake takes two thirds of the time.
"""

import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NoReturn

from cryptography import x509
from OpenSSL import SSL, crypto

from van.tls.native import AVAILABILITY, handle_of

WantRead = SSL.WantReadError
"""Raised when a call has to be repeated once the socket can be read."""
WantWrite = SSL.WantWriteError
"""Raised when a call has to be repeated once the socket can be written to, with the same bytes."""

_WAITS: Final = (WantRead, WantWrite)
ENDED_EARLY: Final = "the other side closed the connection"
_UNEXPECTED_EOF: Final = -1


class TlsError(OSError):
    """TLS with a peer failed, and the connection with it."""

    def __init__(self, reason: str, verify_code: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        """OpenSSL's words, in lower case."""
        self.verify_code = verify_code
        """Why the peer's certificate was refused (X509_V_ERR_*), or None when it was not."""


class TlsConnection:
    """One end of a TLS connection; owns its socket."""

    __slots__ = ("_connection", "_native", "_server_side", "_ssl", "sock")

    def __init__(self, context: SSL.Context, sock: socket.socket, *, server_side: bool) -> None:
        self.sock = sock
        """The connection below, which can be used without TLS after `shut_down`."""
        self._server_side = server_side
        self._connection = SSL.Connection(context, sock)
        self._native = AVAILABILITY.native
        self._ssl = handle_of(self._connection) if self._native is not None else None
        if server_side:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()

    def fileno(self) -> int:
        """Return the socket's descriptor, or -1 after it was closed."""
        return self.sock.fileno()

    def do_handshake(self) -> None:
        """Take the handshake as far as it goes.

        Raises `WantRead`, `WantWrite`, `TlsError`, or any other `OSError`.
        """
        try:
            self._connection.do_handshake()
        except _WAITS:
            raise
        except SSL.Error as exc:
            self._raise(exc)

    def send(self, data: bytes | memoryview) -> int:
        """Send some bytes, a record at most, and return how many; raise as `do_handshake` does."""
        if (native := self._native) is not None:
            count: int = native.write(self._ssl, native.from_buffer(data), len(data))
            if count > 0:
                return count
        try:  # again, for its errors
            return self._connection.send(data)
        except _WAITS:
            raise
        except SSL.Error as exc:
            self._raise(exc)

    def recv_into(self, buffer: memoryview) -> int:
        """Read bytes of one record, and return how many; raise as `do_handshake` does.

        None come at the end of the connection, orderly or not: what is said over it says itself
        where it ends.
        """
        if (native := self._native) is not None:
            count: int = native.read(self._ssl, native.from_buffer(buffer), len(buffer))
            if count > 0:
                return count
            if native.get_error(self._ssl, count) == native.want_read:
                raise WantRead
        try:  # again, for its errors
            return self._connection.recv_into(buffer)
        except _WAITS:
            raise
        except SSL.ZeroReturnError:
            return 0
        except SSL.Error as exc:
            self._raise_unless_ended(exc)
            return 0

    def reader(self, buffer: bytearray) -> Callable[[], int]:
        """Return a function that does what `recv_into` does with this buffer, at the least cost.

        When it reads nothing it returns 0 or less, and `recv_into` has to be called to learn why.
        The buffer is no memoryview: one that is lent to C must not be part of a reference cycle,
        which CPython takes apart without asking whether it is lent.
        """
        if (native := self._native) is None:
            return partial(self._read_publicly, buffer)
        return partial(native.read, self._ssl, native.from_buffer(buffer), len(buffer))

    def writer(self, buffer: bytearray) -> Callable[[int], int]:
        """Return a function that sends so many bytes from the start of this buffer, and returns
        how many went out; after 0 or less, `send` has to be called to learn why."""
        if (native := self._native) is None:
            return partial(self._write_publicly, buffer)
        return partial(native.write, self._ssl, native.from_buffer(buffer))

    def recv(self, size: int) -> bytes:
        """Return some bytes, as `recv_into` reads them."""
        try:
            return self._connection.recv(size)
        except SSL.ZeroReturnError:
            return b""
        except _WAITS:
            raise
        except SSL.Error as exc:
            self._raise_unless_ended(exc)
            return b""

    def pending(self) -> int:
        """Return how many bytes have been decrypted and not yet read."""
        return self._connection.pending()

    def shut_down(self) -> None:
        """End TLS in both directions with close_notify; raise as `do_handshake` does."""
        try:
            # The first call sends ours, the second looks for the peer's.
            if not (self._connection.shutdown() or self._connection.shutdown()):
                raise WantRead
        except SSL.ZeroReturnError:
            return
        except _WAITS:
            raise
        except SSL.Error as exc:
            self._raise(exc)

    def export(self, label: bytes, size: int) -> bytes:
        """Return so many bytes that the two ends of this connection know, and nobody else; after
        the handshake."""
        return self._connection.export_keying_material(label, size)

    def close(self) -> None:
        """Close the connection without ceremony."""
        self.sock.close()

    @property
    def alpn(self) -> str:
        """Return the protocol that was agreed, or nothing."""
        return self._connection.get_alpn_proto_negotiated().decode("ascii", "replace")

    def chains(self) -> tuple[Sequence[x509.Certificate], Sequence[x509.Certificate]]:
        """Return the peer's chain as it was verified, from its own certificate up to the root, and
        the certificates that it sent."""
        own = self._connection.get_peer_certificate(as_cryptography=True)
        if own is None:
            return [], []
        sent = self._connection.get_peer_cert_chain(as_cryptography=True) or []
        if self._server_side:  # there OpenSSL has the peer's own one apart from the others
            sent = [own, *sent]
        return self._connection.get_verified_chain(as_cryptography=True) or [], sent

    def _read_publicly(self, buffer: bytearray) -> int:
        try:
            return self._connection.recv_into(buffer)
        except SSL.Error:
            return 0

    def _write_publicly(self, buffer: bytearray, size: int) -> int:
        try:
            with memoryview(buffer)[:size] as data:
                return self._connection.send(data)
        except SSL.Error:
            return 0

    def _clear_errors(self) -> None:
        if self._native is not None:  # public calls leave none
            self._native.clear_errors()

    def _raise_unless_ended(self, exc: SSL.Error) -> None:
        self._clear_errors()
        if not (isinstance(exc, SSL.SysCallError) and exc.args[0] == _UNEXPECTED_EOF):
            self._raise(exc)

    def _raise(self, exc: SSL.Error) -> NoReturn:
        self._clear_errors()
        if isinstance(exc, SSL.ZeroReturnError):
            raise ConnectionAbortedError(ENDED_EARLY) from None
        if isinstance(exc, SSL.SysCallError):
            code = exc.args[0]
            if code == _UNEXPECTED_EOF:
                raise ConnectionAbortedError(ENDED_EARLY) from None
            raise OSError(code, os.strerror(code)) from exc
        verify_code: int | None = self._connection.get_app_data()
        if verify_code is not None:
            raise TlsError(self._explain_verification(verify_code), verify_code) from exc
        reasons = exc.args[0] if exc.args else ()
        raise TlsError(reasons[-1][2] if reasons else "tls failed") from exc

    def _explain_verification(self, code: int) -> str:
        if self._native is not None:
            return self._native.explain_verification(code).lower()
        return f"certificate verify failed with code {code}"


_TIMES: Final = frozenset(
    {
        9,  # X509_V_ERR_CERT_NOT_YET_VALID
        10,  # X509_V_ERR_CERT_HAS_EXPIRED
    }
)


def verify_but_for_times(
    connection: SSL.Connection, _certificate: crypto.X509, code: int, _depth: int, ok: int
) -> bool:
    """Keep why a certificate of the peer is refused, for `TlsError`; a callback of OpenSSL.

    That it is not valid now is no reason here: whoever takes the identity from the connection finds
    that as well, and can say so to a peer whose name is known by then. An alert could not.
    """
    if ok or code in _TIMES:
        return True
    connection.set_app_data(code)
    return False
