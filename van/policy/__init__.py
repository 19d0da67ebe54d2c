"""Who may reach which address: by what is said where it is exposed, and by a VAN's policy.

Pure: it takes names, tags, and patterns, and says what follows.
"""

from van.policy.rules import MAX_DOCUMENT, NO_POLICY, UNREADABLE, Decision, Policy, Rule
from van.policy.sources import (
    MAX_SOURCES,
    TAG_PREFIX,
    Visitor,
    check_source,
    check_sources,
    read_sources,
    source_matches,
)

__all__ = [
    "MAX_DOCUMENT", "MAX_SOURCES", "NO_POLICY", "TAG_PREFIX", "UNREADABLE", "Decision", "Policy",
    "Rule", "Visitor", "check_source", "check_sources", "read_sources", "source_matches",
]  # fmt: skip
