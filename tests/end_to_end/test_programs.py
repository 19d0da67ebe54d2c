"""Real programs reach each other through two links, unchanged and without an error."""

import hashlib
import os
import random
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.processes import Lab, wait_for
from lab.recovery import SITES
from tests.end_to_end.programs import PROGRAMS, find, inbox, need, nginx, postgresql, redis, run

PAGE = b"Hello from the far side of two links.\n"
LARGE = random.Random(1).randbytes(48 * 1024 * 1024)


def test_ci_has_every_program() -> None:
    if os.environ.get("CI", "").lower() not in {"1", "true"}:
        pytest.skip("programs may be missing where CI is not set")
    missing = {
        f"{program} (package {package})"
        for program, package in PROGRAMS.items()
        if find(program) is None
    }
    assert not missing, f"not installed: {', '.join(sorted(missing))}"


# -- PostgreSQL ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(shared_sites: Lab) -> Iterator[list[str]]:
    """Options that lead pgbench at west to a database at east."""
    need("pgbench")
    with postgresql() as port:
        shared_sites.expose("east", "db:5432", port)
        local = shared_sites.reach("west", "db:5432")
        options = ["-h", "127.0.0.1", "-p", str(local), "-U", "postgres"]
        run(need("pgbench"), *options, "--initialize", "--quiet", "--scale=2", "postgres")
        yield options


def run_pgbench(options: list[str], *more: str) -> None:
    printed = run(need("pgbench"), *options, *more, "postgres")
    done = re.search(r"number of transactions actually processed: (\d+)", printed)
    failed = re.search(r"number of failed transactions: (\d+)", printed)
    print(re.findall(r"(?:tps|latency average) = .*", printed))
    assert done, printed
    assert int(done[1]) > 0, printed
    assert not failed or int(failed[1]) == 0, printed
    assert "error" not in printed.lower(), printed


@pytest.mark.slow("fills a database, and runs pgbench on it for five seconds")
def test_postgresql_serves_many_transactions_on_each_connection(database: list[str]) -> None:
    run_pgbench(database, "-c", "8", "-j", "2", "-T", "5")


def test_postgresql_serves_a_connection_for_each_transaction(database: list[str]) -> None:
    run_pgbench(database, "-c", "8", "-j", "2", "-T", "2", "-C", "-S")


# -- Redis -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(shared_sites: Lab) -> Iterator[str]:
    """The port at west that leads to a Redis at east."""
    with redis() as port:
        shared_sites.expose("east", "cache:6379", port)
        yield str(shared_sites.reach("west", "cache:6379"))


def test_redis_answers_fifty_connections_at_once(cache: str) -> None:
    printed = run(
        *(need("redis-benchmark"), "-h", "127.0.0.1", "-p", cache),
        *("-n", "20000", "-c", "50", "-q", "-t", "set,get"),
    )
    rates = re.findall(r"(?m)^(.+): ([\d.]+) requests per second", printed.replace("\r", "\n"))
    print(rates)
    assert {name for name, _ in rates} == {"SET", "GET"}
    assert "error" not in printed.lower(), printed


def test_redis_publishes_to_subscribers(cache: str) -> None:
    cli = [need("redis-cli"), "-h", "127.0.0.1", "-p", cache]
    subscriber = subprocess.Popen(
        [*cli, "SUBSCRIBE", "news"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    # A reply that does not come would otherwise be waited for without end.
    deadline = threading.Timer(20.0, subscriber.kill)
    deadline.start()
    try:
        assert subscriber.stdout is not None
        with subscriber.stdout as replies:
            assert [next(replies).strip() for _ in range(3)] == ["subscribe", "news", "1"]
            for number in range(20):
                assert run(*cli, "PUBLISH", "news", f"story {number}").strip() == "1"
                story = [next(replies).strip() for _ in range(3)]
                assert story == ["message", "news", f"story {number}"]
    finally:
        deadline.cancel()
        subscriber.kill()
        subscriber.wait()


# -- nginx -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["tcp", "http"])
def web(shared_sites: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL at west that leads to an nginx at east, by connections or by requests."""
    protocol, address = request.param, f"{request.param}-web:80"
    with nginx({"index.html": PAGE, "large": LARGE}) as port:
        shared_sites.expose("east", address, port, protocol)
        yield f"http://127.0.0.1:{shared_sites.reach('west', address, protocol)}"


def test_nginx_serves_wrk_without_an_error(web: str) -> None:
    printed = run(need("wrk"), "-t2", "-c64", "-d3s", "--latency", f"{web}/")
    done = re.search(r"(\d+) requests in", printed)
    print(re.findall(r"(?:Requests/sec: .*|50% .*|99% .*)", printed))
    assert done, printed
    assert int(done[1]) > 0
    assert "Socket errors" not in printed, printed
    assert "Non-2xx" not in printed, printed


def test_nginx_hears_by_proxy_protocol_where_a_client_is(shared_sites: Lab) -> None:
    there = free_port()
    says = f"""listen 127.0.0.1:{there} proxy_protocol;
        location /who {{ return 200 "$proxy_protocol_addr $proxy_protocol_server_port"; }}"""
    with nginx({"index.html": PAGE}, says):
        target = ("--target", f"127.0.0.1:{there}", "--check", "http:/who", "--proxy-protocol")
        shared_sites.run("--site", "east", "expose", "tcp", "who:80", *target)
        url = f"http://127.0.0.1:{shared_sites.reach('west', 'who:80')}/who"
        assert run(need("curl"), "-sS", "--fail", url) == "127.0.0.1 80"
        assert "with a PROXY header" in shared_sites.run("--site", "east", "status").stdout


def test_nginx_serves_new_connections_to_ab(web: str) -> None:
    printed = run(need("ab"), "-q", "-n", "3000", "-c", "32", f"{web}/index.html")
    print(re.findall(r"(?:Requests per second|Time per request): .*", printed))
    assert re.search(r"(?m)^Complete requests:\s+3000$", printed), printed
    assert re.search(r"(?m)^Failed requests:\s+0$", printed), printed
    assert "Non-2xx" not in printed, printed


def test_a_large_file_arrives_as_it_was_sent(web: str) -> None:
    fetched = subprocess.run(
        [need("curl"), "--silent", "--show-error", "--fail", f"{web}/large"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert hashlib.sha256(fetched.stdout).digest() == hashlib.sha256(LARGE).digest()


def test_a_large_file_is_sent_as_it_is(shared_sites: Lab, tmp_path: Path) -> None:
    """Over HTTP by requests, to a server that says what it got."""
    (tmp_path / "large").write_bytes(LARGE)
    with inbox() as port:
        shared_sites.expose("east", "inbox:80", port, "http")
        url = f"http://127.0.0.1:{shared_sites.reach('west', 'inbox:80', 'http')}/"
        for how in (["--upload-file", str(tmp_path / "large")], ["-T", "-", "-H", "Expect:"]):
            said = subprocess.run(
                [need("curl"), "-sS", "--fail", *how, url],
                input=LARGE,
                capture_output=True,
                timeout=60,
                check=True,
            )
            assert said.stdout.decode() == hashlib.sha256(LARGE).hexdigest()


def test_the_sites_carry_no_flow_any_more(shared_sites: Lab) -> None:
    wait_for(
        lambda: not any(shared_sites.status(site)["flows_total"] for site in SITES),
        "every flow of the programs above has ended",
    )
    for site in SITES:
        assert shared_sites.status(site)["counters"]["refused_connections"] == {}, site
