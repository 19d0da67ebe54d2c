"""Run a site's router: `python -m van.router --site NAME`."""

import ctypes
import gc
import linecache
import sys


def start() -> int:
    """Load the router, run it, and return its exit status.

    The look at OpenSSL comes first, so that what is loaded after it uses its memory again. The
    collector is on meanwhile for the same reason: attrs makes each class anew for its slots, and
    the first one is garbage.
    """
    from van.tls.self_test import check_native_calls  # noqa: PLC0415  # before the rest is loaded

    check_native_calls()
    from van.router.process import main  # noqa: PLC0415  # as the one before

    # The sources of the methods that attrs has written, kept for tracebacks.
    linecache.clearcache()
    _give_back_free_memory()
    gc.freeze()
    return main()


def _give_back_free_memory() -> None:
    """Have the C library return the pages to the system that loading has needed for a moment."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


if __name__ == "__main__":
    sys.exit(start())
