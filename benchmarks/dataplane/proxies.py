"""How HAProxy, nginx, and stunnel are configured: mutual TLS 1.3 between them, else as they come.

The first two have one thread. All are told to check the other's certificate and name, and have room
for thousands of flows.
"""

from pathlib import Path
from typing import Final

from benchmarks.common.programs import find
from benchmarks.dataplane.hops import BACKLOG, CONNECTIONS, Hop

STREAM_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def haproxy(hop: Hop, file: Path) -> tuple[str, ...]:
    """Set up HAProxy."""
    tls = f"ssl crt {hop.certificate} ca-file {hop.root} verify required ssl-min-ver TLSv1.3"
    accept = f" {tls}" if hop.previous else ""
    connect = f" {tls} verifyhost {hop.next}" if hop.next else ""
    file.write_text(f"""\
global
    nbthread 1
    maxconn {CONNECTIONS}
    no strict-limits
defaults
    mode tcp
    maxconn {CONNECTIONS}
    backlog {BACKLOG}
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend near
    bind 127.0.0.1:{hop.listen}{accept}
    default_backend far
backend far
    server far 127.0.0.1:{hop.connect}{connect}
""")
    return (_path("haproxy"), "-db", "-f", str(file))


def nginx(hop: Hop, file: Path) -> tuple[str, ...]:
    """Set up nginx with its stream module."""
    accept = f"""
        ssl_protocols TLSv1.3;
        ssl_certificate {hop.certificate};
        ssl_certificate_key {hop.certificate};
        ssl_client_certificate {hop.root};
        ssl_verify_client on;"""
    connect = f"""
        proxy_ssl on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_certificate {hop.certificate};
        proxy_ssl_certificate_key {hop.certificate};
        proxy_ssl_trusted_certificate {hop.root};
        proxy_ssl_verify on;
        proxy_ssl_name {hop.next};"""
    file.write_text(f"""\
load_module {STREAM_MODULE};
daemon off;
worker_processes 1;
pid {file}.pid;
error_log stderr error;
events {{ worker_connections {2 * CONNECTIONS}; }}
stream {{
    server {{
        listen 127.0.0.1:{hop.listen}{" ssl" if hop.previous else ""} backlog={BACKLOG};
        proxy_pass 127.0.0.1:{hop.connect};
        proxy_timeout 1h;
        tcp_nodelay on;{accept if hop.previous else ""}{connect if hop.next else ""}
    }}
}}
""")
    return (_path("nginx"), "-e", "stderr", "-p", str(file.parent), "-c", str(file))


def stunnel(hop: Hop, file: Path) -> tuple[str, ...]:
    """Set up stunnel, which has a thread for each flow.

    A service of it has TLS on one side. In the middle there are two, with a connection between
    them within the process.
    """
    tls = f"cert = {hop.certificate}\nCAfile = {hop.root}\nverifyChain = yes"
    services = ""
    if hop.previous:
        connect = hop.inner if hop.next else hop.connect
        services += f"[accept]\naccept = 127.0.0.1:{hop.listen}\n"
        services += f"connect = 127.0.0.1:{connect}\n{tls}\n"
    if hop.next:
        accept = hop.inner if hop.previous else hop.listen
        services += f"[connect]\nclient = yes\naccept = 127.0.0.1:{accept}\n"
        services += f"connect = 127.0.0.1:{hop.connect}\n{tls}\ncheckHost = {hop.next}\n"
    file.write_text(f"""\
foreground = yes
pid =
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
sslVersionMin = TLSv1.3
{services}""")
    return (_path("stunnel"), str(file))


def http_server(port: int, file: Path) -> tuple[str, ...]:
    """Set up an nginx that answers every request with two bytes."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"    {kind}_temp_path {file}.{kind};\n" for kind in kinds)
    file.write_text(f"""\
daemon off;
worker_processes 1;
pid {file}.pid;
error_log stderr error;
events {{ worker_connections {2 * BACKLOG}; }}
http {{
{places}    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {{
        listen 127.0.0.1:{port} backlog={BACKLOG};
        location / {{ return 200 "ok"; }}
    }}
}}
""")
    return (_path("nginx"), "-e", "stderr", "-p", str(file.parent), "-c", str(file))


def _path(program: str) -> str:
    path = find(program)
    assert path is not None, f"{program} is not installed"
    return path
