"""What becomes of answers, and of their absence, as a command sees it."""

import inspect
import socket
import threading

import msgspec
import pytest

from tests.cli.values import make_status
from van import errors
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
        (b"", "went away before it answered"),
        (b"SSH-2.0-x\r\n", "went away before it answered"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{", "went away before it answered"),
    ],
    ids=["other form", "no error form", "silence", "no HTTP", "half an answer"],
)
def test_an_answer_that_makes_no_sense_is_an_error(answering, reply, message):
    with pytest.raises(errors.HostError, match=message):
        answering(reply).status()


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
