"""The command line as people and programs use it."""

import time

import msgspec

from lab.processes import Lab
from lab.recovery import SITES
from tests.end_to_end.programs import need, run
from van.cli.render.sites import LocalSite
from van.control.values.links import LinkStatus
from van.control.values.status import Status
from van.control.values.tokens import TokenInfo


def test_status_for_programs_is_what_the_control_api_documents(sites: Lab) -> None:
    with sites.service("doc:7"):
        for site in SITES:
            printed = sites.van("--site", site, "status", "--json").stdout
            status = msgspec.json.decode(printed, type=Status)
            assert status.router.site == site
            assert {each.site for each in status.sites} == set(SITES)
            assert [each.served_at for each in status.addresses if each.address == "doc:7"] == [
                ("east",)
            ]


def test_lists_for_programs_have_the_same_forms(sites: Lab) -> None:
    links = sites.van("--site", "hub", "link", "list", "--json").stdout
    assert len(msgspec.json.decode(links, type=list[LinkStatus])) == 2
    tokens = sites.van("--site", "hub", "token", "list", "--json").stdout
    assert {each.used_by for each in msgspec.json.decode(tokens, type=list[TokenInfo])} >= {
        ("west",),
        ("east",),
    }
    local = sites.van("site", "list", "--json").stdout
    assert {each.site for each in msgspec.json.decode(local, type=list[LocalSite])} == set(SITES)


def test_curl_is_a_control_client_too(sites: Lab) -> None:
    control = sites.directory / "state" / "van" / "hub" / "control.sock"
    printed = run(
        *(need("curl"), "--silent", "--fail", "--unix-socket", str(control)),
        "http://localhost/v1/status",
    )
    assert msgspec.json.decode(printed, type=Status).router.site == "hub"


def test_help_and_status_print_at_once(sites: Lab) -> None:
    for arguments in (("--help",), ("--site", "hub", "status")):
        times = []
        for _ in range(3):
            began = time.monotonic()
            assert sites.van(*arguments).stdout
            times.append(time.monotonic() - began)
        print(f"van {' '.join(arguments)}: {min(times):.2f} s at best of 3")


def test_mistakes_are_told_in_one_line_with_an_exit_code(lab: Lab) -> None:
    for arguments, code, said in (
        (("status",), 1, "no site is set up here: run 'van init NAME'"),
        (("--site", "nowhere", "status"), 1, "site 'nowhere' is not set up here"),
        (("init", "Not A Name"), 2, "Not A Name"),
        (("expose", "tcp"), 2, "ADDRESS"),
        (("frobnicate",), 2, "frobnicate"),
    ):
        done = lab.van(*arguments, check=False)
        assert done.returncode == code, (arguments, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert code != 1 or len(done.stderr.splitlines()) == 1


def test_commands_for_a_router_that_is_down_say_how_to_start_it(lab: Lab) -> None:
    lab.van("init", "alone", "--no-start")
    done = lab.van("status", check=False)
    assert done.returncode == 1
    assert "'van up'" in done.stderr
    assert "is running" in lab.van("up").stdout
    assert "is running already" in lab.van("up").stdout
