"""The site's configuration as the router changes it: durable before it counts."""

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Self

import attrs

from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.config.file import load_config, update_config
from van.names import Endpoint


@attrs.define
class Settings:
    """Holds the configuration in force; every change is on disk when the call returns."""

    path: Path
    config: SiteConfig

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the configuration; raise `ConfigError` that names the line, or `StorageError`."""
        return cls(path, load_config(path))

    def change(self, change: Callable[[SiteConfig], SiteConfig]) -> None:
        """Change the configuration, and the lines of the file that say what changes.

        Raises `ConfigError` when a person has made a mistake in the file meanwhile, or
        `StorageError`; nothing is changed then.
        """
        changed = change(self.config)
        if changed != self.config:
            update_config(self.path, self.config, changed)
            self.config = changed

    def put_link(self, link: LinkConfig) -> None:
        """Add a link that is dialled from here, or replace the one to the same site."""

        def put(config: SiteConfig) -> SiteConfig:
            links = {each.site: each for each in config.links} | {link.site: link}
            return attrs.evolve(config, links=tuple(links.values()))

        self.change(put)

    def remove_link(self, site: str) -> bool:
        """Forget the link that is dialled to a site; tell whether there was one."""
        before = self.config.links
        self.change(
            lambda config: attrs.evolve(
                config, links=tuple(each for each in config.links if each.site != site)
            )
        )
        return self.config.links != before

    def keep_link_port(self, endpoint: Endpoint) -> None:
        """Open the link port at every start from now on, here unless the file says where."""
        if self.config.listen is None:
            self.change(lambda config: attrs.evolve(config, listen=endpoint))

    def set_drained(self, *, is_drained: bool, is_withdrawn: bool) -> None:
        """Keep whether the site is drained, and what it serves withdrawn."""
        self.change(lambda config: attrs.evolve(config, drained=is_drained, withdrawn=is_withdrawn))

    def put_connector(self, connector: ConnectorConfig) -> None:
        """Keep a target that is attached, in place of what was kept of it."""
        name = attrgetter("protocol", "address", "target")

        def put(config: SiteConfig) -> SiteConfig:
            connectors = {name(each): each for each in config.connectors}
            connectors[name(connector)] = connector
            return attrs.evolve(config, connectors=tuple(connectors.values()))

        self.change(put)

    def remove_connectors(self, gone: set[ConnectorConfig]) -> None:
        """Forget targets that are detached."""
        self.change(
            lambda config: attrs.evolve(
                config, connectors=tuple(each for each in config.connectors if each not in gone)
            )
        )

    def put_listener(self, listener: ListenerConfig) -> None:
        """Keep a port that is opened to an address, in place of what was kept of it."""
        name = attrgetter("protocol", "listen")

        def put(config: SiteConfig) -> SiteConfig:
            listeners = {name(each): each for each in config.listeners}
            listeners[name(listener)] = listener
            return attrs.evolve(config, listeners=tuple(listeners.values()))

        self.change(put)

    def remove_listeners(self, gone: set[ListenerConfig]) -> None:
        """Forget ports that are closed."""
        self.change(
            lambda config: attrs.evolve(
                config, listeners=tuple(each for each in config.listeners if each not in gone)
            )
        )

    def link(self, site: str) -> LinkConfig | None:
        """Return the link that is dialled to a site, if any."""
        return next((each for each in self.config.links if each.site == site), None)
