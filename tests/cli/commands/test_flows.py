"""What `van flows` says of a flow that is live, and of one that is not any more."""

import json
import socket

import pytest

from lab.ports import free_port
from lab.processes import wait_for


@pytest.mark.slow("a router is started")
def test_a_flow_is_listed_while_it_lives_and_with_its_end_after_that(van, running):
    with socket.create_server(("127.0.0.1", 0)) as server:
        target, port = server.getsockname()[1], free_port()
        van("expose", "tcp", "echo:7", "--target", str(target))
        van("bind", "tcp", "echo:7", "--listen", str(port))
        wait_for(lambda: "open" in van("status").stdout, "the port is open")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.send(b"12345")
            wait_for(lambda: "echo:7" in van("flows").stdout, "it is listed")
            (live,) = json.loads(van("flows", "--json").stdout)
            assert live["address"] == "echo:7"
    wait_for(lambda: "echo:7" in van("flows", "--ended").stdout, "its end is listed")
    (ending,) = json.loads(van("flows", "--ended", "--json").stdout)
    assert (ending["address"], ending["bytes_in"]) == ("echo:7", 5)
    assert "no flow begins or ends here now" in van("flows").stdout
