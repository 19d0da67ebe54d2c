"""Starting and stopping a real router, as `van up` and `van down` do."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from lab.ports import free_port
from lab.processes import is_running, wait_for
from tests.control.dying import DyingRouter, playing
from van.control import client
from van.lock import find_holder
from van.paths import site_paths


def test_up_returns_once_the_router_answers(van, running):
    done = van("status")
    assert done.returncode == 0
    assert f"pid {running}" in done.stdout


def test_up_is_content_when_the_router_runs_already(van, running):
    done = van("up")
    assert done.returncode == 0
    assert f"is running already: pid {running}" in done.stdout


def test_the_log_is_for_the_owner_only(running):
    assert site_paths("west").log_file.stat().st_mode & 0o777 == 0o600


def test_down_returns_once_the_router_is_gone(van, running):
    done = van("down")
    assert done.stdout == "router of site 'west' has stopped\n"
    wait_for(lambda: not is_running(running), "the router is gone")
    assert not site_paths("west").control_socket.exists()
    assert "is not running" in van("down").stdout


def test_a_router_that_hangs_is_killed_only_by_force(van, running):
    os.kill(running, signal.SIGSTOP)
    done = van("down", "--timeout", "0.2")
    assert done.returncode == 1
    assert "did not" in done.stderr
    assert is_running(running)
    done = van("down", "--timeout", "0.2", "--force")
    assert done.stdout == "router of site 'west' has stopped\n"
    wait_for(lambda: not is_running(running), "the router is gone")


def test_a_router_starts_after_it_was_killed(van, running):
    os.kill(running, signal.SIGKILL)
    wait_for(lambda: not is_running(running), "the router is gone")
    done = van("up")
    assert done.returncode == 0, done.stderr
    assert f"pid {running}" not in done.stdout


def test_a_router_starts_after_one_of_which_a_thread_still_ends(van, site):
    with playing(site, DyingRouter.end):
        done = van("up")
    try:
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("router of site 'west' is running: pid ")
    finally:
        van("down", "--force", "--timeout", "1")


def test_a_router_that_ends_just_when_it_is_told_to_has_stopped(van, site):
    with playing(site, DyingRouter.end):
        assert van("down").stdout == "router of site 'west' has stopped\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("status", "is not running: start it with 'van up'"),
        ("link list", "is not running: start it with 'van up'"),
        ("bind tcp web:80", "went away before it answered: see "),
    ],
)
def test_a_router_that_ends_just_then_is_told_of(van, site, command, said):
    with playing(site, DyingRouter.end):
        done = van(*command.split())
    assert done.returncode == 1
    assert said in done.stderr


def test_a_running_site_is_deleted_only_by_force(van, running):
    done = van("site", "delete", "west", "--yes")
    assert "router of site 'west' is running" in done.stderr
    assert van("site", "delete", "west", "--yes", "--force").returncode == 0
    wait_for(lambda: not is_running(running), "the router is gone")
    assert not site_paths("west").state_dir.exists()


def test_a_running_site_is_listed_with_its_van(van, running):
    (listed,) = json.loads(van("site", "list", "--json").stdout)
    assert listed["router"] == "running"
    assert listed["van"] == json.loads(van("status", "--json").stdout)["router"]["van"]


def test_a_second_router_of_a_site_declines(van_process, running):
    done = van_process("router")
    assert done.returncode == 1
    assert "is running already" in done.stderr


def test_a_router_is_restarted_or_started(van, running):
    first, second = van("restart").stdout.splitlines()
    assert first == "router of site 'west' has stopped"
    assert second.startswith("router of site 'west' is running: pid ")
    assert not is_running(running)
    van("down")
    assert "is not running" in van("restart").stdout
    assert van("status").returncode == 0


def test_ctrl_c_at_a_router_in_the_foreground_is_130_and_sigterm_0(van, site):
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        with subprocess.Popen([sys.executable, "-m", "van", "router"]) as router:
            wait_for(lambda: van("status").returncode == 0, "the router answers")
            router.send_signal(number)
        assert router.returncode == code


@pytest.mark.parametrize("command", ["events", "logs --follow", "status --watch"])
def test_ctrl_c_is_130_whatever_goes_on(van, running, command):
    arguments = [sys.executable, "-u", "-m", "van", *command.split()]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b""
    assert process.returncode == 130


def test_ctrl_c_while_a_command_is_loaded_leaves_no_traceback():
    script = """
        import os, signal, sys
        from van.__main__ import main
        class Interrupting:
            def find_spec(self, name, path=None, target=None):
                if name == "van.cli.main":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Interrupting())
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_a_watch_goes_on_while_the_router_restarts(van, running):
    command = [sys.executable, "-u", "-m", "van", "status", "--watch", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stdout
            shown = iter(watch.stdout.readline, "")
            assert any(f"pid {running}" in line for line in shown)
            van("down")
            assert any("is not running" in line for line in shown)
            van("up")
            assert any("pid" in line for line in shown)
        finally:
            watch.send_signal(signal.SIGINT)
    assert watch.returncode == 130


def test_a_router_whose_files_a_cleaner_removed_is_seen_and_stopped(van, running):
    paths = site_paths("west")
    paths.control_socket.unlink()
    assert f"pid {running}" in van("status").stdout
    paths.control_socket.unlink()
    assert f"is running already: pid {running}" in van("up").stdout
    paths.control_socket.unlink()
    paths.lock_file.unlink()
    wait_for(lambda: find_holder(paths.lock_file), "the router has its lock again")
    (listed,) = json.loads(van("site", "list", "--json").stdout)
    assert listed["router"] == "running"
    paths.control_socket.unlink()
    assert van("down").stdout == "router of site 'west' has stopped\n"
    assert not is_running(running)
    assert "is not running" in van("down").stdout


def test_no_command_contradicts_another_about_a_router_without_a_socket(van, running, monkeypatch):
    monkeypatch.setattr(client, "SOCKET_TIMEOUT", 0.1)
    socket = site_paths("west").control_socket
    socket.unlink()
    socket.mkdir()  # so that it can't be made anew
    for command in (["status"], ["up"], ["link", "list"], ["site", "delete", "west", "--yes"]):
        done = van(*command)
        assert done.returncode == 1
        assert "router of site 'west' is running" in done.stderr, command
        assert "van down --site west" in done.stderr
    assert json.loads(van("site", "list", "--json").stdout)[0]["router"] == "no answer"
    assert van("down").stdout == "router of site 'west' has stopped\n"
    assert not is_running(running)


def test_a_router_that_hangs_without_a_socket_is_killed_by_force(van, running, monkeypatch):
    monkeypatch.setattr(client, "SOCKET_TIMEOUT", 0.1)
    os.kill(running, signal.SIGSTOP)
    site_paths("west").control_socket.unlink()
    assert "--force kills it" in van("down", "--timeout", "0.2").stderr
    assert van("down", "--timeout", "0.2", "--force").returncode == 0
    wait_for(lambda: not is_running(running), "the router is gone")


@pytest.mark.slow("a router is started, and ends in its own time")
def test_down_and_up_say_what_they_wait_for_and_end_with_it(van, running):
    with socket.create_server(("127.0.0.1", 0)) as server:
        target, port = server.getsockname()[1], free_port()
        van("expose", "tcp", "echo:7", "--target", str(target))
        van("bind", "tcp", "echo:7", "--listen", str(port))
        wait_for(lambda: "open" in van("status").stdout, "the port is open")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.send(b"x")
            wait_for(lambda: json.loads(van("status", "--json").stdout)["flows"], "it is live")
            command = [sys.executable, "-m", "van", "down", "--grace", "10m"]
            down = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert down.stderr is not None
            assert down.stderr.readline() == "waiting for 1 flow to end\n"
            assert is_running(running)
            assert "router west stopping" in " ".join(van("status").stdout.split())
            late = van("up", "--timeout", "0.2")
            assert late.returncode == 1
            assert "did not stop within 0.2 seconds: van down --force kills it" in late.stderr
            command = [sys.executable, "-m", "van", "up"]
            up = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            assert up.stderr is not None
            assert up.stderr.readline() == "waiting for 1 flow to end\n"
        server.close()  # or the flow, of which it has taken nothing, would wait for it
        assert down.wait() == 0
        down.stderr.close()
    wait_for(lambda: not is_running(running), "the router is gone")
    said, _ = up.communicate()
    assert said.startswith("router of site 'west' is running: pid ")
    assert str(running) not in said


@pytest.mark.parametrize("grace", ["-1", "2 weeks", "1000h"])
def test_a_grace_that_is_none_is_wrong_usage(van, home, grace):
    assert van("down", "--grace", grace).returncode == 2


def lines(path):
    return path.read_text().splitlines()


def test_a_log_is_put_aside_when_it_is_full_and_begun_anew_when_it_is_removed(van, site):
    path = site_paths(site).log_file
    path.write_bytes(b"x" * 9_000_000)
    assert van("up").returncode == 0
    try:
        assert path.with_name("router.log.1").stat().st_size == 9_000_000
        assert any("router-started west" in line for line in lines(path))
        path.unlink()
        van("site", "drain")
        wait_for(lambda: path.exists() and lines(path), "the log is there again")
        (line,) = lines(path)
        assert "transit-changed west" in line
    finally:
        van("down", "--force", "--timeout", "1")


def test_how_much_is_logged_and_in_which_form_is_said_at_the_start_or_kept(van, site):
    path = site_paths(site).log_file
    try:
        assert van("up", "--log-format", "json", "--log-level", "debug").returncode == 0
        assert {json.loads(line)["level"] for line in lines(path)} >= {"info"}
        van("down")
        path.unlink()
        site_paths(site).config_file.write_text('[router]\nlog_level = "warning"\n')
        assert van("up").returncode == 0
        assert lines(path) == []
    finally:
        van("down", "--force", "--timeout", "1")
    for option in ("--log-level", "--log-format"):
        done = van("up", option, "loud")
        assert done.returncode == 2
        assert "'loud' is not known: use" in done.stderr
