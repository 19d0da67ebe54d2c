"""The document of a policy, which people write: ordered rules in TOML."""

from pathlib import Path
from typing import Final

from van.errors import ConfigError, InvalidName
from van.names import check_pattern
from van.policy.rules import MAX_DOCUMENT, Policy, Rule
from van.policy.sources import MAX_SOURCES, check_source
from van.toml.table import Table, parse_toml

MAX_RULES: Final = 256
ACTIONS: Final = ("allow", "deny")
DOCUMENT: Final = Path("policy")
"""How a document without a file is called where it is wrong."""


def read_policy(text: str, *, is_closed: bool = False, path: Path = DOCUMENT) -> Policy:
    """Read the rules of a document; raise `ConfigError`, with the line that is wrong.

    `path` is where it is, for who has to mend it.
    """
    if len(text) > MAX_DOCUMENT:
        raise ConfigError(
            f"{path}:1: the policy has {len(text)} characters: use {MAX_DOCUMENT} at most"
        )
    root = parse_toml(path, text.encode())
    tables = root.read_tables("rule")
    root.finish()
    if len(tables) > MAX_RULES:
        raise tables[MAX_RULES].error(None, f"a policy has {MAX_RULES} rules at most: use tags")
    return Policy(is_closed, tuple(map(_read_rule, tables)))


def _read_rule(table: Table) -> Rule:
    action = table.require_text("action", _check_action, example="allow")
    sources = table.read_texts("from", check_source, example="tag:prod")
    addresses = table.read_texts("to", check_pattern, example="db:5432")
    table.finish()
    for key, values, example in (("from", sources, "tag:prod"), ("to", addresses, "db:5432")):
        if not values:
            raise table.error(None, f'{table.name} has no {key}: add {key} = ["{example}"]')
        if len(values) > MAX_SOURCES:
            raise table.error(key, f"{key} has {len(values)} words: use {MAX_SOURCES} at most")
    return Rule(action == "allow", sources, addresses, table.find_line())


def _check_action(text: str) -> str:
    if text in ACTIONS:
        return text
    raise InvalidName(f"{text!r} is not known: use {' or '.join(ACTIONS)}")
