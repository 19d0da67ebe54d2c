"""Reading `config.toml`, and changing it: a change touches only the lines of what it changes."""

import codecs
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from van.config.keys import CONNECTOR, LINK, LISTENER, LISTS, ROUTER, Section
from van.config.values import SiteConfig
from van.errors import ConfigError
from van.files import read_bytes, write_atomic
from van.toml.editing import Editor, encode_block
from van.toml.table import Table, parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FILE: Final = 4 * 1024 * 1024
"""Largest file in bytes: tens of thousands of entries."""


def load_config(path: Path) -> SiteConfig:
    """Read a site's configuration; a file that is not there is an empty one.

    Raises `ConfigError` with FILE:LINE and what would be right, or `StorageError`.
    """
    return decode_config(path, read_bytes(path, limit=MAX_FILE) or b"")


def save_config(path: Path, config: SiteConfig) -> None:
    """Write a site's configuration anew; a crash leaves the old or the new. Raises `StorageError`.

    Nothing of what the file said before is kept; `update_config` is for a file that is there.
    """
    write_atomic(path, encode_config(config))


def update_config(path: Path, old: SiteConfig, new: SiteConfig) -> None:
    """Change in the file what differs between two configurations, and nothing else.

    What a person has changed in it meanwhile stays. A crash leaves the old file or the new.
    Raises `ConfigError` when what is there now is not valid, or `StorageError`; the file is then
    untouched.
    """
    data = read_bytes(path, limit=MAX_FILE)
    if data is None:
        save_config(path, new)
        return
    changed = change_config(path, data, old, new)
    if changed != data:
        write_atomic(path, changed)


def change_config(path: Path, data: bytes, old: SiteConfig, new: SiteConfig) -> bytes:
    """Return a file's content with the lines changed that say what differs between two others."""
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    there = decode_config(path, data)
    wanted = _merge(there, old, new)
    editor = Editor(data.removeprefix(mark).decode())
    _edit(editor, there, wanted)
    changed = mark + editor.text.encode()
    if decode_config(path, changed) != wanted:
        raise ConfigError(f"{path}:1: can't be changed as it is laid out: write it more simply")
    return changed


def _merge(there: SiteConfig, old: SiteConfig, new: SiteConfig) -> SiteConfig:
    """Return what is there with what differs between two others changed in it."""
    fields: dict[str, Any] = {
        key.name: getattr(new, key.name)
        for key in ROUTER.keys
        if getattr(old, key.name) != getattr(new, key.name)
    }
    for section in LISTS:
        was, is_now = _by_identity(section, old), _by_identity(section, new)
        found = _by_identity(section, there)
        for name in was.keys() - is_now.keys():
            found.pop(name, None)
        found |= {name: value for name, value in is_now.items() if was.get(name) != value}
        fields[section.field] = tuple(found.values())
    return attrs.evolve(there, **fields)


def _edit(editor: Editor, there: SiteConfig, wanted: SiteConfig) -> None:
    """Make a text that says what is there say what is wanted."""
    for section in LISTS:
        if getattr(there, section.field) != getattr(wanted, section.field):
            _edit_list(editor, section, there, wanted)
    if changes := ROUTER.encode_changes(there, wanted):
        editor.unfold(ROUTER.name, ROUTER.header, [ROUTER.encode(there)])
        if editor.has_block(ROUTER.name):
            editor.change_block(ROUTER.name, 0, changes)
        else:
            editor.append_block(ROUTER.header, changes)


def _edit_list(
    editor: Editor, section: Section[Any], there: SiteConfig, wanted: SiteConfig
) -> None:
    was, is_now = _by_identity(section, there), _by_identity(section, wanted)
    editor.unfold(section.name, section.header, map(section.encode, was.values()))
    for index, (name, value) in reversed(list(enumerate(was.items()))):
        if name not in is_now:
            editor.remove_block(section.name, index)
        elif changes := section.encode_changes(value, is_now[name]):
            editor.change_block(section.name, index, changes)
    for name in is_now:
        if name not in was:
            editor.append_block(section.header, section.encode(is_now[name]))


def _by_identity(section: Section[Any], config: SiteConfig) -> dict[str, Any]:
    return {section.identity(value): value for value in getattr(config, section.field)}


def decode_config(path: Path, data: bytes) -> SiteConfig:
    """Return what a file's content says; raise `ConfigError` with FILE:LINE."""
    root = parse_toml(path, data)
    router = ROUTER.read(root.read_table(ROUTER.name))
    config = attrs.evolve(
        router,
        links=_read_all(root, LINK),
        connectors=_read_all(root, CONNECTOR),
        listeners=_read_all(root, LISTENER),
    )
    root.finish()
    return config


def _read_all(root: Table, section: Section[Any]) -> tuple[Any, ...]:
    """Read every table of a kind; no two may have in common what tells them apart."""
    found: dict[str, Any] = {}
    first: dict[str, Table] = {}
    for table in root.read_tables(section.name):
        value = section.read(table)
        name = section.identity(value)
        if name in found:
            line = first[name].find_line()
            raise table.error(None, f"{name} is there twice, first on line {line}: keep one")
        found[name], first[name] = value, table
    return tuple(found.values())


def encode_config(config: SiteConfig) -> bytes:
    """Return the content of a new file."""
    from van.config.reference import render_header  # noqa: PLC0415 - for new files only

    blocks: list[tuple[str, dict[str, Any]]] = []
    if router := ROUTER.encode(config):
        blocks.append((ROUTER.header, router))
    for section in LISTS:
        values: Iterable[Any] = getattr(config, section.field)
        blocks += [(section.header, section.encode(value)) for value in values]
    text = "\n".join(encode_block(header, values) for header, values in blocks)
    return (render_header() + text).encode()
