"""What becomes of answers, and of their absence, as a command sees it."""

import inspect
import socket
import threading

import msgspec
import pytest

from tests.cli.values import make_status
from tests.control.dying import DyingRouter, playing
from van import errors
from van.control import client as client_module
from van.control.client import ControlClient, error_class
from van.control.endpoints import ENDPOINTS
from van.control.values.base import ErrorReply
from van.files import make_private_directory
from van.paths import site_paths

ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.VanError)
]

GIVEN = {
    "after": 7,
    "cost": 1,
    "neighbor": "east",
    "seconds": 1.0,
    "site": "east",
    "source": "east",
    "spec": None,
    "token": "x",
}
"""What each parameter of a method may be."""


def test_codes_tell_all_errors_apart():
    assert len({error.code for error in ERRORS}) == len(ERRORS)
    assert all(error_class(error.code) is error for error in ERRORS)


def test_an_error_of_a_later_version_is_still_an_error():
    assert error_class("not-invented-yet") is errors.VanError


@pytest.fixture
def answering(home):
    """Makes the site's control socket answer one request with the bytes given."""
    make_private_directory(site_paths("west").state_dir)
    threads = []

    def serve(reply):
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(site_paths("west").control_socket))
        server.listen()
        thread = threading.Thread(target=answer_once, args=(server, reply))
        thread.start()
        threads.append(thread)
        return ControlClient("west", timeout=5.0)

    yield serve
    for thread in threads:
        thread.join()


def answer_once(server, reply):
    with server, server.accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(reply)


@pytest.fixture
def state(home):
    """The directory in which a router has its lock and its socket."""
    make_private_directory(site_paths("west").state_dir)


def http_reply(code, body):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (code, len(body), body)


def test_an_answer_is_a_value_of_the_api(answering):
    status = make_status()
    client = answering(http_reply(200, msgspec.json.encode(status)))
    assert client.status() == status


def test_an_error_that_the_router_raised_is_raised_here(answering):
    reply = ErrorReply(code="not-found", message="link to 'east' is not there")
    client = answering(http_reply(404, msgspec.json.encode(reply)))
    with pytest.raises(errors.NotFound, match="link to 'east' is not there"):
        client.delete_link("east")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (http_reply(200, b"{}"), "answered 200 in a form that this van does not know"),
        (http_reply(500, b"oops"), "answered 500 in a form that this van does not know"),
        (b"SSH-2.0-x\r\n", "went away before it answered"),
    ],
    ids=["other form", "no error form", "no HTTP"],
)
def test_an_answer_that_makes_no_sense_is_an_error(answering, reply, message):
    with pytest.raises(errors.HostError, match=message):
        answering(reply).status()


NO_ANSWERS = {"silence": b"", "half an answer": b"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{"}


@pytest.mark.parametrize("reply", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_a_router_that_ends_before_it_has_answered_does_not_run(answering, reply):
    with pytest.raises(errors.RouterDown, match="start it with 'van up'"):
        answering(reply).status()


@pytest.mark.parametrize("reply", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_what_may_have_been_done_is_not_asked_for_again(answering, reply):
    with pytest.raises(errors.RouterLost, match="went away before it answered"):
        answering(reply).delete_link("east")


@pytest.mark.usefixtures("state")
def test_what_only_looks_is_asked_of_the_router_that_has_come_meanwhile():
    status = make_status()
    answer = http_reply(200, msgspec.json.encode(status))
    with playing("west", lambda router: router.give_way(answer)):
        assert ControlClient("west").status() == status


@pytest.mark.usefixtures("state")
def test_a_router_that_answers_nobody_is_given_up(monkeypatch):
    monkeypatch.setattr(client_module, "SOCKET_TIMEOUT", 0.05)
    is_over = threading.Event()
    with playing("west", lambda router: router.linger(is_over)):
        try:
            with pytest.raises(errors.RouterLost, match="went away before it answered"):
                ControlClient("west").status()
        finally:
            is_over.set()


@pytest.mark.usefixtures("state")
def test_a_router_that_was_killed_and_still_takes_connections_is_down():
    with playing("west", DyingRouter.end), pytest.raises(errors.RouterDown, match="'van up'"):
        ControlClient("west").status()


@pytest.mark.usefixtures("state")
def test_what_a_dying_router_was_to_do_may_have_been_done():
    with playing("west", DyingRouter.end), pytest.raises(errors.RouterLost, match="went away"):
        ControlClient("west").delete_link("east")


def test_no_socket_means_that_the_router_is_down(home):
    with pytest.raises(errors.RouterDown, match="start it with 'van up'"):
        ControlClient("west").status()


def test_a_dead_socket_means_that_the_router_is_down(home):
    make_private_directory(site_paths("west").state_dir)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(site_paths("west").control_socket))
    with pytest.raises(errors.RouterDown):
        ControlClient("west").status()


def test_with_several_sites_the_advice_names_the_site(home):
    for site in ("west", "east"):
        make_private_directory(site_paths(site).state_dir)
        site_paths(site).identity_file.touch()
    with pytest.raises(errors.RouterDown, match="'van up --site west'"):
        ControlClient("west").status()


def test_every_endpoint_is_asked_by_a_method(home):
    asked = []

    class Listening(ControlClient):
        def _call(self, endpoint, value, **path):
            assert path.keys() == set(endpoint.parameters)
            asked.append(endpoint)

    client = Listening("west")
    for name, method in inspect.getmembers(ControlClient, inspect.isfunction):
        if not name.startswith("_"):
            parameters = list(inspect.signature(method).parameters.values())[1:]
            getattr(client, name)(*(GIVEN[each.name] for each in parameters))
    client.network()
    assert sorted(map(str, asked)) == sorted(map(str, ENDPOINTS))
