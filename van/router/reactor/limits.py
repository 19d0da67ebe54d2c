"""The times and the bounds that the data plane lives by, as one value with a reason for each.

A router has one `Limits`, which its event loop carries; whatever works with a loop finds it there.
The defaults are for real networks. `lab/limits.py` has an instance for tests that do not measure.
What a control connection waits for is with the links (`van/router/links`), and what routing waits
for is in `van.routing.schedule.timers`.
"""

from typing import Final

import attrs

from van.router.reactor.capacity import max_sessions


@attrs.frozen
class Limits:
    """Times in seconds, and how much there may be of what a peer or a client can make grow."""

    # -- the event loop ------------------------------------------------------------------------

    spin: float = 50e-6
    """How long the loop looks for more, giving the processor to whoever else is ready, before it
    sleeps: what is woken out of a sleep is several times later than what looks. Only after
    one thing was ready and was moved, for of many a sleep gathers more; 0 is never."""

    congestion: str = ""
    """The congestion control of connections to other sites; empty: the system's."""

    # -- flows ---------------------------------------------------------------------------------

    max_flows: int = 100_000
    """Flows at one time: a bound on memory; the descriptor limit is usually lower."""
    drain_timeout: float = 1.0
    """How long a broken-off flow may take to be cleared from its channel, before both go."""
    stall_timeout: float = 1.0
    """How long what was said before a reset may get no further before the reset overtakes it, as it
    would have overtaken all that its receiver had no room for, had the two been connected
    directly."""
    max_lingering: int = 4096
    """Connections that wait so at one time, for each event loop: each has a descriptor, and no flow
    any more that would be counted."""
    patience: float = 1.0
    """How long a path that fails is tried again: the tables of the sites on it may be older than a
    change that they are about to hear of."""
    retry_pause: float = 0.05
    """The pause between two tries, when there is no other instance."""
    accept_pause: float = 0.05
    """The pause after a client could not be accepted."""
    reopen_interval: float = 1.0
    """The pause between attempts to open a port that something else has."""
    stop_grace: float = 5.0
    """How long live flows may take to finish when the router is told to stop."""
    farewell: float = 0.3
    """How long the last advertisements and goodbyes may take to go out."""

    # -- channels ------------------------------------------------------------------------------

    answer_deadline: float = 3.0
    """How long another router may owe a word without saying that it has to wait for it: it answers
    within a round trip and a turn of its loop, so that one which is silent for so long is lost."""
    pending_after: float = 0.25
    """How long an egress waits for a target before it says so: those that are well take less."""
    pending_interval: float = 1.0
    """The time until it says so again: two of these words may be late."""
    setup_patience: float = 1.0
    """How long a channel may take to be set up before another path is tried beside, and several
    round trips more: it takes some milliseconds at each site on the way."""
    setup_timeout: float = 5.0
    """How long it may take to set a channel up, every hop of it together."""
    acquire_timeout: float = 8.0
    """How long a flow waits for a channel before it is offered elsewhere."""
    elsewhere_after: float = 2.0
    """The same while there are others, and nobody gets a channel to that site."""
    idle_lifetime: float = 30.0
    """How long a channel that nobody needs is kept."""
    trim_interval: float = 5.0
    """The time between two looks at which these are."""
    min_channel_retry: float = 0.2
    max_channel_retry: float = 3.0
    """The pause after no channel to a site could be made, which doubles from the least to the
    most."""
    neighbor_spares: int = 2
    """Idle channels kept to each neighbour: one for a flow, and one for a relay behind it."""
    remote_spares: int = 2
    """Idle channels kept to a site further away that serves what is bound here."""
    max_spares: int = 64
    """Idle channels kept to one site, however many are in use."""
    max_growing: int = 16
    """Channels to one site that are made at the same time; more would only share one processor."""
    min_growing: int = 2
    """The same while there is none yet."""
    max_spare_making: int = 4
    """Channels that are made at the same time for no flow: a site that has just got many neighbours
    has its links and tables to see to first."""
    max_dialling: int = 64
    """Channels that are dialled at one time because a neighbour asked: several times what one asks
    for before the first arrive, and all that one which asks without end gets."""
    max_relays: int = 20_000
    """Relays through this site at one time: each holds two descriptors."""
    max_branches: int = 4096
    """Branches of multicast trees that come in at one time."""

    bulk_rest: float = 5.0
    """How long a flow that has a channel of its own, as it was bulk, may carry nothing before it
    goes back to a bundle, where one at rest costs next to nothing."""

    # -- targets -------------------------------------------------------------------------------

    slow_after: float = 0.5
    """How long a target may take to accept before others are asked as well: it is near, so this is
    many times what it takes, and half of what passes before a SYN is sent again."""
    check_interval: float = 2.0
    """The time between two checks of an instance."""
    check_timeout: float = 2.0
    """How long a check may take: what takes longer to say that it is well is not."""
    resolve_interval: float = 10.0
    """The time between two looks at where a host name leads."""
    resolve_retry: float = 1.0
    """The same, while it leads nowhere."""
    min_target_retry: float = 0.1
    max_target_retry: float = 3.0
    """The pause between two attempts at an instance that refuses, which doubles from the least to
    the most."""
    min_slow_retry: float = 1.0
    max_slow_retry: float = 30.0
    """The same for one that is slow: each attempt is one more client for a server that is behind
    with those that it has."""
    datagram_retry: float = 1.0
    """The pause after which one that refused a datagram is used again: only a datagram would
    tell."""

    # -- UDP sessions --------------------------------------------------------------------------

    max_sessions: int = attrs.field(factory=max_sessions)
    """Sessions of a site's clients at one time, and of others' clients at its targets: as many as
    there is memory for."""
    max_port_sessions: int = attrs.field(
        default=attrs.Factory(lambda self: self.max_sessions * 3 // 4, takes_self=True)
    )
    """The same for one port: a flood of clients at one leaves room at the others."""
    answered_idle: float = 2.0
    """How long without traffic ends a session that was a question and its answer. More questions
    make it a conversation, which has the listener's time."""
    min_session_idle: float = 5.0
    """How long without traffic makes a conversation make way when there are too many: what
    resolvers wait for an answer at most before they ask again."""
    answer_timeout: float = 1.0
    """How long an answer is waited for: UDP loses datagrams, and some programs only listen."""

    # -- multicast -----------------------------------------------------------------------------

    settle_timeout: float = 1.0
    """How long the sites that serve an address may take to be reached; then it goes on without the
    others."""
    max_groups: int = 1024
    """Groups, of all sources, of which instances here are members."""
    max_generations: int = 16
    """Generations of one group at one time: old ones stay until they are drained."""
    max_group_sessions: int = 2048
    """Clients of one source: as many as a site has sessions."""
    max_group_sockets: int = 4096
    """Sockets to instances, of all groups."""
    group_lifetime: float = 10.0
    """How long a group stays when its last session has ended."""
    group_look_interval: float = 2.0
    """The time between two looks at whether that is so."""
    min_generation_pause: float = 0.05
    """From one generation to the next at least, so that changes that come together are one."""
    max_generation_pause: float = 10.0
    """The same at most, when one after the other falls apart while the routes stay as they are."""
    stable_after: float = 5.0
    """A generation that stood this long and falls apart is not counted among these."""
    max_copy_kept: int = 1 << 20
    """Bytes of a stream kept for a copy that is slower than the others; the kernel keeps more."""
    copy_room: int = 1 << 19
    """How many of these it may have left to be in time."""
    copy_grace: float = 1.0
    """How long all wait for a copy that has no room."""


DEFAULT_LIMITS: Final = Limits()
