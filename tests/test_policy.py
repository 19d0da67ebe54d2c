"""Words for sites, and rules: what they mean, and what a document of them says."""

import contextlib
import fnmatch

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.errors import ConfigError, InvalidName, InvalidValue
from van.policy import (
    MAX_DOCUMENT,
    MAX_SOURCES,
    Policy,
    Rule,
    Visitor,
    check_source,
    check_sources,
    read_sources,
    source_matches,
)
from van.policy.document import MAX_RULES, read_policy

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


WORDS = ["*", "a", "b", "ab", "a*", "b-*", "tag:x", "tag:x*", "tag:y", "tag:*"]
PATTERNS = ["*", "*:1", "db", "db:1", "*.shop", "*.shop:2", "a.shop"]
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple)
patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3).map(tuple)
rules = st.builds(Rule, st.booleans(), words, patterns)
policies = st.builds(Policy, st.booleans(), st.lists(rules, max_size=5).map(tuple))
visitors = st.builds(
    Visitor,
    st.sampled_from(["a", "b", "ab", "b-1", "c"]),
    st.lists(st.sampled_from(["x", "xx", "y"]), max_size=2, unique=True).map(tuple),
)
addresses = st.sampled_from(["db:1", "db:2", "a.shop:1", "a.shop:2", "b.a.shop:2", "web:1"])
lists = st.lists(st.sampled_from(WORDS), max_size=2).map(tuple)


def means(word, visitor):
    """Tell the same as the code, in another way."""
    kind, _, tag = word.rpartition(":")
    names = visitor.tags if kind else [visitor.site]
    return any(fnmatch.fnmatchcase(name, tag) for name in names)


def is_among(pattern, address):
    wanted, _, wanted_port = pattern.partition(":")
    name, _, port = address.partition(":")
    return fnmatch.fnmatchcase(name, wanted) and wanted_port in ("", port)


def is_allowed(policy, visitor, address, allow_from, is_limited):
    listed = any(means(word, visitor) for word in allow_from)
    said = None
    for rule in reversed(policy.rules):  # so that the first is the last word
        sources = [word for word in rule.sources if means(word, visitor)]
        if sources and [each for each in rule.addresses if is_among(each, address)]:
            said = rule.is_allowing
    if said is False:
        return False
    if allow_from and is_limited:
        return listed
    return listed or said is True or not policy.is_closed


@given(policies, visitors, addresses, lists, st.booleans())
def test_a_flow_is_decided_as_the_words_say(policy, visitor, address, allow_from, is_limited):
    found = policy.decide(visitor, address, allow_from, is_limited=is_limited)
    assert found.is_allowed == is_allowed(policy, visitor, address, allow_from, is_limited)
    assert found.why


@given(policies, visitors, addresses)
def test_a_rule_that_is_called_idle_never_counts(policy, visitor, address):
    idle = [rule for rule, _ in policy.idle_rules()]
    for rule in idle:
        left = tuple(each for each in policy.rules if each is not rule)
        without = attrs.evolve(policy, rules=left).decide(visitor, address)
        assert without.is_allowed == policy.decide(visitor, address).is_allowed


def test_a_rule_behind_one_that_covers_it_is_idle():
    text = rule_text("allow", "tag:prod*", "*.shop") + rule_text("deny", "tag:prod", "a.shop:443")
    policy = read_policy(text + rule_text("deny", "*", "*"))
    ((idle, earlier),) = policy.idle_rules()
    assert (idle.line, earlier.line) == (5, 1)
    assert str(idle) == "deny tag:prod to a.shop:443"


def rule_text(action, source, address):
    return f'[[rule]]\naction = "{action}"\nfrom = ["{source}"]\nto = ["{address}"]\n'


def test_the_first_rule_that_is_about_a_flow_counts_and_is_named():
    policy = read_policy(rule_text("deny", "laptop-9", "db") + rule_text("allow", "laptop-*", "db"))
    assert policy.decide(LAPTOP, "db:5432").is_allowed
    found = policy.decide(Visitor("laptop-9"), "db:5432")
    assert not found.is_allowed
    assert found.why == "line 1 of the policy: deny laptop-9 to db"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[rule]]\nfrom = ["a"]\nto = ["b"]', "policy:1: [[rule]] has no action: add action ="),
        ('[[rule]]\naction = "drop"', "policy:2: action: 'drop' is not known: use allow or deny"),
        ('[[rule]]\naction = "deny"\nfrom = ["A"]', "policy:3: from: 'A' is not valid for sites"),
        (
            '[[rule]]\naction = "deny"\nfrom = ["a"]\nto = ["b:0"]',
            "policy:4: to: pattern 'b:0' is not valid",
        ),
        ('[[rule]]\naction = "deny"\nto = ["b"]', 'policy:1: [[rule]] has no from: add from = ["'),
        ('[[rule]]\naction = "deny"\nfrom = ["b"]', 'policy:1: [[rule]] has no to: add to = ["db'),
        ('[[rules]]\naction = "deny"', "policy:1: key 'rules' is not known in the file: use one"),
        ('[[rule]]\nport = 1\naction = "deny"\nfrom = ["a"]\nto = ["b"]', "policy:2: key 'port'"),
        ("rule = 1", "policy:1: rule is not a list of tables"),
        ("[[rule]", "policy:1: not valid TOML"),
        ("#" * (MAX_DOCUMENT + 1), "policy:1: the policy has 32769 characters: use 32768"),
        (rule_text("deny", "a", "b") * (MAX_RULES + 1), "a policy has 256 rules at most"),
    ],
)
def test_a_document_that_is_wrong_is_told_where(text, said):
    with pytest.raises(ConfigError) as caught:
        read_policy(text)
    assert said in str(caught.value)


@given(st.text(max_size=300))
def test_any_document_is_read_or_refused(text):
    with contextlib.suppress(ConfigError):
        read_policy(text)
