"""The times of the data plane for tests that do not measure them: short where a test sits them out.

A test that needs another one takes `attrs.evolve(FAST, …)`; one that measures takes `Limits()`.
"""

from typing import Final

from van.router.reactor.limits import Limits

FAST: Final = Limits(
    drain_timeout=0.1,
    answer_timeout=0.1,
    patience=0.2,
    reopen_interval=0.1,
    stop_grace=1.0,
    farewell=0.1,
    trim_interval=0.5,
    check_interval=0.2,
    resolve_interval=0.2,
    resolve_retry=0.1,
    datagram_retry=0.2,
    group_look_interval=0.1,
    settle_timeout=5.0,
    copy_grace=0.3,
)
"""What only a peer that does nothing makes anybody wait for stays as it is, or is longer: on a busy
machine a sound peer may take its time too."""
