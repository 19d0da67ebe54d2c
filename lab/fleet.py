"""Many sites of one VAN as router processes, set up from the library and not token by token.

A token per link is what a person has; hundreds of links would take minutes that way. What a fleet
writes to disk is what the tokens would have led to.
"""

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from lab.processes import Lab, wait_for
from van.config import SiteConfig
from van.config.file import save_config
from van.control.client import UnixConnection
from van.control.values.status import Status
from van.files import make_private_directory
from van.paths import SitePaths
from van.tls.authority import Authority
from van.tls.credentials import Credentials
from van.tls.grants import FULL, Grants
from van.tls.keys import generate_key, make_request

if TYPE_CHECKING:
    import subprocess

T = TypeVar("T")
CONTROL_TIMEOUT: Final = 10.0
LIFETIME: Final = timedelta(days=1)


class Fleet(Lab):
    """A lab whose sites all have their certificates from one root, which a site may hold.

    Its routers are of this checkout, or of another one.
    """

    def __init__(self, checkout: Path | None = None) -> None:
        super().__init__()
        self._checkout = checkout
        self.authority = Authority.create_root()
        self._routers: dict[str, subprocess.Popen[bytes]] = {}

    def paths(self, site: str) -> SitePaths:
        """Return the paths of a site of this fleet."""
        return SitePaths(
            self.directory / "config" / "van" / site, self.directory / "state" / "van" / site
        )

    def issue(self, site: str, *, holds_root: bool = False) -> Credentials:
        """Return new credentials for a site."""
        key = generate_key()
        grants = FULL if holds_root else Grants()
        chain = self.authority.issue_site(
            make_request(key), site=site, grants=grants, lifetime=LIFETIME
        )
        authority = self.authority if holds_root else None
        return Credentials(key, chain, self.authority.root, authority)

    def make(self, site: str, config: SiteConfig, *, holds_root: bool = False) -> None:
        """Write the files of a site."""
        paths = self.paths(site)
        make_private_directory(paths.config_dir)
        make_private_directory(paths.state_dir)
        self.issue(site, holds_root=holds_root).save(paths.identity_file)
        save_config(paths.config_file, config)

    def launch(
        self,
        site: str,
        *,
        command: tuple[str, ...] = ("-m", "van.router"),
        inside: tuple[str, ...] = (),
    ) -> None:
        """Start a site's router without waiting for it to answer.

        `command` is what the interpreter runs; it takes the options of `van.router`. `inside` is a
        command that runs another one elsewhere, such as `nsenter`.
        """
        with self.paths(site).log_file.open("ab") as log:
            self._routers[site] = self.start(
                *(*inside, sys.executable, *command, "--site", site),
                stderr=log,
                cwd=self._checkout,
            )

    def run_all(self, sites: Iterable[str]) -> None:
        """Start routers all at once, and wait until each answers."""
        sites = tuple(sites)
        for site in sites:
            self.launch(site)
        for site in sites:
            self.wait_answer(site)

    def wait_answer(self, site: str) -> None:
        """Wait until a site's router answers."""
        wait_for(lambda: self._answers(site), f"the router of {site} answers", timeout=60.0)

    def _answers(self, site: str) -> bool:
        assert self._routers[site].poll() is None, self.paths(site).log_file.read_text()
        return self.paths(site).control_socket.exists() and self.look_for(site, dict) is not None

    def pid(self, site: str) -> int:
        """Return the process id of a router that this fleet launched."""
        return self._routers[site].pid

    def kill_router(self, site: str) -> None:
        """End a router by SIGKILL, and see it gone."""
        self._routers[site].kill()
        self._routers[site].wait()

    def ask(self, site: str, method: str, path: str, value: msgspec.Struct) -> None:
        """Ask a router for something, and fail if it does not do it."""
        connection = UnixConnection(self.paths(site).control_socket, timeout=CONTROL_TIMEOUT)
        try:
            connection.request(method, path, msgspec.json.encode(value))
            answer = connection.getresponse()
            assert answer.status < 300, answer.read()
        finally:
            connection.close()

    def look(self, site: str) -> Status | None:
        """Return the state of a router of this checkout, or None when it does not answer now."""
        return self.look_for(site, Status)

    def look_for(self, site: str, form: type[T]) -> T | None:
        """Return some of the state of a router, which may be of another version, or None when it
        does not answer now."""
        connection = UnixConnection(self.paths(site).control_socket, timeout=CONTROL_TIMEOUT)
        try:
            connection.request("GET", "/v1/status")
            return msgspec.json.decode(connection.getresponse().read(), type=form)
        except OSError:
            return None
        finally:
            connection.close()
