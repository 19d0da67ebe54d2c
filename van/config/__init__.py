"""A site's configuration: the values, which are here, the table of their keys (`keys`), and the
file that holds them (`file`).

The file is TOML that a person writes as much as the router does: a command changes only the lines
of what it changes. What people don't write is kept with the state (`van.paths`).
"""

from van.config.values import (
    AUTO,
    DEFAULT_HOLD,
    DEFAULT_IDLE,
    DISTRIBUTIONS,
    LOG_FORMATS,
    LOG_LEVELS,
    MAX_CONNECT_TIMEOUT,
    MAX_COST,
    MAX_HOLD,
    MAX_IDLE,
    MIN_CONNECT_TIMEOUT,
    MIN_HOLD,
    MIN_IDLE,
    PROTOCOLS,
    SYSTEM,
    Check,
    ConnectorConfig,
    LinkConfig,
    ListenerConfig,
    SiteConfig,
    check_protocol,
    parse_distribution,
)

__all__ = [
    "AUTO",
    "DEFAULT_HOLD",
    "DEFAULT_IDLE",
    "DISTRIBUTIONS",
    "LOG_FORMATS",
    "LOG_LEVELS",
    "MAX_CONNECT_TIMEOUT",
    "MAX_COST",
    "MAX_HOLD",
    "MAX_IDLE",
    "MIN_CONNECT_TIMEOUT",
    "MIN_HOLD",
    "MIN_IDLE",
    "PROTOCOLS",
    "SYSTEM",
    "Check",
    "ConnectorConfig",
    "LinkConfig",
    "ListenerConfig",
    "SiteConfig",
    "check_protocol",
    "parse_distribution",
]
