"""Each endpoint has a handler that takes and returns what the table says."""

from types import NoneType
from typing import get_type_hints

import pytest

from lab.network import network
from van.control import endpoints as api
from van.control.endpoints import ENDPOINTS
from van.control.values.links import LinkCost
from van.errors import LocalError, NotFound
from van.router.management.handlers import Handlers, WrongMethod
from van.router.management.operations import Operations


async def answer_nothing():
    raise AssertionError


def test_an_endpoint_without_a_handler_is_named():
    handlers = dict.fromkeys(ENDPOINTS, answer_nothing)
    Handlers(handlers)
    del handlers[api.STOP]
    with pytest.raises(ValueError, match=r"endpoints without a handler: POST /v1/stop; .*: none"):
        Handlers(handlers)


def test_a_handler_without_an_endpoint_is_named():
    handlers = dict.fromkeys(ENDPOINTS, answer_nothing)
    with pytest.raises(ValueError, match="none; handlers without an endpoint: GET /v1/status"):
        Handlers(handlers, [each for each in ENDPOINTS if each is not api.STATUS])


async def test_handlers_take_and_return_what_the_table_says():
    read_as = {"after": int, "id": str, "site": str}
    async with network() as net:
        west = await net.start("west")
        for endpoint, handler in Operations(west.router).handlers().by_endpoint.items():
            hints = get_type_hints(handler)
            returned = hints.pop("return")
            taken = [read_as[name] for name in endpoint.parameters]
            if endpoint.request is not NoneType:
                taken.append(endpoint.request)
            assert returned == endpoint.reply, endpoint
            assert list(hints.values()) == taken, endpoint


async def test_what_is_asked_arrives_as_a_value():
    asked = []

    async def set_cost(site, spec):
        asked.append((site, spec))

    handlers = Handlers({api.SET_COST: set_cost}, [api.SET_COST])
    await handlers.answer("PUT", "/v1/links/a%2Fb/cost", b'{"cost": 7}')
    assert asked == [("a/b", LinkCost(cost=7))]
    with pytest.raises(LocalError, match=r"not a valid request: .*expected `int"):
        await handlers.answer("PUT", "/v1/links/a/cost", b'{"cost": [1]}')
    with pytest.raises(WrongMethod, match="/v1/links/a/cost does not take GET"):
        await handlers.answer("GET", "/v1/links/a/cost", b"")
    with pytest.raises(NotFound, match="there is no /v1/links/a in this API"):
        await handlers.answer("PUT", "/v1/links/a", b"")
    assert len(asked) == 1
