"""The requests about what the VAN as a whole allows."""

from collections.abc import Iterator
from datetime import UTC, datetime

from van.config import PROTOCOLS
from van.control.values.policy import (
    PolicyCheck,
    PolicyCheckSpec,
    PolicyInfo,
    PolicySet,
    PolicySpec,
    PolicyVerdict,
)
from van.names import Address, check_site_name
from van.policy import Policy, Visitor, source_matches
from van.policy.document import read_policy
from van.router.links.governing import Governing
from van.router.links.routes import Routes
from van.router.site.audit import AuditKind
from van.router.site.state import SiteState
from van.tls.identity import SiteIdentity
from van.tls.policy import VerifiedPolicy, check_may_sign, sign_policy
from van.wire.lsa import Service


class PolicyRequests:
    """Signs statements by this site's authority, and says what follows from the one in force."""

    def __init__(self, site: SiteState, routes: Routes, governing: Governing) -> None:
        self._trust = site.trust
        self._audit = site.audit
        self._routes = routes
        self._governing = governing

    async def show(self) -> PolicyInfo:
        """Return what is allowed now."""
        found = self._governing.present()
        if found is None:
            return PolicyInfo(is_closed=False, document="", rules=(), version=0, at=None, by="")
        return PolicyInfo(
            is_closed=found.policy.is_closed,
            document=found.statement.document,
            rules=tuple(f"line {each.line}: {each}" for each in found.policy.rules),
            version=found.statement.version,
            at=datetime.fromtimestamp(found.statement.at, UTC),
            by=found.by,
        )

    async def set(self, spec: PolicySpec) -> PolicySet:
        """Have the VAN allow something else.

        Raises `NotAllowed`, `ConfigError`, `LocalError`, or `StorageError`, and nothing has
        changed.
        """
        authority = check_may_sign(self._trust.credentials.authority)
        present = self._governing.present()
        was_closed = present is not None and present.statement.is_closed
        before = "" if present is None else present.statement.document
        is_closed = was_closed if spec.is_closed is None else spec.is_closed
        document = before if spec.document is None else spec.document
        policy = read_policy(document, is_closed=is_closed)
        is_new = (is_closed, document) != (was_closed, before)
        if is_new:
            book, expulsions = self._trust.policies, self._trust.expulsions
            statement = sign_policy(
                authority,
                version=book.next_version(expulsions),
                is_closed=is_closed,
                document=document,
                at=self._trust.clock().timestamp(),
            )
            text = f"{'closed' if is_closed else 'open'}, {len(policy.rules)} rules: version "
            text += str(statement.version)
            with self._audit.telling(AuditKind.POLICY_CHANGED, "", text):
                self._governing.declare(statement)
        return PolicySet(
            state="closed" if is_closed else "open",
            version=_version(self._governing.present()),
            is_new=is_new,
            warnings=tuple(self._warnings(policy)),
        )

    async def check(self, spec: PolicyCheckSpec) -> PolicyCheck:
        """Say whether a flow is allowed, and which line decides."""
        source, address = check_site_name(spec.source), str(Address.parse(spec.address))
        identity = self._identity_of(source)
        tags = () if identity is None else identity.grants.tags
        present = self._governing.present()
        policy = Policy() if present is None else present.policy
        visitor, fib = Visitor(source, tags), self._routes.fib
        verdicts = [
            _judge(policy, visitor, site, each)
            for protocol in PROTOCOLS
            for site, each in zip(
                fib.services.get((protocol, address), ()),
                fib.terms.get((protocol, address), ()),
                strict=True,
            )
        ]
        if not verdicts:
            found = policy.decide(visitor, address)
            verdicts = [
                PolicyVerdict(site="", protocol="", is_allowed=found.is_allowed, reason=found.why)
            ]
        return PolicyCheck(
            source=source,
            tags=None if identity is None else tags,
            address=address,
            verdicts=tuple(verdicts),
        )

    def _identity_of(self, site: str) -> SiteIdentity | None:
        here = site == self._trust.site
        return self._trust.identity if here else self._routes.identity_of(site)

    def _warnings(self, policy: Policy) -> Iterator[str]:
        for rule, earlier in policy.idle_rules():
            before = "" if earlier is None else f", after line {earlier.line}: {earlier}"
            yield f"line {rule.line} never counts ({rule}){before}"
        identities = [self._trust.identity, *map(self._routes.identity_of, self._routes.fib.sites)]
        known = [Visitor(each.site, each.grants.tags) for each in identities if each is not None]
        for rule in policy.rules:
            for word in rule.sources:
                if not any(source_matches(word, each) for each in known):
                    yield f"line {rule.line}: {word!r} means no site that is known here"


def _judge(policy: Policy, visitor: Visitor, site: str, terms: Service) -> PolicyVerdict:
    if site == visitor.site:
        allowed, why = True, "a site always reaches what it exposes itself"
    else:
        found = policy.decide(visitor, terms.address, terms.allow_from, is_limited=terms.is_limited)
        allowed, why = found.is_allowed, found.why
    return PolicyVerdict(site=site, protocol=terms.protocol, is_allowed=allowed, reason=why)


def _version(found: VerifiedPolicy | None) -> int:
    return 0 if found is None else found.statement.version
