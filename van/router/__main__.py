"""Run a site's router: `python -m van.router --site NAME`."""

import ctypes
import gc
import linecache
import sys


def start() -> int:
    """Load the router, run it, and return its exit status.

    What is loaded stays, so nothing is gained by looking for garbage in it while loading: leaving
    that out saves a quarter of the start. The look at OpenSSL comes first, so that what is loaded
    after it uses its memory again; one collection then takes what loading has left behind.
    """
    gc.disable()
    from van.tls.self_test import check_native_calls  # noqa: PLC0415  # as the next one

    check_native_calls()
    from van.router.process import main  # noqa: PLC0415  # only here is the collector at rest

    # The sources of the methods that attrs has written, kept for tracebacks.
    linecache.clearcache()
    gc.collect()
    _give_back_free_memory()
    gc.freeze()
    gc.enable()
    return main()


def _give_back_free_memory() -> None:
    """Have the C library return the pages to the system that loading has needed for a moment."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


if __name__ == "__main__":
    sys.exit(start())
