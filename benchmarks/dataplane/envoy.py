"""How Envoy is configured: flows as HTTP/2 streams of one connection with mutual TLS 1.3.

The entry makes of each TCP connection a CONNECT request, a proxy in the middle passes that on, and
the exit makes a TCP connection of it again. One thread each, else as it comes, but for room for as
many flows as the others have.
"""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.common.programs import find
from benchmarks.dataplane.hops import BACKLOG, CONNECTIONS, Hop

TYPES: Final = "type.googleapis.com/envoy.extensions"
NETWORK: Final = f"{TYPES}.filters.network"
TLS: Final = f"{TYPES}.transport_sockets.tls.v3"

SETTINGS: Final = {"overload.premature_reset_total_stream_count": 10**9}
"""Flows of less than a second that are reset at their end look like an attack, and all flows of the
connection are ended after 500 of them: not before there are so many."""

Config = dict[str, Any]


def envoy(hop: Hop, file: Path) -> tuple[str, ...]:
    """Set up Envoy."""
    config = {
        "static_resources": {
            "listeners": [_accept_http(hop) if hop.previous else _accept_tcp(hop)],
            "clusters": [_cluster(hop)],
        },
        "layered_runtime": {"layers": [{"name": "static", "static_layer": SETTINGS}]},
    }
    file = file.with_suffix(".json")  # Envoy goes by the name
    file.write_text(json.dumps(config))
    path = find("envoy")
    assert path is not None, "envoy is not installed"
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return (path, "--config-path", str(file), *options)


def _accept_tcp(hop: Hop) -> Config:
    tunnel = {"hostname": "bench:1"}
    proxy = {"stat_prefix": "near", "cluster": "far", "tunneling_config": tunnel}
    return _listener(hop, f"{NETWORK}.tcp_proxy.v3.TcpProxy", proxy)


def _accept_http(hop: Hop) -> Config:
    connect: Config = {"upgrade_type": "CONNECT"}
    if hop.next is None:
        connect["connect_config"] = {}  # ends the request here, and passes on what is in it
    route = {
        "match": {"connect_matcher": {}},
        "route": {"cluster": "far", "upgrade_configs": [connect]},
    }
    manager = {
        "stat_prefix": "near",
        "codec_type": "HTTP2",
        "http2_protocol_options": {"allow_connect": True, "max_concurrent_streams": CONNECTIONS},
        "upgrade_configs": [{"upgrade_type": "CONNECT"}],
        "stream_idle_timeout": "3600s",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [_typed("router", f"{TYPES}.filters.http.router.v3.Router")],
    }
    kind = f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager"
    listener = _listener(hop, kind, manager)
    listener["filter_chains"][0]["transport_socket"] = _typed(
        "tls",
        f"{TLS}.DownstreamTlsContext",
        require_client_certificate=True,
        common_tls_context=_tls(hop, hop.previous),
    )
    return listener


def _listener(hop: Hop, kind: str, settings: Config) -> Config:
    return {
        "name": "near",
        "address": _address(hop.listen),
        "tcp_backlog_size": BACKLOG,
        "filter_chains": [{"filters": [_typed("proxy", kind, **settings)]}],
    }


def _cluster(hop: Hop) -> Config:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), CONNECTIONS)
    endpoint = {"endpoint": {"address": _address(hop.connect)}}
    cluster = {
        "name": "far",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "far", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if hop.next is None:
        return cluster
    streams = {"max_concurrent_streams": CONNECTIONS}
    options = {
        "@type": f"{TYPES}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": streams},
    }
    return cluster | {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
        "transport_socket": _typed(
            "tls",
            f"{TLS}.UpstreamTlsContext",
            sni=hop.next,
            common_tls_context=_tls(hop, hop.next),
        ),
    }


def _tls(hop: Hop, peer: str | None) -> Config:
    """Return how to prove to be this site, and that the other is `peer`."""
    file = {"filename": str(hop.certificate)}
    return {
        "alpn_protocols": ["h2"],
        "tls_params": dict.fromkeys(
            ("tls_minimum_protocol_version", "tls_maximum_protocol_version"), "TLSv1_3"
        ),
        "tls_certificates": [{"certificate_chain": file, "private_key": file}],
        "validation_context": {
            "trusted_ca": {"filename": str(hop.root)},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": peer}}],
        },
    }


def _address(port: int) -> Config:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _typed(name: str, kind: str, **settings: object) -> Config:
    return {"name": name, "typed_config": {"@type": kind, **settings}}
