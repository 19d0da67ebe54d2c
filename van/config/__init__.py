"""A site's configuration: the values, the table of their keys, and the file that holds them.

The file is TOML that a person writes as much as the router does: a command changes only the lines
of what it changes. What people don't write is kept with the state (`van.paths`).
"""

from van.config.file import load_config, save_config, update_config
from van.config.values import (
    AUTO,
    DEFAULT_HOLD,
    DEFAULT_IDLE,
    DISTRIBUTIONS,
    MAX_COST,
    MAX_HOLD,
    MAX_IDLE,
    MIN_HOLD,
    MIN_IDLE,
    PROTOCOLS,
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
    "MAX_COST",
    "MAX_HOLD",
    "MAX_IDLE",
    "MIN_HOLD",
    "MIN_IDLE",
    "PROTOCOLS",
    "Check",
    "ConnectorConfig",
    "LinkConfig",
    "ListenerConfig",
    "SiteConfig",
    "check_protocol",
    "load_config",
    "parse_distribution",
    "save_config",
    "update_config",
]
