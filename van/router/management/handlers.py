"""Who answers which request of the control API: a handler for each endpoint, and none besides."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from types import NoneType
from typing import Any, TypeVar

import msgspec

from van.control.endpoints import ENDPOINTS, ApiEndpoint
from van.errors import LocalError, NotFound

T = TypeVar("T")
AnyEndpoint = ApiEndpoint[Any, Any]
Handler = Callable[..., Awaitable[object]]
"""Takes the values of the path's parameters and then what was asked, if there is a body; returns
what is answered."""


class WrongMethod(LocalError):
    """There is such a path, but it does not take the method."""

    def __init__(self, message: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allowed = allowed
        """The methods that it takes."""


class Handlers:
    """Finds the handler of a request, and hands it what was asked as a value."""

    def __init__(
        self,
        by_endpoint: Mapping[AnyEndpoint, Handler],
        endpoints: Collection[AnyEndpoint] = ENDPOINTS,
    ) -> None:
        """Raise `ValueError` unless each endpoint has a handler, and each handler an endpoint."""
        missing = [str(each) for each in endpoints if each not in by_endpoint]
        surplus = [str(each) for each in by_endpoint if each not in endpoints]
        if missing or surplus:
            raise ValueError(
                f"endpoints without a handler: {', '.join(missing) or 'none'}; "
                f"handlers without an endpoint: {', '.join(surplus) or 'none'}"
            )
        self.by_endpoint = by_endpoint

    async def answer(self, method: str, path: str, body: bytes) -> object:
        """Return what is answered to a request, or raise why not: `NotFound`, `WrongMethod`,
        `LocalError` for what can't be read, and what the handler raises."""
        # HEAD is answered as GET is, and whoever sends the answer leaves its body out.
        endpoint, texts = self._find("GET" if method == "HEAD" else method, path)
        values = [*endpoint.read(texts)]
        if endpoint.request is not NoneType:
            values.append(decode_body(body, endpoint.request))
        return await self.by_endpoint[endpoint](*values)

    def _find(self, method: str, path: str) -> tuple[AnyEndpoint, tuple[str, ...]]:
        allowed: list[str] = []
        for endpoint in self.by_endpoint:
            texts = endpoint.match(path)
            if texts is not None and endpoint.method == method:
                return endpoint, texts
            if texts is not None:
                allowed += ("GET", "HEAD") if endpoint.method == "GET" else (endpoint.method,)
        if allowed:
            said = f"{path} does not take {method}: use {', '.join(allowed)}"
            raise WrongMethod(said, tuple(allowed))
        raise NotFound(f"there is no {path} in this API")


def decode_body(body: bytes, form: type[T]) -> T:
    """Decode a request's body, or raise `LocalError` that names the field."""
    try:
        return msgspec.json.decode(body or b"{}", type=form)
    except (msgspec.DecodeError, ValueError) as exc:
        raise LocalError(f"not a valid request: {str(exc).lower()}") from exc
