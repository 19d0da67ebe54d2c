from hypothesis import given
from hypothesis import strategies as st

from van.routing.paths.service_index import ServiceIndex
from van.wire.lsa import Service

services = st.builds(
    Service,
    st.sampled_from(["db:1", "web:2", "api:3"]),
    st.sampled_from("tu"),
    weight=st.integers(1, 3),
)
servings = st.dictionaries(st.sampled_from("abcd"), st.lists(services, max_size=4).map(tuple))


@given(st.lists(servings, max_size=6))
def test_index_is_what_one_made_from_nothing_would_be(history):
    index = ServiceIndex[Service]()
    for serving in history:
        index.update(serving)
        expected: dict[tuple[str, str], set[str]] = {}
        for site, served in serving.items():
            for service in served:
                expected.setdefault((service.protocol, service.address), set()).add(site)
        assert index.sites == {key: tuple(sorted(sites)) for key, sites in expected.items()}
        assert index.terms.keys() == index.sites.keys()
        for key, sites in index.sites.items():
            last = [
                [each for each in serving[site] if (each.protocol, each.address) == key][-1]
                for site in sites
            ]
            assert index.terms[key] == tuple(last)


def test_nothing_new_makes_no_new_index():
    index = ServiceIndex[Service]()
    serving = {"a": (Service("db:1", "tcp"),)}
    index.update(serving)
    found, terms = index.sites, index.terms
    for again in (dict(serving), {"a": (Service("db:1", "tcp"),)}):
        index.update(again)
        assert index.sites is found
        assert index.terms is terms


def test_other_terms_leave_the_sites_as_they_are():
    index = ServiceIndex[Service]()
    index.update({"a": (Service("db:1", "tcp"),), "b": (Service("db:1", "tcp"),)})
    found = index.sites
    heavy = Service("db:1", "tcp", weight=3)
    index.update({"a": (Service("db:1", "tcp"),), "b": (heavy,)})
    assert index.sites is found
    assert index.terms["tcp", "db:1"] == (Service("db:1", "tcp"), heavy)


def test_index_once_given_out_stays_as_it_is():
    index = ServiceIndex[Service]()
    index.update({"a": (Service("db:1", "tcp"),)})
    first = index.sites
    index.update({})
    assert first == {("tcp", "db:1"): ("a",)}
