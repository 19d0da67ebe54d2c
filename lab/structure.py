"""The structure of the code, measured from its imports: rooms, floors, arrows, and circles.

`python -m lab.structure [CHECKOUT]` prints it, with the largest modules, functions, and
constructors. A *room* is a package with modules of its own, or a module that stands beside rooms.
An *arrow* goes from a room to one that it imports. A room's *floor* is the length of the longest
way down from it.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

Arrows = dict[str, set[str]]

PACKAGE: Final = "van"
LARGEST: Final = 8
"""How many of the largest are printed."""


@attrs.frozen
class Module:
    """One module of the package, parsed."""

    name: str
    lines: int
    tree: ast.Module


@attrs.frozen
class Definition:
    """A function, or the constructor of a class, and how large it is."""

    place: str
    lines: int
    parameters: int


def read_modules(checkout: Path) -> dict[str, Module]:
    """Return the modules of a checkout by their dotted names."""
    found = {}
    for file in sorted((checkout / PACKAGE).rglob("*.py")):
        parts = file.relative_to(checkout).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = file.read_text()
        found[name] = Module(name, text.count("\n"), ast.parse(text))
    return found


def imports(module: Module, known: dict[str, Module]) -> Iterator[str]:
    """Return the modules of the package that one imports, wherever in it that stands."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def module_arrows(modules: dict[str, Module]) -> Arrows:
    """Return which modules import which."""
    return {
        name: {each for each in imports(module, modules) if each in modules and each != name}
        for name, module in modules.items()
    }


def room_of(name: str, modules: dict[str, Module]) -> str:
    """Return the room that a module is in: its package, or itself beside packages."""
    if any(each.startswith(name + ".") for each in modules):
        return name
    parent = name.rpartition(".")[0]
    inner = {each for each in modules if each.startswith(parent + ".")}
    has_rooms = any(each.count(".") > parent.count(".") + 1 for each in inner)
    return name if has_rooms or not parent else parent


def room_arrows(arrows: Arrows, modules: dict[str, Module]) -> Arrows:
    """Return which rooms import from which."""
    found: Arrows = defaultdict(set)
    for source, targets in arrows.items():
        room = room_of(source, modules)
        found[room] |= {room_of(target, modules) for target in targets} - {room}
    return found


def circles(arrows: Arrows) -> list[list[str]]:
    """Return the sets of nodes that can reach each other (Tarjan's components of two or more)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in arrows.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in list(arrows):
        if node not in index:
            visit(node)
    return found


def floors(arrows: Arrows) -> dict[str, int]:
    """Return how high each node stands; there must be no circle."""
    found: dict[str, int] = {}

    def floor(node: str) -> int:
        if node not in found:
            found[node] = 1 + max((floor(each) for each in arrows.get(node, ())), default=0)
        return found[node]

    for node in list(arrows):
        floor(node)
    return found


def definitions(module: Module) -> Iterator[Definition]:
    """Return every function of a module."""

    def walk(node: ast.AST, place: str) -> Iterator[Definition]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = f"{place}.{child.name}"
                taken = [*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs]
                parameters = sum(each.arg not in {"self", "cls"} for each in taken)
                size = (child.end_lineno or child.lineno) - child.lineno + 1
                yield Definition(inner, size, parameters)
                yield from walk(child, inner)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{place}.{child.name}")

    return walk(module.tree, module.name)


def inside(arrows: Arrows, package: str) -> Arrows:
    """Return the arrows between what is in a package."""
    within = {node for node in arrows if node.startswith(package + ".")}
    return {node: arrows[node] & within for node in within}


def describe(arrows: Arrows, kind: str) -> str:
    """Say in a line how many nodes, floors, arrows, and circles there are."""
    found = circles(arrows)
    height = "no floors" if found else f"{max(floors(arrows).values(), default=0)} floors"
    count = sum(map(len, arrows.values()))
    return f"{len(arrows)} {kind}, {height}, {count} arrows, {len(found)} circles"


def print_structure(checkout: Path) -> None:
    """Print what there is to see of a checkout."""
    modules = read_modules(checkout)
    arrows = module_arrows(modules)
    rooms = room_arrows(arrows, modules)
    print(f"{PACKAGE}: {describe(arrows, 'modules')}")
    print(f"{PACKAGE}: {describe(rooms, 'rooms')}")
    for package in sorted({".".join(name.split(".")[:2]) for name in modules if "." in name}):
        within = inside(arrows, package)
        if within:
            text = f"{package}: {describe(within, 'modules')}"
            between = inside(rooms, package)
            print(text + (f"; {describe(between, 'rooms')}" if len(between) > 1 else ""))
    for circle in (*circles(rooms), *circles(arrows)):
        print("circle: " + ", ".join(circle))
    print_rooms(rooms, modules)
    print_largest(modules)


def print_rooms(rooms: Arrows, modules: dict[str, Module]) -> None:
    """Print each room with its floor, its size, and what it imports from."""
    heights = floors(rooms) if not circles(rooms) else {}
    members: dict[str, list[Module]] = defaultdict(list)
    for name, module in modules.items():
        members[room_of(name, modules)].append(module)
    print("\nfloor  modules  lines  room: what it imports from")
    for room in sorted(rooms, key=lambda each: (-heights.get(each, 0), each)):
        lines = sum(each.lines for each in members[room])
        targets = ", ".join(sorted(each.removeprefix(PACKAGE + ".") for each in rooms[room]))
        head = f"{heights.get(room, 0):5}  {len(members[room]):7}  {lines:5}  {room}"
        print(f"{head}: {targets}" if targets else head)


def print_largest(modules: dict[str, Module]) -> None:
    """Print the largest modules, functions, and constructors."""
    print("\nlargest modules (lines)")
    for module in sorted(modules.values(), key=lambda each: -each.lines)[:LARGEST]:
        print(f"{module.lines:5}  {module.name}")
    found = [each for module in modules.values() for each in definitions(module)]
    print("\nlongest functions (lines)")
    for each in sorted(found, key=lambda each: -each.lines)[:LARGEST]:
        print(f"{each.lines:5}  {each.place}")
    print("\nconstructors with most parameters (lines)")
    made = [each for each in found if each.place.endswith(".__init__")]
    for each in sorted(made, key=lambda each: (-each.parameters, -each.lines))[:LARGEST]:
        print(f"{each.parameters:5}  {each.place} ({each.lines})")


if __name__ == "__main__":
    print_structure(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
