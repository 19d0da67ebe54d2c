"""What routing asks of whoever holds keys and checks certificates."""

from typing import Protocol


class Origin(Protocol):
    """A site whose certificate has been checked."""

    @property
    def key_id(self) -> str:
        """Return what stands for this site's key."""

    @property
    def depth(self) -> int:
        """Return how many authorities are between the root and its certificate."""

    @property
    def first_issued(self) -> float:
        """Return when the first certificate of its key was issued, in seconds since 1970."""

    def verify(self, signature: bytes, message: bytes, /) -> bool:
        """Tell whether this site's key made the signature over the message."""

    def may_expose(self, address: str, /) -> bool:
        """Tell whether its certificate lets this site serve an address, `name:port`."""

    def may_bind(self, address: str, /) -> bool:
        """Tell whether its certificate lets this site listen for an address, `name:port`."""

    def is_valid(self) -> bool:
        """Tell whether it is a member whose certificate is good at this moment."""

    def is_expelled(self) -> bool:
        """Tell whether it was put out of the network, for good."""


class Keyring(Protocol):
    """Our own key and certificate, and the authority that others are judged by."""

    def chain(self) -> tuple[bytes, ...]:
        """Return our present certificate chain, leaf first."""

    def authority(self) -> tuple[bytes, ...] | None:
        """Return the chain of the authority that we hold, empty for the root, or None."""

    def sign(self, message: bytes, /) -> bytes:
        """Sign a message with the key of that chain."""

    def latest_incarnation(self) -> int:
        """Return the highest incarnation that anybody can be in by now.

        It grows by one in each second, as an incarnation does at the most: so none is the last.
        """

    def identify(self, origin: str, chain: tuple[bytes, ...], /) -> Origin:
        """Return the site that a chain proves, or raise `van.errors.CertificateError`."""

    def admitted(self, origin: Origin, /) -> None:
        """Take note of a site that has proved by its signature to hold the key of its chain."""


def outranks(first: Origin, second: Origin) -> bool:
    """Tell whether two sites of one name are two, and the first keeps it: all must decide alike.

    The one nearer to the root does, then the one that has had it for longer.
    """
    return first.key_id != second.key_id and _rank(first) < _rank(second)


def _rank(origin: Origin) -> tuple[int, float, str]:
    return origin.depth, origin.first_issued, origin.key_id
