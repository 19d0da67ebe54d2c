"""Ordered rules of who may reach which address, and what follows from them."""

from typing import Final

import attrs

from van.names import pattern_covers, pattern_matches
from van.policy.sources import EVERYBODY, Visitor, source_covers, source_matches

MAX_DOCUMENT: Final = 32 * 1024
"""Characters of a policy's document: what is longer nobody oversees, and every site keeps it."""


@attrs.frozen
class Rule:
    """Lets sites reach addresses, or keeps them from it."""

    is_allowing: bool
    sources: tuple[str, ...]
    """Words for sites."""
    addresses: tuple[str, ...]
    """Patterns of addresses."""
    line: int = 0
    """Of the document."""

    def applies(self, visitor: Visitor, address: str) -> bool:
        """Tell whether it is about a site and an address."""
        return any(source_matches(word, visitor) for word in self.sources) and any(
            pattern_matches(pattern, address) for pattern in self.addresses
        )

    def covers(self, source: str, pattern: str) -> bool:
        """Tell whether it is about every site that a word means, and each address of a pattern."""
        return any(source_covers(word, source) for word in self.sources) and any(
            pattern == "*" == each or (pattern != "*" and pattern_covers(each, pattern))
            for each in self.addresses
        )

    def __str__(self) -> str:
        verb = "allow" if self.is_allowing else "deny"
        return f"{verb} {', '.join(self.sources)} to {', '.join(self.addresses)}"


@attrs.frozen
class Decision:
    """Whether a site may reach an address, and by what."""

    is_allowed: bool
    why: str
    rule: Rule | None = None
    """The first of the policy that is about it, if there is one."""


@attrs.frozen
class Policy:
    """What a VAN as a whole allows: of ordered rules, the first that is about a flow counts."""

    is_closed: bool = False
    """Whether nothing is allowed but what a rule allows, or a list where it is exposed."""
    rules: tuple[Rule, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Tell whether everything is as if there were no policy."""
        return not self.is_closed and not self.rules

    def decide(
        self,
        visitor: Visitor,
        address: str,
        allow_from: tuple[str, ...] = (),
        *,
        is_limited: bool = True,
    ) -> Decision:
        """Say whether a site may reach an address that another exposes for some.

        `is_limited` tells whether it is for these alone, if there are any. A rule that denies
        counts more than the list; a rule that allows does not let in whom the list leaves out.
        """
        rule = next((each for each in self.rules if each.applies(visitor, address)), None)
        if rule is not None and not rule.is_allowing:
            return Decision(False, f"line {rule.line} of the policy: {rule}", rule)
        if any(source_matches(word, visitor) for word in allow_from):
            return Decision(True, f"it is exposed for {', '.join(allow_from)}", rule)
        if allow_from and is_limited:
            return Decision(False, f"it is exposed for {', '.join(allow_from)} only", rule)
        if rule is not None:
            return Decision(True, f"line {rule.line} of the policy: {rule}", rule)
        if self.is_closed:
            return Decision(False, "the VAN is closed, and no rule or list is for this site")
        return Decision(True, "the VAN is open")

    def idle_rules(self) -> list[tuple[Rule, Rule | None]]:
        """Return the rules that never count, each with an earlier one that is about the same.

        That is found where a single rule covers each of its words and patterns; one that has no
        word or pattern is none.
        """
        found: list[tuple[Rule, Rule | None]] = []
        for number, rule in enumerate(self.rules):
            pairs = [(word, each) for word in rule.sources for each in rule.addresses]
            before = self.rules[:number]
            covering = [next((r for r in before if r.covers(*pair)), None) for pair in pairs]
            if all(covering):
                found.append((rule, covering[0]))
        return found


NO_POLICY: Final = Policy()
UNREADABLE: Final = Policy(True, (Rule(False, (EVERYBODY,), ("*",)),))
"""What counts for a policy that this version does not understand: nothing is allowed."""
