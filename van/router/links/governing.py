"""What the VAN allows: statements of it are spread, kept, and in force at once.

They come right after who was expelled on a link, and what is new is passed on to all other
neighbours. Who has to look again what is allowed subscribes to `changed`.
"""

from collections.abc import Iterable

from van.errors import CertificateError, LocalError, RemoteProtocolError
from van.router.links.keeping import Keeping
from van.router.links.link import Link
from van.router.links.table import LinkTable
from van.router.site.state import SiteState
from van.router.subscription import Subscribers
from van.router.telemetry.events import EventKind, EventLog
from van.tls.authority import Authority
from van.tls.policy import VerifiedPolicy, sign_policy
from van.wire.policy import Policies, PolicyStatement


class Governing:
    """Takes statements from this site's operator and from neighbours; in trio's thread."""

    def __init__(self, site: SiteState, table: LinkTable, event_log: EventLog) -> None:
        self.changed: Subscribers[[]] = Subscribers()
        """Told when another statement is in force."""
        self._trust = site.trust
        self._file = site.policy_file
        self._table = table
        self._event_log = event_log
        self._present = self.present()
        self._keeping = Keeping(
            lambda: self._file.save(self._trust.policies), "what the VAN allows"
        )

    def present(self) -> VerifiedPolicy | None:
        """Return the statement that is in force, or None."""
        return self._trust.policies.in_force(self._trust.expulsions)

    def link_opening(self, link: Link) -> None:
        """Tell a new neighbour what is known here."""
        if known := tuple(each.statement for each in self._trust.policies):
            link.send(Policies(known))

    def receive(self, link: Link, message: Policies) -> None:
        """Take statements from a neighbour; raise `RemoteProtocolError` for one that is forged."""
        try:
            self._take(message.statements, link)
        except CertificateError as exc:
            raise RemoteProtocolError(f"policy from {link.neighbor!r}: {exc}") from exc

    def declare(self, statement: PolicyStatement) -> None:
        """Put a statement in force that was signed here, and spread it, once it is on disk.

        Raises `StorageError`, or `LocalError` where it would not count; nothing has changed then.
        """
        book = self._trust.policies
        verified = book.examine(statement)
        if verified is None:
            raise LocalError(
                "what the VAN allows was said by too many authorities: say it at one of those"
            )
        others = (each for each in book if each.signer != verified.signer)
        self._file.save((*others, verified))
        self._keeping.kept()
        book.put(verified)
        self._spread([verified], None)
        self.review()

    def carry_over(self, root: Authority) -> None:
        """Say the same once more by another root, as long as what others said counts.

        Raises `StorageError`, or `LocalError`, and nothing has changed.
        """
        present = self.present()
        if present is None or present.roots == root.roots:
            return
        what, trust = present.statement, self._trust
        statement = sign_policy(
            root,
            version=trust.policies.next_version(trust.expulsions),
            is_closed=what.is_closed,
            document=what.document,
            at=trust.clock().timestamp(),
        )
        self.declare(statement)

    def _take(self, statements: Iterable[PolicyStatement], source: Link) -> None:
        new: list[VerifiedPolicy] = []
        try:
            # One by one: those before a forged one are in force, and have to be passed on.
            for each in statements:
                if (verified := self._trust.policies.examine(each)) is not None:
                    self._trust.policies.put(verified)
                    new.append(verified)
        finally:
            if new:
                self._spread(new, source)
                self._keeping.try_to_keep()
                self.review()

    def _spread(self, new: Iterable[VerifiedPolicy], source: Link | None) -> None:
        message = Policies(tuple(each.statement for each in new))
        for link in list(self._table.up.values()):
            if link is not source:
                link.send(message)

    def review(self) -> None:
        """Look which statement is in force: another was made, or who made one is expelled."""
        before, self._present = self._present, self.present()
        if self._present == before:
            return
        self._event_log.record(
            EventKind.POLICY_CHANGED, self._trust.van_id, describe(self._present)
        )
        self.changed.tell()

    async def run(self) -> None:
        """Keep what could not be put on disk at first, until cancelled."""
        await self._keeping.run()


def describe(found: VerifiedPolicy | None) -> str:
    """Say what is in force, for people."""
    if found is None:
        return "the VAN is open, and has no policy"
    what = "closed" if found.policy.is_closed else "open"
    by = f"site {found.by!r}" if found.by else "the root"
    rules = len(found.policy.rules)
    noun = "rule" if rules == 1 else "rules"
    return f"the VAN is {what}, with {rules} {noun}: version {found.statement.version}, by {by}"
