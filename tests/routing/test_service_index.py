from hypothesis import given
from hypothesis import strategies as st

from van.routing.service_index import ServiceIndex
from van.wire.lsa import Service

services = st.builds(Service, st.sampled_from(["db:1", "web:2", "api:3"]), st.sampled_from("tu"))
servings = st.dictionaries(st.sampled_from("abcd"), st.lists(services, max_size=4).map(tuple))


@given(st.lists(servings, max_size=6))
def test_index_is_what_one_made_from_nothing_would_be(history):
    index = ServiceIndex()
    for serving in history:
        found = index.update(serving)
        expected: dict[tuple[str, str], set[str]] = {}
        for site, served in serving.items():
            for service in served:
                expected.setdefault((service.protocol, service.address), set()).add(site)
        assert found == {key: tuple(sorted(sites)) for key, sites in expected.items()}


def test_nothing_new_makes_no_new_index():
    index = ServiceIndex()
    serving = {"a": (Service("db:1", "tcp"),)}
    found = index.update(serving)
    assert index.update(dict(serving)) is found
    assert index.update({"a": (Service("db:1", "tcp"),)}) is found


def test_index_once_given_out_stays_as_it_is():
    index = ServiceIndex()
    first = index.update({"a": (Service("db:1", "tcp"),)})
    index.update({})
    assert first == {("tcp", "db:1"): ("a",)}
