"""Lets engines in one process share what each would hold by itself."""

import contextlib
import functools
from collections.abc import Iterator
from unittest import mock

from van.routing.database import admission
from van.wire.lsa import decode_body


@contextlib.contextmanager
def shared_bodies() -> Iterator[None]:
    """Decode each body once, however many engines receive it.

    A network of a thousand engines would decode ten million addresses, and keep them all: the
    machine's memory would set the limit, not the routing core. What one engine needs for itself
    is measured with nothing shared.
    """
    shared = functools.lru_cache(maxsize=None)(decode_body)
    with mock.patch.object(admission, "decode_body", shared):
        yield
