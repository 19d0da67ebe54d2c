"""The page of screens: what the tables show of one network, on screens of several widths.

`make docs` writes it; a test holds the page to the code.
"""

from datetime import UTC, datetime

from tests.cli.render.test_explain import make_candidate, make_explain
from tests.cli.render.test_network import make_link as make_map_link
from tests.cli.render.test_network import make_network
from tests.cli.render.test_network import make_site as make_map_site
from tests.cli.render.test_trace import make_trace
from tests.cli.values import (
    UNHEARD,
    make_address,
    make_authority,
    make_bundles,
    make_connector,
    make_counters,
    make_flow,
    make_link,
    make_listener,
    make_router,
    make_site,
    make_status,
    make_token,
)
from tests.docs.pages import ROOT
from van.cli.render import network
from van.cli.render.authority import authority_sections
from van.cli.render.explain import explain_sections
from van.cli.render.layout import plain_text
from van.cli.render.services import services_section
from van.cli.render.status import links_section, status_sections, tokens_section
from van.cli.render.trace import trace_sections
from van.control.values.authority import Authorities
from van.control.values.paths import TraceCandidate, TraceHop

PAGE = ROOT / "docs" / "screens.md"
WIDTHS = (60, 80, 120)
HEAD = """\
# Screens

What the tables of `van` look like on screens of 60, 80, and 120 columns: one network, with some
trouble in it. `make docs` writes this page.

Where a table does not fit, texts wrap between words; then columns fold, the least important first,
and a line below the table names them. A heading is never cut, and the name and the reason always
stay. `--json` has everything, and so has a pipe, where no width is known.
"""

VAN = "3ffbxdxwhu7x7vtzgixt6b6d3e"
REFUSED = "edge-frankfurt.shop.example:7671 can't be reached: connection refused"
STATUS = make_status(
    router=make_router(
        site="laptop",
        van=VAN,
        identity=f"spiffe://{VAN}/site/laptop",
        can_invite=False,
        allow_expose=("web", "*.staging"),
        allow_bind=("*",),
        certificate_expires_in=6.9 * 86400,
        congestion="bbr",
        congestion_chosen="bbr",
    ),
    links=(
        make_link(neighbor="edge-amsterdam", remote="edge-amsterdam.shop.example:7671"),
        make_link(
            neighbor="edge-frankfurt",
            state="down",
            remote="edge-frankfurt.shop.example:7671",
            detail=REFUSED,
            **UNHEARD,
        ),
    ),
    sites=(
        make_site(site="dbhost", next_hop="edge-amsterdam", cost=2, hops=2, services=2,
                  links=("edge-amsterdam", "edge-frankfurt")),
        make_site(site="edge-amsterdam", next_hop="edge-amsterdam", cost=1, hops=1, services=1,
                  links=("dbhost", "laptop")),
        make_site(site="edge-frankfurt", next_hop=None, cost=None, hops=None, links=("dbhost",),
                  services=0),
        make_site(site="laptop", links=("edge-amsterdam",), services=1, is_transit=False),
    ),
    addresses=(
        make_address(address="db.orders:5432", served_at=("dbhost",), bound_at=("laptop",),
                     flows=3, in_flight=2.1, expected_delay_ms=4.2),
        make_address(address="dns:53", protocol="udp", served_at=("dbhost", "edge-amsterdam"),
                     bound_at=("laptop",), flows=0),
        make_address(address="search.api:9200", served_at=(), bound_at=("laptop",), flows=0),
        make_address(address="web.staging:8080", served_at=(), bound_at=("edge-amsterdam",),
                     flows=0),
    ),
    connectors=(
        make_connector(address="web.staging:8080", target="127.0.0.1:3000",
                       detail="the target refuses: connection refused"),
    ),
    listeners=(
        make_listener(address="db.orders:5432", listen="127.0.0.1:5432", flows=3),
        make_listener(protocol="udp", address="dns:53", listen="127.0.0.1:5353", flows=0),
        make_listener(address="search.api:9200", listen="127.0.0.1:9200", state="waiting",
                      detail="no site that can be reached serves the address", flows=0),
    ),
    flows=(
        make_flow(address="db.orders:5432", peer_site="dbhost"),
        make_flow(address="db.orders:5432", peer_site="dbhost", local="127.0.0.1:50002", age=912.0,
                  is_bulk=True),
    ),
    flows_total=3,
    bundles=(
        make_bundles(site="dbhost", bundles=2, flows=2, bulk=1, round_trip_ms=18.4,
                     segments=52_000, repeated=312, recovering=1),
        make_bundles(site="edge-amsterdam", role="egress", bundles=1, flows=0,
                     round_trip_ms=7.2, segments=1_900),
    ),
    counters=make_counters(flows_opened=31, flows_refused=2),
)  # fmt: skip
EXPLAIN = make_explain(
    address="db.orders:5432",
    candidates=(
        make_candidate(
            site="dbhost",
            path=("laptop", "edge-amsterdam", "dbhost"),
            weight=1,
            round_trip_ms=18.2,
            expected_delay_ms=4.2,
            score_ms=22.4,
        ),
        make_candidate(
            site="db-standby-frankfurt",
            path=("laptop", "edge-amsterdam", "dbhost", "edge-frankfurt", "db-standby-frankfurt"),
            flows=0,
            in_flight=None,
            report_age=None,
            weight=1,
            round_trip_ms=31.0,
            expected_delay_ms=6.0,
            score_ms=37.0,
            reason="14.6 ms slower",
        ),
        make_candidate(
            site="edge-amsterdam",
            path=("laptop", "edge-amsterdam"),
            flows=0,
            weight=1,
            round_trip_ms=7.1,
            expected_delay_ms=2.2,
            score_ms=9.3,
            ejected_for=3.4,
            reason="out for another 3.4s: 3 failures in a row",
        ),
    ),
)
MAP = make_network(
    source="laptop",
    sites=(
        make_map_site(
            site="dbhost", cost=2, hops=2, path=("laptop", "edge-amsterdam", "dbhost")
        ),
        make_map_site(site="edge-amsterdam", cost=1, hops=1, path=("laptop", "edge-amsterdam")),
        make_map_site(site="edge-frankfurt"),
        make_map_site(site="laptop", cost=0, hops=0, path=("laptop",), is_transit=False),
    ),
    links=(
        make_map_link(site="dbhost", neighbor="edge-amsterdam", round_trip_ms=11.1),
        make_map_link(
            site="dbhost", neighbor="edge-frankfurt", cost=4, cost_back=None,
            round_trip_ms=None, is_two_way=False,
        ),
        make_map_link(site="edge-amsterdam", neighbor="laptop", cost_back=3, round_trip_ms=7.1),
    ),
)  # fmt: skip
TRACE = make_trace(
    target="db.orders:5432",
    site="dbhost",
    candidates=(
        TraceCandidate(site="dbhost", cost=2, flows=3),
        TraceCandidate(site="db-standby-frankfurt", cost=7, flows=0),
    ),
    hops=(
        TraceHop(site="edge-amsterdam", round_trip_ms=7.08),
        TraceHop(site="dbhost", round_trip_ms=18.2),
    ),
)
TOKENS = (
    make_token(id="k3v9q2", used_by=(), allow_expose=("web", "*.staging"), allow_bind=("*",)),
    make_token(id="p7xw1c", state="used up", expires_in=-5.0, uses=1, used_by=("laptop",)),
)
AUTHORITIES = Authorities(
    van=VAN,
    site="laptop",
    held=None,
    roll=None,
    known=(
        make_authority(),
        make_authority(
            site="edge-frankfurt", kind="intermediate", key="4" * 64, sites=3,
            expires_at=datetime(2026, 12, 20, 8, tzinfo=UTC),
        ),
        make_authority(
            site="shop-frankfurt", kind="intermediate", key="5" * 64, sites=0,
            is_reachable=False, issued_by="edge-frankfurt",
            expires_at=datetime(2026, 12, 22, 8, tzinfo=UTC),
        ),
    ),
)  # fmt: skip
SCREENS = {
    "van status": status_sections(STATUS),
    "van explain db.orders:5432": explain_sections(EXPLAIN),
    "van services": [services_section(STATUS.addresses)],
    "van network": [network.sites_section(MAP), network.links_section(MAP.links)],
    "van trace db.orders:5432": trace_sections(TRACE),
    "van link list": [links_section(STATUS)],
    "van token list": [tokens_section(TOKENS)],
    "van authority show": authority_sections(AUTHORITIES),
}
"""What each command shows of the network."""


def write_page():
    """Return the page."""
    parts = [HEAD]
    for command, sections in SCREENS.items():
        parts.append(f"## `{command}`\n")
        for width in WIDTHS:
            text = plain_text(sections, width)
            parts.append(f"On {width} columns:\n\n```console\nlaptop$ {command}\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(write_page())
