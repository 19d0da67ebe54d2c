"""Examples of each command, as its help and the manual page show them."""

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        "van demo",
        "van init laptop",
        "van expose tcp web:8080",
        "van bind tcp db:5432",
    ),
    "init": (
        "van init laptop",
        "van init edge --listen 0.0.0.0:7671 --advertise edge.example:7671",
    ),
    "up": ("van up", "van up --site edge"),
    "down": ("van down", "van down --grace 5m", "van down --force"),
    "restart": ("van restart", "van restart --grace 1m"),
    "router": ("van router --site edge",),
    "logs": ("van logs", "van logs -f", "van logs --since 1h"),
    "demo": ("van demo", "van demo --keep", "van demo --stop"),
    "expose": (
        "van expose tcp db:5432",
        "van expose tcp web:8080 --target 3000 --check http:/health",
        "van expose tcp web:8080 --target unix:/run/web.sock",
        "van expose udp metrics:9000 --multicast",
    ),
    "unexpose": ("van unexpose tcp db:5432", "van unexpose tcp db:5432 --drain"),
    "bind": (
        "van bind tcp db:5432",
        "van bind tcp web:80 --listen 8080",
        "van bind udp dns:53 --listen 5353 --idle 30s",
    ),
    "unbind": ("van unbind tcp db:5432", "van unbind tcp web:80 --listen 8080"),
    "status": ("van status", "van status -w", "van status --json"),
    "services": ("van services", "van services --json"),
    "ls": ("van ls",),
    "ps": ("van ps",),
    "network": (
        "van network",
        "van network --from edge",
        "van network --dot | dot -Tsvg > van.svg",
    ),
    "trace": ("van trace db:5432", "van trace edge"),
    "flows": ("van flows", "van flows --ended", "van flows --ended --json"),
    "explain": ("van explain db:5432", "van explain dns:53 --protocol udp"),
    "events": ("van events", "van events --no-follow --last 50", "van events --json"),
    "link": ("van link create invite.toml", "van link accept invite.toml"),
    "link create": (
        "van link create invite.toml",
        "van link create --uses 5 --expires 1h",
        "van link create --for dbhost --tag prod --allow-expose db:5432 --allow-bind none",
        "van link create --allow-expose 'web,*.staging' --allow-bind '*' invite.toml",
    ),
    "link accept": ("van link accept invite.toml", "ssh edge van link create | van link accept -"),
    "link list": ("van link list", "van link list --json"),
    "link delete": ("van link delete edge",),
    "link cost": ("van link cost edge 10", "van link cost edge auto"),
    "link hold": ("van link hold edge 5", "van link hold edge 500ms"),
    "token": ("van token list",),
    "token list": ("van token list", "van token list --json"),
    "token revoke": ("van token revoke k3v9q2", "van token revoke k3v9q2 --with-sites"),
    "authority": ("van authority show", "van authority back-up root.backup"),
    "authority show": ("van authority show", "van authority show --json"),
    "authority back-up": (
        "van authority back-up root.backup",
        "van authority back-up --passphrase-file words.txt root.backup",
    ),
    "authority restore": ("van authority restore root.backup --site standby",),
    "site": ("van site list", "van site drain"),
    "site list": ("van site list", "van site list --json"),
    "site delete": ("van site delete laptop", "van site delete laptop --force --yes"),
    "site expel": (
        "van site expel laptop --reason 'stolen on Monday'",
        "van site expel laptop --yes --json",
    ),
    "site expelled": ("van site expelled", "van site expelled --json"),
    "site drain": ("van site drain",),
    "site undrain": ("van site undrain",),
    "help": ("van help", "van help expose", "van help link create"),
    "version": ("van version",),
}
"""By the words that call a command after `van`."""
