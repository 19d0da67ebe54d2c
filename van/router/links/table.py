"""The links that are up, at most one to each neighbour, and what may be asked of them."""

import trio

from van.errors import LinkLost
from van.names import Endpoint
from van.router.links.link import Link
from van.wire.framing import Message


class LinkTable:
    """Knows which links are up, and sends on them; who brings them up is not known here.

    All in trio's thread. `Links` alone puts links in and takes them out.
    """

    def __init__(self) -> None:
        self.up: dict[str, Link] = {}
        """By neighbour."""
        self._changed = trio.Event()

    def __contains__(self, neighbor: str) -> bool:
        return neighbor in self.up

    def put(self, link: Link) -> None:
        """Take in a link that is up."""
        self.up[link.neighbor] = link

    def remove(self, link: Link) -> None:
        """Take out a link that is up no more."""
        del self.up[link.neighbor]

    def notify(self) -> None:
        """Wake whoever waits for a change, once all that follows from it is done."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def changed(self) -> None:
        """Wait until some link has come up or gone."""
        await self._changed.wait()

    async def wait_up(self, neighbor: str, timeout: float) -> bool:
        """Wait for a link to be up; tell whether it is."""
        with trio.move_on_after(timeout):
            while neighbor not in self.up:
                await self.changed()
        return neighbor in self.up

    async def absent(self, neighbor: str) -> None:
        """Wait for no link to be up: the neighbour's own, or one that is to be replaced."""
        while neighbor in self.up:
            await self.changed()

    def endpoint(self, neighbor: str) -> Endpoint | None:
        """Return where a neighbour can be dialled, or None when it dials this site."""
        link = self.up.get(neighbor)
        return link.peer or link.remote if link is not None and link.is_outgoing else None

    # -- messages ------------------------------------------------------------------------------

    def send(self, neighbor: str, message: Message) -> None:
        """Queue a message to a neighbour; one whose link has just gone is passed over."""
        link = self.up.get(neighbor)
        if link is not None:
            link.send(message)

    def ask(self, neighbor: str, message: Message) -> None:
        """Queue a message to which an answer is waited for; raise `LinkLost` without a link."""
        if neighbor not in self.up:
            raise LinkLost(f"no link to site {neighbor!r} is up")
        self.send(neighbor, message)

    def gather(self) -> None:
        """Take what has come over all links, however little."""
        for link in list(self.up.values()):
            link.gather()

    async def flush(self, timeout: float) -> None:
        """Wait for what is queued to go out."""
        with trio.move_on_after(timeout):
            for link in list(self.up.values()):
                await link.flushed()

    # -- endings -------------------------------------------------------------------------------

    def break_off(self, neighbor: str, reason: str) -> None:
        """End the link to a neighbour, if there is one, and tell it why."""
        link = self.up.get(neighbor)
        if link is not None:
            link.close(reason)

    async def wait_all_closed(self, timeout: float) -> None:
        """Wait for every link to have ended."""
        with trio.move_on_after(timeout):
            while self.up:
                await self.changed()
