"""Putting sites out of the VAN: the statements are spread, kept, and in force at once.

What neighbours keep is compared before anything else on a link, so that no advertisement of an
expelled site is taken from one that has not heard. What is new is passed on to all other
neighbours. Who is expelled is then refused wherever it shows its certificate; what it had before
that is ended here: its links, its channels with all that they carry, and what it advertised.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import filterfalse
from typing import Final

from van.errors import CertificateError, LocalError, RemoteProtocolError
from van.router.links.keeping import Keeping
from van.router.links.link import Link
from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.site.state import SiteState
from van.router.subscription import Subscribers
from van.router.telemetry.events import EventKind, EventLog
from van.tls.authority import Authority
from van.tls.expulsion import Verified, sign_again
from van.tls.expulsion_quota import MAX_BELOW_ROOT
from van.wire.expulsion import Expulsion, Expulsions, ExpulsionsHeld

logger = logging.getLogger(__name__)

MAX_PART: Final = 256 * 1024
"""Bytes of statements in one message; a single one may be longer."""
MAX_LISTED: Final = 10
"""Sites that one event names."""


class Expelling:
    """Takes statements from this site's operator and from neighbours; in trio's thread."""

    def __init__(
        self, site: SiteState, table: LinkTable, routes: Routes, event_log: EventLog
    ) -> None:
        self.enforced: Subscribers[[]] = Subscribers()
        """Told when somebody is expelled, once links and advertisements are dealt with."""
        self.root_replaced: Subscribers[[]] = Subscribers()
        """Told when a root was put out by its successor, likewise."""
        self._site = site
        self._trust = site.trust
        self._table = table
        self._routes = routes
        self._event_log = event_log
        self._keeping = Keeping(
            lambda: site.expulsion_file.save(site.trust.expulsions), "who was expelled"
        )

    def link_opening(self, link: Link) -> None:
        """Tell a new neighbour what is known here, before anything else."""
        link.send(ExpulsionsHeld(self._trust.expulsions.ids()))

    def receive_held(self, link: Link, message: ExpulsionsHeld) -> None:
        """Send a neighbour what it lacks."""
        for part in _parts(self._trust.expulsions.but(message.ids)):
            link.send(Expulsions(part))

    def receive(self, link: Link, message: Expulsions) -> None:
        """Take statements from a neighbour; raise `RemoteProtocolError` for one that is forged."""
        try:
            self.add(message.statements, source=link)
        except CertificateError as exc:
            raise RemoteProtocolError(f"expulsion from {link.neighbor!r}: {exc}") from exc

    def declare(self, statement: Expulsion) -> None:
        """Put a statement in force that was signed here, and spread it, once it is on disk.

        Raises `StorageError`, or `LocalError` if no more can be kept, and nothing has changed.
        """
        verified = self._trust.expulsions.examine(statement)
        if verified is None:
            raise LocalError(
                f"site {statement.site!r} can't be put out: no more statements can be kept"
            )
        self._declare([verified])

    def carry_over(self, root: Authority) -> None:
        """Say once more by another root what was said under those before it, by a root, or by an
        authority above whom that is about: who has not heard of it believes it then as well.

        Raises `StorageError`, and nothing has changed.
        """
        expulsions, now = self._trust.expulsions, self._trust.clock()
        said = {_subject(each) for each in expulsions if each.roots == root.roots and not each.by}
        again: list[Expulsion] = []
        for each in expulsions:
            is_due = not each.successor and each.roots != root.roots and self._stood_above(each)
            if is_due and _subject(each) not in said:
                said.add(_subject(each))
                again.append(sign_again(root, each.expulsion, now=now))
        room = max(0, MAX_BELOW_ROOT - len(expulsions))
        if len(again) > room:
            logger.warning("%d expulsions are not said by the new root", len(again) - room)
        if verified := list(filter(None, map(expulsions.examine, again[:room]))):
            self._declare(verified)

    def _stood_above(self, verified: Verified) -> bool:
        """Tell whether a statement is by a root, or by who was above its site for all that is known
        here: anybody may say anything of those that are not below."""
        if not verified.by:
            return True
        what = verified.expulsion
        pin = self._trust.pins.get(what.site)
        if pin is None or pin.key != what.key.hex():
            return False
        return verified.is_above(pin.authorities, None)

    def _declare(self, verified: list[Verified]) -> None:
        self._site.expulsion_file.save((*self._trust.expulsions, *verified))
        self._keeping.kept()
        was_overruled = self._overruled()
        for each in verified:
            self._trust.expulsions.put(each)
        self._enforce(verified, None, was_overruled)

    def add(self, statements: Iterable[Expulsion], *, source: Link | None = None) -> bool:
        """Put statements in force here, pass on what is new, and tell whether anything is.

        They are in force though they can't be put on disk, of which a warning is logged; it is
        tried again. Raises `CertificateError` at the first one that no authority of this VAN has
        signed.
        """
        new: list[Verified] = []
        was_overruled = self._overruled()
        try:
            # One by one: those before a forged one are in force, and have to be passed on.
            new.extend(filter(None, map(self._trust.expulsions.add, statements)))
        finally:
            if new:
                self._enforce(new, source, was_overruled)
                self._keeping.try_to_keep()
        return bool(new)

    def keep(self) -> None:
        """Make sure that all statements in force are on disk; raise `StorageError`."""
        self._keeping.keep()

    async def run(self) -> None:
        """Try again to keep what could not be put on disk, until cancelled."""
        await self._keeping.run()

    def _overruled(self) -> set[str]:
        """Return whose word against those beside them counts no more."""
        expulsions = self._trust.expulsions
        return {each.by for each in expulsions if expulsions.overruling(each) is not None}

    def _tell_overruled(self, before: set[str]) -> None:
        """Tell in one event for each authority whose word counts no more since then."""
        expulsions = self._trust.expulsions
        told: dict[str, tuple[Verified, set[str]]] = {}
        for each in expulsions:
            nearer = expulsions.overruling(each)
            if nearer is not None and each.by not in before and not each.expulsion.is_forgotten:
                told.setdefault(each.by, (nearer, set()))[1].add(each.expulsion.site)
        for by, (nearer, sites) in told.items():
            text = (
                f"{nearer.describe()}: its word that {_listed(sites)} is out counts for those "
                "below it alone"
            )
            self._event_log.record(EventKind.EXPULSIONS_OVERRULED, by, text)

    def _enforce(self, new: list[Verified], source: Link | None, was_overruled: set[str]) -> None:
        expulsions = self._trust.expulsions
        for part in _parts([each.expulsion for each in new]):
            for link in list(self._table.up.values()):
                if link is not source:
                    link.send(Expulsions(part))
        for each in filterfalse(expulsions.is_repeated, new):
            kind = EventKind.SITE_EXPELLED
            if each.successor:
                kind = EventKind.ROOT_REPLACED
            elif each.expulsion.is_forgotten:
                kind = EventKind.SITE_FORGOTTEN
            self._event_log.record(kind, each.expulsion.site, expulsions.describe(each))
        self._tell_overruled(was_overruled)
        for link in list(self._table.up.values()):
            found = self._found(link)
            if found is not None:
                link.close(expulsions.describe(found))
        self._routes.drop_expelled()
        self.enforced.tell()
        if any(each.successor for each in new):
            self._trust.succession.settle(expulsions)
            self.root_replaced.tell()

    def _found(self, link: Link) -> Verified | None:
        """Return by what a neighbour is out, with the certificate that it showed when the link came
        up, or with one that it has had since."""
        shown, latest = link.origin.identity, self._routes.identity_of(link.neighbor)
        found = self._trust.expulsions.find(shown)
        if found is not None or latest is None:
            return found
        is_same = latest.public_key_fingerprint == shown.public_key_fingerprint
        return self._trust.expulsions.find(latest) if is_same else None


def _subject(verified: Verified) -> tuple[bytes, bool]:
    return verified.expulsion.key, verified.expulsion.is_forgotten


def _listed(sites: set[str]) -> str:
    first, more = sorted(sites)[:MAX_LISTED], len(sites) - MAX_LISTED
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _parts(statements: Iterable[Expulsion]) -> Iterator[tuple[Expulsion, ...]]:
    part: list[Expulsion] = []
    size = 0
    for each in statements:
        length = len(each.signed_bytes()) + len(each.signature)
        if part and size + length > MAX_PART:
            yield tuple(part)
            part, size = [], 0
        part.append(each)
        size += length
    if part:
        yield tuple(part)
