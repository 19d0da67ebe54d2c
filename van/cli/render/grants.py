"""What a certificate or a token allows, in words."""

from collections.abc import Iterable, Sequence


def describe_patterns(patterns: Iterable[str], *, everything: str = "anything") -> str:
    """Return what patterns allow."""
    text = ", ".join(patterns)
    return everything if text == "*" else text or "nothing"


def describe_grants(
    expose: Iterable[str],
    bind: Iterable[str],
    *,
    can_invite: bool,
    may_name: Sequence[str] = ("*",),
    may_tag: Sequence[str] = (),
) -> str:
    """Return what a site may do, after the word `may`."""
    invite = "invite others" if can_invite else "not invite others"
    if can_invite and tuple(may_name) != ("*",):
        invite += f" as {' or '.join(may_name) or 'nobody'}"
    if can_invite and may_tag:
        invite += f", tagged {' or '.join(may_tag)}"
    return f"expose {describe_patterns(expose)}; bind {describe_patterns(bind)}; and {invite}"
