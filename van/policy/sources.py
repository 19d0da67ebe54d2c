"""Words for sites: names, beginnings of names, and tags."""

from collections.abc import Iterable
from typing import Final

import attrs

from van.errors import InvalidName, InvalidValue
from van.names import check_site_pattern, site_pattern_covers, site_pattern_matches

EVERYBODY: Final = "*"
TAG_PREFIX: Final = "tag:"
MAX_SOURCES: Final = 64
"""Words of one list of who may come: what is meant for more sites has a tag."""


@attrs.frozen
class Visitor:
    """A site that would reach an address, by what its certificate says."""

    site: str
    tags: tuple[str, ...] = ()


def check_source(text: str) -> str:
    """Return a word for sites unchanged, or raise `InvalidName`.

    It is a name, or the beginning of one and `*`, or `*` alone; or `tag:` and the same of a tag.
    """
    tag = text.removeprefix(TAG_PREFIX)
    try:
        check_site_pattern(tag)
    except InvalidName as exc:
        raise InvalidName(
            f"{text!r} is not valid for sites: use a name such as 'laptop', its beginning and '*', "
            "such as 'laptop-*', or 'tag:' and a tag, such as 'tag:prod'"
        ) from exc
    return text


def check_sources(words: Iterable[str]) -> tuple[str, ...]:
    """Return words for sites, each once; raise `InvalidName`, or `InvalidValue` for too many."""
    found = tuple(dict.fromkeys(map(check_source, words)))
    if len(found) > MAX_SOURCES:
        raise InvalidValue(
            f"{len(found)} names and tags are too many: use {MAX_SOURCES} at most, and give a tag "
            "to sites that have much in common"
        )
    return found


def read_sources(text: str) -> tuple[str, ...]:
    """Return the words of a list with commas, as `check_sources` does."""
    return check_sources(each.strip() for each in text.split(","))


def source_matches(word: str, visitor: Visitor) -> bool:
    """Tell whether a word for sites means one."""
    if word.startswith(TAG_PREFIX):
        pattern = word.removeprefix(TAG_PREFIX)
        return any(site_pattern_matches(pattern, tag) for tag in visitor.tags)
    return site_pattern_matches(word, visitor.site)


def source_covers(wide: str, narrow: str) -> bool:
    """Tell whether every site that the narrow word means is meant by the wide one too."""
    if wide == EVERYBODY:
        return True
    if wide.startswith(TAG_PREFIX) != narrow.startswith(TAG_PREFIX):
        return False
    return site_pattern_covers(wide.removeprefix(TAG_PREFIX), narrow.removeprefix(TAG_PREFIX))
