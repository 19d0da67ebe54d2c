"""The site's configuration as the router changes it: durable before it counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import attrs

from van.config import LinkConfig, SiteConfig, load_config, save_config


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
        """Replace the configuration, unless it stays the same; raise `StorageError`."""
        changed = change(self.config)
        if changed != self.config:
            save_config(self.path, changed)
            self.config = changed

    def put_link(self, link: LinkConfig) -> None:
        """Add a link that is dialled from here, or replace the one to the same site."""
        self.change(
            lambda config: attrs.evolve(
                config, links=(*(each for each in config.links if each.site != link.site), link)
            )
        )

    def remove_link(self, site: str) -> bool:
        """Forget the link that is dialled to a site; tell whether there was one."""
        before = self.config.links
        self.change(
            lambda config: attrs.evolve(
                config, links=tuple(each for each in config.links if each.site != site)
            )
        )
        return self.config.links != before

    def link(self, site: str) -> LinkConfig | None:
        """Return the link that is dialled to a site, if any."""
        return next((each for each in self.config.links if each.site == site), None)
