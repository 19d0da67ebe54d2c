"""What a certificate or a token allows, in words."""

from collections.abc import Iterable


def describe_patterns(patterns: Iterable[str]) -> str:
    """Return what patterns of addresses allow."""
    text = ", ".join(patterns)
    return "anything" if text == "*" else text or "nothing"


def describe_grants(expose: Iterable[str], bind: Iterable[str], *, can_invite: bool) -> str:
    """Return what a site may do, after the word `may`."""
    invite = "invite others" if can_invite else "not invite others"
    return f"expose {describe_patterns(expose)}; bind {describe_patterns(bind)}; and {invite}"
