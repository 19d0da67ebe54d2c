"""The errors of van, in three families.

A `LocalError` is a mistake made at this site, a `RemoteError` is what another site did wrong or
declined, and a `HostError` is the machine's doing (disk, permissions, ports). The text of an error
is one line in lower case that names the offending value and says what would be right; it is what
the command line prints and what the control API returns.
"""

from typing import ClassVar


class VanError(Exception):
    """Base of every error that van raises on purpose."""

    code: ClassVar[str] = "error"
    """A stable slug for programs; the control API carries it beside the text."""


class LocalError(VanError):
    """What was asked of this site can't be done as asked."""

    code = "invalid"


class RemoteError(VanError):
    """Another site misbehaved or declined."""

    code = "remote"
    site: str = ""
    """The other site, where it is known and the text need not name it."""


class HostError(VanError):
    """The machine declined: a port in use, a full disk, a directory that is not writable."""

    code = "host"


class InvalidValue(LocalError):
    """A value that was given can't be one of its kind, whatever is set up here."""

    code = "invalid-value"


class InvalidName(InvalidValue):
    """A site name, address, endpoint, or pattern is not well formed."""

    code = "invalid-name"


class ConfigError(LocalError):
    """A configuration file is not valid; the text names the file and the line."""

    code = "invalid-config"


class SiteExists(LocalError):
    """A site of this name is already set up here."""

    code = "site-exists"


class SiteMissing(LocalError):
    """No site of this name is set up here."""

    code = "site-missing"


class RouterDown(LocalError):
    """The site's router is not running, and the command needs it."""

    code = "router-down"


class RouterRunning(LocalError):
    """The site's router is running already."""

    code = "router-running"


class RouterUnseen(HostError):
    """The site's router is running, but its control socket is not there."""

    code = "router-unseen"


class RouterLost(HostError):
    """The site's router went away before it answered: what was asked for may have been done."""

    code = "router-lost"


class AlreadyExists(LocalError):
    """What was to be added is there already."""

    code = "already-exists"


class NotFound(LocalError):
    """What was named is not there."""

    code = "not-found"


class NotAllowed(LocalError):
    """The site's certificate does not allow this."""

    code = "not-allowed"


class TokenError(LocalError):
    """A token can't be read or used."""

    code = "invalid-token"


class BackUpError(LocalError):
    """A back-up of an authority can't be read, or is opened by another passphrase."""

    code = "invalid-back-up"


class CertificateError(RemoteError):
    """A certificate or chain of certificates does not prove what it should."""

    code = "certificate"


class CertificateExpired(CertificateError):
    """A certificate is past its time by the clock of whoever says so."""

    code = "expired"


class RootReplaced(CertificateExpired):
    """A certificate rests on a root that another one has replaced."""

    code = "root-replaced"


class Expelled(CertificateError):
    """A certificate is that of a site that was put out of the VAN."""

    code = "expelled"


class NameTaken(CertificateError):
    """A certificate is of a name that another key has."""

    code = "name-taken"


class CertificateNotYetValid(CertificateError):
    """A certificate's time has not come by the clock of whoever says so."""

    code = "not-yet-valid"


class RemoteProtocolError(RemoteError):
    """A peer sent what the protocol does not allow."""

    code = "protocol"


class JoinRefused(RemoteError):
    """The site that minted the token declined to let this one in."""

    code = "join-refused"


class Unreachable(RemoteError):
    """No address of the other side could be reached in time."""

    code = "unreachable"


class OtherRevision(RemoteError):
    """The other site speaks another major revision of the protocol."""

    code = "other-revision"


class LinkLost(RemoteError):
    """The link or channel to another site ended."""

    code = "link-lost"


class LinkDeclined(LinkLost):
    """The other site would not have the link, and said why."""

    code = "link-declined"


class StorageError(HostError):
    """A file of the site could not be read or written."""

    code = "storage"


class PortInUse(HostError):
    """A local port could not be opened."""

    code = "port"
