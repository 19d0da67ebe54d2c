"""Where a site's files are: configuration and state, under the XDG base directories."""

import os
from pathlib import Path
from typing import Final

import attrs
import platformdirs

from van.errors import LocalError, SiteMissing
from van.names import check_site_name, is_label

SITE_VARIABLE: Final = "VAN_SITE"
"""Environment variable that names the site when a command does not."""
MAX_SOCKET_PATH: Final = 103
"""Longest path of a unix socket that every platform takes (`sun_path` is 104 bytes on some)."""


@attrs.frozen
class SitePaths:
    """The files of one site."""

    config_dir: Path
    state_dir: Path

    @property
    def config_file(self) -> Path:
        """Return the configuration, which a person may edit."""
        return self.config_dir / "config.toml"

    @property
    def identity_file(self) -> Path:
        """Return the file of keys and certificates."""
        return self.state_dir / "identity.toml"

    @property
    def tokens_dir(self) -> Path:
        """Return the directory of records of minted tokens."""
        return self.state_dir / "tokens"

    @property
    def audit_file(self) -> Path:
        """Return the file of what was done with the site's authority."""
        return self.state_dir / "audit"

    @property
    def audit_copies_dir(self) -> Path:
        """Return the directory of other sites' audit trails."""
        return self.state_dir / "audit-copies"

    @property
    def policies_file(self) -> Path:
        """Return the file of statements of what the VAN allows."""
        return self.state_dir / "policies"

    @property
    def expulsions_file(self) -> Path:
        """Return the file of statements about who was put out of the VAN."""
        return self.state_dir / "expulsions"

    @property
    def pins_file(self) -> Path:
        """Return the file of the keys that were seen for names."""
        return self.state_dir / "names"

    @property
    def exposures_file(self) -> Path:
        """Return the file that says since when each connector has been exposed."""
        return self.state_dir / "exposed.json"

    @property
    def incarnation_file(self) -> Path:
        """Return the file that counts the router's starts."""
        return self.state_dir / "incarnation"

    @property
    def lock_file(self) -> Path:
        """Return the file that a running router holds locked."""
        return self.state_dir / "lock"

    @property
    def log_file(self) -> Path:
        """Return the log of a router that runs in the background."""
        return self.state_dir / "router.log"

    @property
    def control_socket(self) -> Path:
        """Return the control API's unix socket; raise `LocalError` when its path is too long."""
        path = self.state_dir / "control.sock"
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            raise LocalError(
                f"path {path} is too long for a unix socket: set XDG_STATE_HOME to a shorter one"
            )
        return path

    def beside(self) -> dict[str, "SitePaths"]:
        """Return the sites whose files are beside these, by name; this one is among them."""
        config, state = self.config_dir.parent, self.state_dir.parent
        return {name: SitePaths(config / name, state / name) for name in _sites_in(state)}


def site_paths(site: str) -> SitePaths:
    """Return the paths of a site; nothing is created."""
    config = platformdirs.user_config_path("van", appauthor=False)
    state = platformdirs.user_state_path("van", appauthor=False)
    return SitePaths(config / site, state / site)


def list_sites() -> list[str]:
    """Return the names of the sites that are set up here, sorted."""
    return _sites_in(platformdirs.user_state_path("van", appauthor=False))


def _sites_in(parent: Path) -> list[str]:
    if not parent.is_dir():
        return []
    return sorted(
        entry.name
        for entry in parent.iterdir()
        if is_label(entry.name) and (entry / "identity.toml").exists()
    )


def choose_site(asked: str | None) -> str:
    """Return the site that a command is about: the one asked for, or the only one there is.

    Raises `SiteMissing` when there is none of that name, none at all, or more than one to choose
    from, and `InvalidName` for what can't be one.
    """
    sites = list_sites()
    site = asked or os.environ.get(SITE_VARIABLE)
    if site:
        if check_site_name(site) in sites:
            return site
        raise SiteMissing(
            f"site {site!r} is not set up here: run 'van init {site}', or choose one that "
            "'van site list' shows"
        )
    if not sites:
        raise SiteMissing("no site is set up here: run 'van init NAME'")
    if len(sites) > 1:
        names = ", ".join(sites)
        raise SiteMissing(
            f"more than one site is set up here ({names}): choose with --site or {SITE_VARIABLE}"
        )
    return sites[0]
