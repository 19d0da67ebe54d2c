"""The router as a process: its arguments, its lock, its signals."""

import argparse
import logging
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Final

import attrs
import trio

from van.config import LOG_FORMATS, LOG_LEVELS, SYSTEM
from van.errors import ConfigError, RouterRunning, SiteMissing, StorageError, VanError
from van.lock import SiteLock
from van.paths import site_paths
from van.router.daemon import serve_site
from van.router.reactor.congestion import why_not_usable
from van.router.reactor.limits import DEFAULT_LIMITS
from van.router.router import Router, RouterOptions
from van.router.site.settings import Settings
from van.router.site.state import SiteState
from van.router.telemetry.log import RouterLog, start_log
from van.tls.credentials import Credentials
from van.tls.native import AVAILABILITY

logger = logging.getLogger(__name__)

EXIT_INTERRUPTED: Final = 130
"""What a shell makes of a program that Ctrl-C ended."""
LOCK_INTERVAL: Final = 1.0
"""Seconds between looks at whether the site's lock is still there."""
LOG_INTERVAL: Final = 10.0
"""Seconds between looks whether there is a count to be written of lines that repeat."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a site's router in the foreground until SIGTERM, SIGINT, or a request to stop."""
    parser = argparse.ArgumentParser(prog="van-router", description=main.__doc__)
    parser.add_argument("--site", required=True, help="name of the site")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="how much is logged")
    parser.add_argument("--log-format", choices=LOG_FORMATS, help="lines of text, or of JSON")
    parser.add_argument(
        "--strict-port", action="store_true", help="end if the link port can't be opened at once"
    )
    options = parser.parse_args(arguments)
    try:
        number = run_site(
            options.site,
            log_level=options.log_level,
            log_format=options.log_format,
            is_port_strict=options.strict_port,
        )
    except VanError as exc:
        sys.stderr.write(f"van: {exc}\n")
        return 1
    except BaseExceptionGroup as group:
        # What the parts of a router raise comes in a group; anything else is a defect.
        expected, defects = group.split(VanError)
        if defects is not None or expected is None:
            raise
        sys.stderr.write(f"van: {first_leaf(expected)}\n")
        return 1
    return EXIT_INTERRUPTED if number == signal.SIGINT else 0


def first_leaf(group: BaseExceptionGroup[VanError]) -> BaseException:
    """Return the first error within a group, however deep."""
    first = group.exceptions[0]
    return first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


def run_site(
    site: str,
    *,
    log_level: str | None = None,
    log_format: str | None = None,
    is_port_strict: bool = False,
) -> int | None:
    """Run the router of a site, and return the signal that ended it, if one did.

    Raises a `VanError` when it can't be started.

    Somebody who asks for it is told at once that the link port can't be opened; when it starts by
    itself it keeps trying.

    What is not said of the log is in the configuration.

    The site stays locked until the process ends, so that whoever sees the lock free knows that
    nothing of the router is left.
    """
    paths = site_paths(site)
    if not paths.identity_file.exists():
        raise SiteMissing(f"site {site!r} is not set up here: run 'van init {site}'")
    lock = SiteLock.take(site, paths.lock_file)
    credentials = Credentials.load(paths.identity_file)
    if credentials.site != site:
        raise ConfigError(f"{paths.identity_file} belongs to site {credentials.site!r}")
    settings = Settings.load(paths.config_file)
    log = start_log(
        paths.log_file,
        level=log_level or settings.config.log_level,
        form=log_format or settings.config.log_format,
    )
    if trouble := AVAILABILITY.trouble:
        logger.warning("OpenSSL is used by pyOpenSSL's public calls, which cost more: %s", trouble)
    raise_descriptor_limit()
    limits = attrs.evolve(
        DEFAULT_LIMITS,
        spin=settings.config.spin / 1_000_000,
        congestion=chosen_congestion(settings.config.congestion),
    )
    options = RouterOptions(limits, is_port_strict=is_port_strict)
    return trio.run(_run, SiteState.load(paths, credentials, settings), options, lock, log)


def chosen_congestion(name: str) -> str:
    """Return the name of the congestion control for connections to other sites; empty for the
    system's. One that can't be used now may be later, without a restart."""
    if name == SYSTEM:
        return ""
    if why := why_not_usable(name):
        logger.warning("connections keep the system's congestion control, not %r: %s", name, why)
    return name


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system does without privileges: a flow needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(
    site: SiteState, options: RouterOptions, lock: SiteLock, log: RouterLog
) -> int | None:
    received: int | None = None
    # A signal that comes before the router has started waits until it has.
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[Router]) -> None:
                await serve_site(site, options, task_status=task_status)
                nursery.cancel_scope.cancel()

            router: Router = await nursery.start(serve)
            nursery.start_soon(_keep_lock, lock, router)
            nursery.start_soon(_tend_log, log)
            async for number in signals:
                logger.info("%s received", signal.Signals(number).name)
                received = number
                router.stop()
    return received


async def _tend_log(log: RouterLog) -> None:
    while True:
        await trio.sleep(LOG_INTERVAL)
        log.write_due()


async def _keep_lock(lock: SiteLock, router: Router) -> None:
    """Lock the site anew whenever its lock is removed, which leaves it open to a second router.

    If there is one by then, it has the files, and this router ends.
    """
    complaint = ""
    while True:
        await trio.sleep(LOCK_INTERVAL)
        try:
            if lock.keep():
                logger.warning("somebody removed %s: it is made anew", lock.path)
            complaint = ""
        except RouterRunning as exc:
            logger.warning("somebody removed %s, and this router ends: %s", lock.path, exc)
            router.stop()
            return
        except StorageError as exc:
            if str(exc) != complaint:
                logger.warning("somebody removed %s: %s", lock.path, exc)
            complaint = str(exc)
