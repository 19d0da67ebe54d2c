"""Words for sites: names, beginnings of names, and tags."""

import pytest

from van.errors import InvalidName, InvalidValue
from van.policy import (
    MAX_SOURCES,
    Visitor,
    check_source,
    check_sources,
    read_sources,
    source_matches,
)

LAPTOP = Visitor("laptop-7", ("prod", "eu-west"))


@pytest.mark.parametrize("word", ["laptop-7", "laptop-*", "*", "tag:prod", "tag:eu-*", "tag:*"])
def test_a_word_means_sites_by_name_or_tag(word):
    assert check_source(word) == word
    assert source_matches(word, LAPTOP)


@pytest.mark.parametrize("word", ["laptop", "prod", "tag:laptop-7", "tag:pro", "tag:us-*", "x*"])
def test_a_word_means_no_other_site(word):
    assert check_source(word) == word
    assert not source_matches(word, LAPTOP)


def test_a_site_without_tags_is_meant_by_none():
    assert not source_matches("tag:*", Visitor("bare"))


@pytest.mark.parametrize("word", ["", "tag:", "*x", "a.b", "Laptop", "tag:a b", "tags:prod", "-*"])
def test_another_word_is_told_what_is_right(word):
    with pytest.raises(InvalidName, match="use a name such as 'laptop'"):
        check_source(word)


def test_a_list_has_each_word_once_and_not_too_many():
    assert read_sources("tag:prod, laptop-*,tag:prod") == ("tag:prod", "laptop-*")
    most = [f"site-{number}" for number in range(MAX_SOURCES)]
    assert check_sources(most) == tuple(most)
    with pytest.raises(InvalidValue, match="65 names and tags are too many"):
        check_sources([*most, "one-more"])
