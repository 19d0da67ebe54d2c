"""`SSL_read` and `SSL_write`, which every byte of a flow passes through, called at once.

They are reached through pyOpenSSL's `Connection._ssl` and the bindings of `cryptography`, and with
them a small message costs half as much. Neither is public API, and a release may change it: what is
not there, or does not behave (`van.tls.self_test`), is done without, by public calls.
"""

from collections.abc import Callable
from typing import Any, Final, Self

import attrs
from OpenSSL import SSL

_Call = Callable[..., Any]


@attrs.frozen
class Native:
    """Functions of OpenSSL, and what goes with them."""

    read: _Call
    write: _Call
    get_error: _Call
    clear_errors: _Call
    """An error that is left over would be taken for one of the next connection's."""
    from_buffer: _Call
    """Lends the memory of a buffer to C."""
    want_read: int
    explain_verification: Callable[[int], str]
    """Returns OpenSSL's words for why a certificate is refused."""

    @classmethod
    def find(cls) -> Self:
        """Return them, or raise `ImportError` or `AttributeError` where something is not there."""
        # Here, for that it may be gone is what this is for.
        from cryptography.hazmat.bindings.openssl.binding import Binding  # noqa: PLC0415

        lib, ffi = Binding.lib, Binding.ffi

        def explain_verification(code: int) -> str:
            text: bytes = ffi.string(lib.X509_verify_cert_error_string(code))
            return text.decode()

        return cls(
            lib.SSL_read,
            lib.SSL_write,
            lib.SSL_get_error,
            lib.ERR_clear_error,
            ffi.from_buffer,
            lib.SSL_ERROR_WANT_READ,
            explain_verification,
        )


def handle_of(connection: SSL.Connection) -> Any:
    """Return what OpenSSL knows a connection by, or raise `AttributeError`."""
    return connection._ssl  # noqa: SLF001 - see above


class Availability:
    """Whether the functions are used: until they are missed, or fail their test."""

    def __init__(self) -> None:
        self.native: Native | None = None
        self.trouble = ""
        """Why they are not used; empty when they are."""
        try:
            self.native = Native.find()
            handle_of(SSL.Connection(SSL.Context(SSL.TLS_METHOD)))
        except (ImportError, AttributeError) as exc:
            self.give_up(str(exc))

    def give_up(self, trouble: str) -> None:
        """Use them no more, for connections that are made from now on."""
        self.native, self.trouble = None, trouble


AVAILABILITY: Final = Availability()
"""What holds for this process."""
