"""The sites of this machine as files: made whole, and removed whole."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from van.config import SiteConfig
from van.errors import NotAllowed, SiteExists
from van.files import make_private_directory, remove, storage_error
from van.paths import SitePaths


def create_site(
    name: str, paths: SitePaths, config: SiteConfig, *, certificate_life: int | None = None
) -> None:
    """Write a new site's files; the keys come last, for they make it a site.

    Certificates are good for so many seconds, or as long as usual. Nothing is left when it fails.
    Raises `SiteExists`, `LocalError` for a life that is not valid, `StorageError`, and what
    `SitePaths.control_socket` raises when the path is too long for a socket.
    """
    # No other command writes a configuration, or needs keys.
    from van.config.file import save_config  # noqa: PLC0415
    from van.tls.credentials import Credentials  # noqa: PLC0415
    from van.tls.grants import SITE_LIFETIME  # noqa: PLC0415

    if paths.identity_file.exists():
        raise SiteExists(
            f"site {name!r} exists already: choose another name, or remove it with "
            f"'van site delete {name}'"
        )
    paths.control_socket  # noqa: B018  # raises
    new = [each for each in (paths.config_dir, paths.state_dir) if not each.exists()]
    try:
        make_private_directory(paths.config_dir)
        make_private_directory(paths.state_dir)
        save_config(paths.config_file, config)
        life = SITE_LIFETIME if certificate_life is None else timedelta(seconds=certificate_life)
        Credentials.create(name, life=life).save(paths.identity_file)
    except BaseException:
        for directory in new:
            shutil.rmtree(directory, ignore_errors=True)
        raise


def back_up_authority(paths: SitePaths, ask: Callable[[], str]) -> str:
    """Return the text of a back-up's file of the root that a site holds, running or not;
    the passphrase is asked for if it holds one.

    Raises `NotAllowed` if it holds none, `InvalidValue` for a passphrase that is too short, and
    `StorageError`.
    """
    # No other command needs keys.
    from van.tls.backup import seal_back_up  # noqa: PLC0415
    from van.tls.credentials import Credentials  # noqa: PLC0415

    ours = Credentials.load(paths.identity_file)
    authority = ours.authority
    if authority is None or not authority.is_root:
        raise NotAllowed(
            f"site {ours.site!r} does not hold the root of the VAN: back it up at a site that "
            "does, which 'van authority show' names"
        )
    now = datetime.now(UTC)
    return seal_back_up(authority, site=ours.site, passphrase=ask(), now=now)


def open_back_up(text: str, ask: Callable[[], str]) -> dict[str, str]:
    """Return the root in a back-up as `AuthorityRestore` takes it; the passphrase is asked for once
    the file is found to be whole. Raises `BackUpError`."""
    from van.tls.backup import read_back_up, texts_of  # noqa: PLC0415 - see above

    back_up = read_back_up(text)
    return texts_of(back_up.open(ask()))


def delete_site_files(paths: SitePaths) -> None:
    """Remove all of a site's files; the keys go first, for without them it is no site."""
    if paths.state_dir.exists():
        remove(paths.identity_file)
    for directory in (paths.state_dir, paths.config_dir):
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise storage_error("remove", directory, exc) from exc
