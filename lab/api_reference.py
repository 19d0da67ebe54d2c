"""Writes the tables of `docs/control-api.md` from the control API itself: `make docs`.

The page keeps its text and its order. What stands in its tables of requests and of values is taken
from `van.control.endpoints` and from what is written under the fields in `van.control.values`.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from van.control import values
from van.control.endpoints import ENDPOINTS, ApiEndpoint
from van.control.values.base import Value

PAGE: Final = Path(__file__).parents[1] / "docs" / "control-api.md"
PLAIN: Final = {str: "text", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def all_values() -> list[type[Value]]:
    """Return every value of the API."""
    found = []
    for module in pkgutil.iter_modules(values.__path__):
        members = vars(importlib.import_module(f"{values.__name__}.{module.name}"))
        found += [
            each
            for each in members.values()
            if isinstance(each, type) and issubclass(each, Value) and each is not Value
            if each.__module__.endswith(f".{module.name}")
        ]
    return found


def write_page(text: str) -> str:
    """Return the page with its tables as they should be; raise `ValueError` for a value that has
    no section, or a section that has no value."""
    by_name = {each.__name__: each for each in all_values()}
    sections = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    if sorted(sections) != sorted(by_name):
        raise ValueError(f"sections and values differ: {sorted({*sections} ^ by_name.keys())}")
    text = _replace_table(text, "## Requests", requests_table())
    for name, value in by_name.items():
        text = _replace_table(text, f"### {name}", value_table(value))
    return text


def _replace_table(text: str, heading: str, table: str) -> str:
    pattern = rf"(^{re.escape(heading)}\n\n)(?:\|[^\n]*\n)*"
    return re.sub(pattern, lambda found: found[1] + table, text, count=1, flags=re.MULTILINE)


def requests_table() -> str:
    """Return the table of requests."""
    rows = ["| request | body | answer | what it does |", "| --- | --- | --- | --- |"]
    for each in ENDPOINTS:
        body = "" if each.request is NoneType else _type_name(each.request)
        cells = (f"`{_path(each)}`", body, _type_name(each.reply), each.summary)
        rows.append(_row(cells))
    return "\n".join(rows) + "\n"


def _path(endpoint: ApiEndpoint[Any, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), str(endpoint))


def value_table(value: type[Value]) -> str:
    """Return the table of a value's fields."""
    meanings = field_meanings(value)
    rows = ["| field | type | meaning |", "| --- | --- | --- |"]
    rows += [
        _row((f"`{field.name}`", _field_type(field), meanings[field.name]))
        for field in msgspec.structs.fields(value)
    ]
    return "\n".join(rows) + "\n"


def field_meanings(value: type[Value]) -> dict[str, str]:
    """Return what is written under each field of a value; raise `ValueError` if nothing is."""
    (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    assert isinstance(parsed, ast.ClassDef)
    found = {}
    for field, following in zip(parsed.body, [*parsed.body[1:], None], strict=True):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        match following:
            case ast.Expr(value=ast.Constant(value=str(text))):
                found[field.target.id] = " ".join(text.split())
            case _:
                raise ValueError(f"nothing says what {value.__name__}.{field.target.id} means")
    return found


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells).replace("|  |", "| |") + " |"


def _field_type(field: msgspec.structs.FieldInfo) -> str:
    name = _type_name(field.type)
    if field.default is msgspec.NODEFAULT:
        return name
    return f"{name}, default {_default(field.default)}"


def _default(value: object) -> str:
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, float):
        return f"{value:g}"
    text = msgspec.json.encode(value).decode()
    return f"`{text}`" if isinstance(value, tuple) else text


def _type_name(form: Any) -> str:
    """Return a type as a reader of JSON knows it."""
    if form in PLAIN:
        return PLAIN[form]
    origin, arguments = get_origin(form), get_args(form)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in arguments)
    if origin in (Union, UnionType):
        return _either([_type_name(each) for each in arguments])
    if origin in {tuple, dict}:
        what = _type_name(arguments[-1 if origin is dict else 0])
        return f"list of {what}" if origin is tuple else f"{what}s by name"
    return f"`{form.__name__}`"


def _either(names: list[str]) -> str:
    comma = "," if len(names) > 2 or names[0].startswith("list") else ""
    return ", ".join(names[:-1]) + f"{comma} or {names[-1]}"


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text()))
