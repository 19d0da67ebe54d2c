"""A status with something of everything, as a router would send it."""

from datetime import UTC, datetime

from van.control.values.attachments import ConnectorStatus, ListenerStatus
from van.control.values.authority import AuthorityInfo
from van.control.values.bundles import BundlesStatus
from van.control.values.links import LinkStatus
from van.control.values.status import (
    SCHEMA,
    AddressStatus,
    Counters,
    FlowStatus,
    RouterStatus,
    SiteStatus,
    Status,
)
from van.control.values.tokens import TokenInfo


def make_status(**changes):
    values = {
        "schema": SCHEMA,
        "router": make_router(),
        "links": (make_link(), make_link(neighbor="north", state="connecting", **UNHEARD)),
        "sites": (
            make_site(),
            make_site(site="hub", next_hop="hub", cost=1, hops=1, links=("west",), services=0),
            make_site(site="moon", next_hop=None, cost=None, hops=None, links=(), services=0),
        ),
        "addresses": (
            make_address(),
            make_address(address="db:5432", served_at=(), bound_at=()),
        ),
        "connectors": (make_connector(),),
        "listeners": (make_listener(),),
        "flows": (make_flow(),),
        "flows_total": 1,
        "counters": make_counters(),
        "bundles": (make_bundles(),),
    }
    return Status(**{**values, **changes})


UNHEARD = {
    "hold_time": None,
    "round_trip_ms": None,
    "proof_age": None,
    "up_for": None,
    "channels": 0,
}


def make_connector(**changes):
    values = {
        "address": "db:5432",
        "protocol": "tcp",
        "target": "127.0.0.1:5432",
        "state": "failing",
        "detail": "connection refused",
        "flows": 0,
        "distribution": "balanced",
        "weight": 1,
        "precedence": 100,
        "connect_timeout": None,
        "proxy_protocol": False,
        "allow_from": (),
        "instances": 0,
        "in_flight": 0.0,
        "expected_delay_ms": None,
    }
    return ConnectorStatus(**{**values, **changes})


def make_listener(**changes):
    values = {
        "address": "web:8080",
        "protocol": "tcp",
        "listen": "127.0.0.1:8080",
        "state": "open",
        "detail": "",
        "flows": 2,
    }
    return ListenerStatus(**{**values, **changes})


def make_address(**changes):
    values = {
        "address": "web:8080",
        "protocol": "tcp",
        "served_at": ("east",),
        "bound_at": ("west",),
        "not_allowed_at": (),
        "distribution": "balanced",
        "dissenters": (),
        "flows": 2,
        "in_flight": None,
        "expected_delay_ms": None,
    }
    return AddressStatus(**{**values, **changes})


def make_router(**changes):
    values = {
        "site": "west",
        "van": "3f9a",
        "version": "0.1.0",
        "pid": 4242,
        "uptime": 3725.0,
        "identity": "spiffe://3f9a/site/west",
        "can_invite": True,
        "allow_expose": ("*",),
        "allow_bind": ("web", "*.shop"),
        "certificate_expires_in": 86400.0,
        "transit": "yes",
        "serving": "yes",
        "listen": None,
        "advertise": (),
    }
    return RouterStatus(**{**values, **changes})


def make_link(**changes):
    values = {
        "neighbor": "hub",
        "direction": "outgoing",
        "state": "up",
        "cost": 1,
        "is_auto_cost": False,
        "hold_time": 1.05,
        "round_trip_ms": 0.41,
        "proof_age": 0.05,
        "up_for": 95.0,
        "remote": "127.0.0.1:7671",
        "channels": 3,
        "detail": "",
    }
    return LinkStatus(**{**values, **changes})


def make_site(**changes):
    values = {
        "site": "west",
        "next_hop": "",
        "cost": 0,
        "hops": 0,
        "links": ("hub",),
        "services": 1,
        "is_transit": True,
    }
    return SiteStatus(**{**values, **changes})


def make_bundles(**changes):
    values = {
        "site": "east",
        "role": "ingress",
        "bundles": 2,
        "flows": 5,
        "bulk": 0,
        "congestion": ("bbr",),
        "round_trip_ms": 1.2,
        "segments": 1000,
        "repeated": 0,
        "stalled": 0,
        "recovering": 0,
    }
    return BundlesStatus(**{**values, **changes})


def make_flow(**changes):
    values = {
        "id": "7",
        "role": "ingress",
        "protocol": "tcp",
        "address": "web:8080",
        "peer_site": "east",
        "local": "127.0.0.1:50000",
        "age": 4.0,
        "bytes_in": 1234,
        "bytes_out": 5_600_000,
    }
    return FlowStatus(**{**values, **changes})


def make_counters(**changes):
    values = {
        "flows_opened": 0,
        "flows_refused": 0,
        "flows_reset": 0,
        "relays": 0,
        "relayed_bytes": 0,
        "refused_connections": {},
        "dropped_advertisements": {},
        "dropped_probes": {},
        "dropped_datagrams": {},
        "multicast_bytes": {},
    }
    return Counters(**{**values, **changes})


def make_token(**changes):
    values = {
        "id": "ab12",
        "state": "valid",
        "expires_in": 600.0,
        "uses": 2,
        "names": ("*",),
        "replaces": False,
        "used_by": ("east",),
        "can_invite": False,
        "allow_expose": ("*",),
        "allow_bind": (),
        "may_name": ("*",),
        "may_tag": (),
        "tags": (),
        "life": 604800,
        "is_ephemeral": False,
    }
    return TokenInfo(**{**values, **changes})


def make_authority(**changes):
    values = {
        "site": "edge-amsterdam",
        "kind": "root",
        "key": "3" * 64,
        "expires_at": datetime(2036, 11, 28, 8, tzinfo=UTC),
        "is_reachable": True,
        "issued_by": "",
        "sites": 2,
        "can_invite": True,
        "allow_expose": ("*",),
        "allow_bind": ("*",),
    }
    return AuthorityInfo(**{**values, **changes})
