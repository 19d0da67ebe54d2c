"""The map, traces, and events of three real routers, as a person sees them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import msgspec
import pytest

from lab.processes import Lab, wait_for
from van.config import DEFAULT_HOLD
from van.control.values.events import Event
from van.control.values.network import Network
from van.control.values.paths import Trace


@pytest.fixture
def linked(sites: Lab) -> Lab:
    """The three sites, once west knows the way to east."""
    wait_for(lambda: path_to_east(sites) is not None, "west knows a path to east")
    return sites


def path_to_east(lab: Lab) -> tuple[str, ...] | None:
    network = msgspec.json.decode(lab.run("-s", "west", "network", "--json").stdout, type=Network)
    return next((each.path for each in network.sites if each.site == "east"), None)


@contextmanager
def following(lab: Lab, site: str) -> Iterator[list[Event]]:
    """Lend the events that `van events --json` prints, while it follows; then press Ctrl-C."""
    command = (sys.executable, "-m", "van", "-s", site, "events", "--json", "--last", "1")
    program = lab.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found: list[Event] = []

    def read() -> None:
        assert program.stdout is not None
        found.extend(msgspec.json.decode(line, type=Event) for line in program.stdout)

    reader = Thread(target=read)
    reader.start()
    try:
        wait_for(lambda: found, "it has begun")
        yield found
    finally:
        program.send_signal(signal.SIGINT)
        code = program.wait(10)
        reader.join()
    assert code == 130, "as documented for Ctrl-C"


def test_the_map_names_sites_links_and_paths(linked: Lab) -> None:
    assert path_to_east(linked) == ("west", "hub", "east")
    shown = linked.run("-s", "west", "network", "--from", "east").stdout
    assert "east > hub > west" in shown
    assert '"hub" -> "west"' in linked.run("-s", "west", "network", "--dot").stdout
    done = linked.run("-s", "west", "network", "--from", "mars", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("van: site 'mars' is not known here")


def test_a_trace_shows_each_hop_to_where_an_address_is_served(linked: Lab) -> None:
    with linked.service("traced:7"):
        shown = linked.run("-s", "west", "trace", "traced:7").stdout
        printed = linked.run("-s", "west", "trace", "traced:7", "--json").stdout
    trace = msgspec.json.decode(printed, type=Trace)
    assert [hop.site for hop in trace.hops] == ["hub", "east"]
    assert "serves traced:7" in shown
    for hop in trace.hops:
        print(f"{hop.site}: {hop.round_trip_ms:.2f} ms")


def test_a_protocol_with_the_name_of_a_site_is_a_mistake_in_usage(linked: Lab) -> None:
    done = linked.run("-s", "west", "trace", "hub", "--protocol", "udp", check=False)
    assert done.returncode == 2
    assert "--protocol is for addresses" in done.stderr


def test_a_trace_to_a_router_that_is_stopped_shows_a_star_and_fails(linked: Lab) -> None:
    # The path has to last for as long as the trace waits.
    linked.run("-s", "hub", "link", "hold", "east", "20")
    linked.kill("east", signal.SIGSTOP)
    try:
        done = linked.run("-s", "west", "trace", "east", check=False)
    finally:
        linked.kill("east", signal.SIGCONT)
        linked.run("-s", "hub", "link", "hold", "east", str(DEFAULT_HOLD))
    assert done.returncode == 1
    assert done.stderr == "van: site 'east' does not answer within 1 s\n"
    assert [line.split() for line in done.stdout.splitlines()][-1] == ["2", "east", "*"]


def test_events_are_followed_across_a_restart_of_the_router(linked: Lab) -> None:
    def has(kind: str, subject: str) -> bool:
        return (kind, subject) in [(each.kind, each.subject) for each in list(events)]

    with following(linked, "west") as events:
        linked.run("-s", "east", "down")
        wait_for(lambda: has("site-lost", "east"), "west tells that east is gone")
        linked.up("east")
        wait_for(lambda: has("site-reached", "east"), "west tells that east is back")
        linked.run("-s", "west", "down")
        linked.up("west")
        wait_for(lambda: has("router-started", "west"), "the new router's events are followed")
        wait_for(lambda: has("link-up", "hub"), "and go on")


def test_past_events_are_printed_for_people_and_programs(linked: Lab) -> None:
    past = ("-s", "hub", "events", "--no-follow", "--last", "3")
    printed, before = linked.run(*past, "--json").stdout, ""
    while printed != before:  # another event has come meanwhile
        lines = linked.run(*past).stdout.splitlines()
        printed, before = linked.run(*past, "--json").stdout, printed
    assert len(lines) == 3
    for line, event in zip(lines, map(json.loads, printed.splitlines()), strict=True):
        assert line.startswith(event["at"])
        assert event["kind"] in line
