"""Which sites serve which address, kept from one table to the next.

In a large network one table follows another for the sake of one site; what all the others serve is
not looked at again.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from van.wire.lsa import Binding, Service

ServiceKey = tuple[str, str]
"""Protocol and VAN address, such as `("tcp", "db:5432")`."""
Index = Mapping[ServiceKey, tuple[str, ...]]
"""Sites by address, sorted."""
Said = TypeVar("Said", Service, Binding)
Terms = Mapping[ServiceKey, tuple[Said, ...]]
"""What those sites say of the address, in the same order."""


class ServiceIndex(Generic[Said]):
    """Turns what each site serves around, by looking at the sites for which that has changed."""

    def __init__(self) -> None:
        self._said: Mapping[str, tuple[Said, ...]] = {}
        self.sites: Index = MappingProxyType({})
        """The same object as before if nothing has changed in it, and so are the terms."""
        self.terms: Terms[Said] = MappingProxyType({})

    def update(self, said: Mapping[str, tuple[Said, ...]]) -> None:
        """Take what sites say now; what is the same object as before has not changed."""
        before = self._said
        changed = [site for site, now in said.items() if before.get(site) is not now]
        changed += [site for site in before if site not in said]
        self._said = dict(said)
        sites, terms = dict(self.sites), dict(self.terms)
        for site in changed:
            _replace(sites, terms, site, _by_key(before.get(site, ())), _by_key(said.get(site, ())))
        if sites != self.sites:
            self.sites = MappingProxyType(sites)
        if terms != self.terms:
            self.terms = MappingProxyType(terms)


def _by_key(said: tuple[Said, ...]) -> dict[ServiceKey, Said]:
    return {(each.protocol, each.address): each for each in said}


def _replace(
    sites: dict[ServiceKey, tuple[str, ...]],
    terms: dict[ServiceKey, tuple[Said, ...]],
    site: str,
    before: dict[ServiceKey, Said],
    now: dict[ServiceKey, Said],
) -> None:
    """Let a site say something else than before."""
    for key in before.keys() | now.keys():
        if before.get(key) == now.get(key):
            continue
        said = dict(zip(sites.get(key, ()), terms.get(key, ()), strict=True))
        said.pop(site, None)
        if key in now:
            said[site] = now[key]
        if said:
            sites[key] = tuple(sorted(said))
            terms[key] = tuple(said[each] for each in sites[key])
        else:
            del sites[key], terms[key]
