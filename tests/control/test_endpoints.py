"""The table of the control API's requests."""

from types import NoneType

import pytest

from van.control import endpoints as api
from van.control.endpoints import ENDPOINTS, PARAMETERS, ApiEndpoint
from van.errors import LocalError


def test_every_endpoint_is_in_the_table_once():
    named = [each for each in vars(api).values() if isinstance(each, ApiEndpoint)]
    assert sorted(map(str, named)) == sorted(map(str, ENDPOINTS))
    assert len(set(map(str, ENDPOINTS))) == len(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_what_a_client_fills_in_the_server_reads(endpoint):
    values = {name: 7 if name == "after" else "a/b c%" for name in endpoint.parameters}
    assert values.keys() <= PARAMETERS.keys()
    texts = endpoint.match(endpoint.fill(**values))
    assert endpoint.read(texts) == tuple(values.values())
    others = [each for each in ENDPOINTS if each.match(endpoint.fill(**values)) is not None]
    assert {each.path for each in others} == {endpoint.path}


def test_a_parameter_that_is_not_given_is_a_mistake_of_the_caller():
    with pytest.raises(KeyError):
        api.DELETE_LINK.fill()


def test_a_request_without_a_body_says_so():
    assert api.STATUS.request is NoneType


@pytest.mark.parametrize("text", ["-1", "x", "", "1.5", "9" * 30, "\N{ARABIC-INDIC DIGIT THREE}"])
def test_an_event_number_that_is_none_is_an_error(text):
    with pytest.raises(LocalError, match="event number"):
        api.EVENTS.read((text,))
