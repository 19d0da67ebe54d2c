import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generators import labels, tuples_of
from van.errors import InvalidName
from van.names import (
    MAX_LABEL,
    MAX_NAME,
    Address,
    Endpoint,
    check_pattern,
    check_site_name,
    is_label,
    is_name,
    pattern_covers,
    pattern_matches,
)

names = st.lists(labels, min_size=1, max_size=3).map(".".join)
FEW_NAMES = [".".join(each) for each in tuples_of("ab", 3) if each]
few_names = st.sampled_from(FEW_NAMES)
PATTERNS = [*(["*"] * len(FEW_NAMES)), *FEW_NAMES, *map("*.{}".format, FEW_NAMES)]
patterns = st.sampled_from([f"{name}{port}" for name in PATTERNS for port in ("", ":1", ":12")])
ports = st.integers(1, 65535)


@pytest.mark.parametrize("text", ["a", "7", "a-b", "a--b", "x" * MAX_LABEL])
def test_label_of_letters_digits_and_inner_dashes_is_a_site_name(text):
    assert check_site_name(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "-a", "a-", "A", "a b", "a.b", "a_b", "ä", "a\n", "\n", "x" * (MAX_LABEL + 1), "٣", "a/b"],
)
def test_anything_else_is_no_site_name(text):
    with pytest.raises(InvalidName, match=r"site name .* is not valid: use"):
        check_site_name(text)


def test_name_has_the_length_that_dns_allows():
    longest = ".".join(["x" * 61] * 4) + ".abcdef"[: MAX_NAME - 4 * 61 - 3]
    assert len(longest) == MAX_NAME
    assert is_name(longest)
    assert not is_name(longest + "x")


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a.-b"])
def test_every_label_of_a_name_counts(text):
    assert not is_name(text)


@given(names, ports)
def test_address_is_read_as_it_is_written(name, port):
    address = Address.parse(f"{name}:{port}")
    assert (address.name, address.port) == (name, port)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "db", "db:", ":5432", "My DB:1", "db:0", "db:65536", "db:-1", "db:+1", "db: 1",
     "db:1 ", "db:1_0", "db:٣", "a..b:1", "db:1:2", "*:1", "db:" + "9" * 5000],
)  # fmt: skip
def test_anything_else_is_no_address(text):
    with pytest.raises(InvalidName, match=r"(address|port) .* is not valid: use"):
        Address.parse(text)


def test_addresses_are_in_order_of_name_then_number_of_port():
    texts = ["db:90", "db:100", "web:1"]
    assert [str(each) for each in sorted(map(Address.parse, reversed(texts)))] == texts


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:80", "::1", 80),
        ("edge.example:7671", "edge.example", 7671),
        ("8080", "127.0.0.1", 8080),
    ],
)
def test_endpoint_is_host_and_port(text, host, port):
    endpoint = Endpoint.parse(text)
    assert endpoint == Endpoint(host, port)
    assert Endpoint.parse(str(endpoint)) == endpoint


def test_port_alone_gets_the_default_host():
    assert Endpoint.parse("80", default_host="0.0.0.0") == Endpoint("0.0.0.0", 80)


@pytest.mark.parametrize(
    "text",
    ["", ":", ":80", "host:", "::1:80", "a b:80", "http://x:80", "h\n:80", "hö:80", "host:0",
     "host:x", f"{'h' * (MAX_NAME + 1)}:80", "[]:80", "[::1]"],
)  # fmt: skip
def test_anything_else_is_no_endpoint(text):
    with pytest.raises(InvalidName):
        Endpoint.parse(text)


@pytest.mark.parametrize(
    "text",
    ["*", "web", "a.b", "*.shop", "*.a.b", "db:5432", "*:443", "*.shop:1", "a:65535"],
)
def test_pattern_is_a_name_a_suffix_or_all_with_or_without_a_port(text):
    assert check_pattern(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "**", "*a", "a.*", "*.", "*.*", "a*", "*.A", "web:", "web:x", "web:0", "web:080",
     "web:65536", ":80", "*:*", "web:1:2", "web:²"],
)  # fmt: skip
def test_anything_else_is_no_pattern(text):
    with pytest.raises(InvalidName, match=r"pattern .* is not valid"):
        check_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "address", "matches"),
    [
        ("*", "a.b:1", True),
        ("web", "web:1", True),
        ("web", "web.shop:1", False),
        ("*.shop", "web.shop:1", True),
        ("*.shop", "a.web.shop:1", True),
        ("*.shop", "shop:1", False),
        ("*.shop", "workshop:1", False),
        ("db:5432", "db:5432", True),
        ("db:5432", "db:543", False),
        ("db:543", "db:5432", False),
        ("db:5432", "x.db:5432", False),
        ("*:443", "a.b:443", True),
        ("*:443", "a.b:44", False),
        ("*.shop:80", "web.shop:80", True),
        ("*.shop:80", "web.shop:8080", False),
        ("*.shop:80", "shop:80", False),
    ],
)
def test_suffix_pattern_matches_whole_labels_below_it_and_a_port_only_itself(
    pattern, address, matches
):
    assert pattern_matches(pattern, address) is matches


@given(wide=patterns, narrow=patterns, name=few_names, port=st.sampled_from(["1", "12"]))
def test_covering_pattern_matches_all_that_the_covered_one_does(wide, narrow, name, port):
    address = f"{name}:{port}"
    if pattern_covers(wide, narrow) and pattern_matches(narrow, address):
        assert pattern_matches(wide, address)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("db", "db:1", True),
        ("db:1", "db", False),
        ("db:1", "db:2", False),
        ("*", "*:443", True),
        ("*:443", "*", False),
        ("*:443", "*.shop:443", True),
        ("*:443", "db:443", True),
        ("*.shop", "a.shop:9", True),
        ("*.shop:9", "a.shop:9", True),
        ("*.shop:9", "shop:9", False),
        ("*.shop:9", "a.shop", False),
    ],
)
def test_a_pattern_with_a_port_covers_that_port_alone(wide, narrow, covers):
    assert pattern_covers(wide, narrow) is covers


@given(patterns)
def test_pattern_covers_itself_and_is_covered_by_all(pattern):
    assert pattern_covers(pattern, pattern)
    assert pattern_covers("*", pattern)


@given(st.text())
def test_no_text_crashes_a_check(text):
    is_label(text)
    is_name(text)
    for parse in (Address.parse, Endpoint.parse, check_pattern, check_site_name):
        try:
            parse(text)
        except InvalidName:
            pass
