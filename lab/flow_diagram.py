"""The states of a flow as diagrams for docs/protocol.md, drawn from the tables of the code.

`python -m lab.flow_diagram` writes them into the page, between the lines that mark their place.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from van.wire.flow_states import RECEIVED, SENT, FlowRole, Frame, State

PAGE: Final = Path(__file__).parents[1] / "docs" / "protocol.md"
BEGIN: Final = "<!-- drawn from van/wire/flow_states.py by make docs -->"
END: Final = "<!-- end of the drawing -->"
TITLES: Final = {
    FlowRole.INGRESS: "At the ingress",
    FlowRole.EGRESS: "At the egress",
    FlowRole.UPSTREAM: "A branch, at the site that sends",
    FlowRole.DOWNSTREAM: "A branch, at the site that is sent to",
}


def steps(role: FlowRole) -> dict[tuple[State, State], list[str]]:
    """Return what leads from each state to each other, and what leaves a state as it is."""
    found: dict[tuple[State, State], list[str]] = defaultdict(list)
    for verb, table in (("sends", SENT), ("gets", RECEIVED)):
        for state in State:
            for frame, after in table[role][state].items():
                if after is not None:
                    found[state, after].append(f"{verb} {_name(frame, role)}")
    return found


def _name(frame: Frame, role: FlowRole) -> str:
    is_branch = role in {FlowRole.UPSTREAM, FlowRole.DOWNSTREAM}
    return "BRANCH" if is_branch and frame is Frame.OPEN else frame.value


def draw(role: FlowRole) -> Iterator[str]:
    """Yield the lines of a role's diagram, in the language of Mermaid."""
    found = steps(role)
    yield "```mermaid"
    yield "stateDiagram-v2"
    for state in State:
        if any(state in pair for pair in found):
            yield f'    state "{state.value}" as {state.name}'
    yield f"    [*] --> {State.IDLE.name}"
    for (state, after), labels in found.items():
        yield f"    {state.name} --> {after.name}: {', '.join(labels)}"
    yield "```"


def write_page(text: str) -> str:
    """Return the page with the diagrams as they are now; raise `ValueError` if it has no place."""
    before, begin, rest = text.partition(BEGIN + "\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} does not say where the drawing goes")
    drawn = "\n\n".join(f"{title}:\n\n" + "\n".join(draw(role)) for role, title in TITLES.items())
    return f"{before}{BEGIN}\n\n{drawn}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text()))
