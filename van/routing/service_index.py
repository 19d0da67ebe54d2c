"""Which sites serve which address, kept from one table to the next.

In a large network one table follows another for the sake of one site; what all the others serve is
not looked at again.
"""

from collections.abc import Mapping
from types import MappingProxyType

from van.wire.lsa import Service

ServiceKey = tuple[str, str]
"""Protocol and VAN address, such as `("tcp", "db:5432")`."""
Index = Mapping[ServiceKey, tuple[str, ...]]
"""Sites by address, sorted."""


class ServiceIndex:
    """Turns what each site serves around, by looking at the sites for which that has changed."""

    def __init__(self) -> None:
        self._serving: Mapping[str, tuple[Service, ...]] = {}
        self._index: Index = MappingProxyType({})

    def update(self, serving: Mapping[str, tuple[Service, ...]]) -> Index:
        """Return the index of what sites serve now.

        It is the same object as before if nothing has changed. A site's services that are the same
        object as before have not changed.
        """
        before = self._serving
        changed = [site for site, services in serving.items() if before.get(site) is not services]
        changed += [site for site in before if site not in serving]
        self._serving = dict(serving)
        index = dict(self._index)
        for site in changed:
            _replace(index, site, _keys(before.get(site, ())), _keys(serving.get(site, ())))
        if index != self._index:
            self._index = MappingProxyType(index)
        return self._index


def _keys(services: tuple[Service, ...]) -> set[ServiceKey]:
    return {(service.protocol, service.address) for service in services}


def _replace(
    index: dict[ServiceKey, tuple[str, ...]],
    site: str,
    before: set[ServiceKey],
    now: set[ServiceKey],
) -> None:
    """Let a site serve other addresses than before."""
    for key in before - now:
        rest = tuple(each for each in index[key] if each != site)
        if rest:
            index[key] = rest
        else:
            del index[key]
    for key in now - before:
        index[key] = tuple(sorted((*index.get(key, ()), site)))
