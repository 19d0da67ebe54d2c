"""How commands explain themselves: groups of them in `van --help`, and examples in each."""

from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

from van.cli.completion import site_option
from van.cli.examples import EXAMPLES
from van.config import PROTOCOLS

REACHING: Final = "Reach, and be reached"
LOOKING: Final = "See what goes on"
LINKING: Final = "Join sites"
RUNNING: Final = "Sites and their routers"
LEARNING: Final = "Learn"
GROUPS: Final = (RUNNING, LINKING, REACHING, LOOKING, LEARNING)
"""Titles of the groups of commands, in their order."""


class Command(TyperCommand):
    """A command whose help ends with examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse what would be ignored, and tell what was probably meant."""
        if not ctx.resilient_parsing:
            self._refuse_site(ctx)
            self._refuse_protocol(ctx, args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)

    def _refuse_site(self, ctx: Any) -> None:
        """Refuse --site before a command that is about no site, or names it itself."""
        if site_option(ctx) and all(each.name != "site" for each in self.params):
            ctx.fail(f"'{ctx.command_path}' takes no --site: leave it out")

    def _refuse_protocol(self, ctx: Any, args: list[str]) -> None:
        """Say how a protocol is given to a command of which it is an option."""
        takes_option = any("--protocol" in each.opts for each in self.params)
        if takes_option and len(args) > 1 and args[0] in PROTOCOLS and ":" in args[1]:
            meant = f"{ctx.command_path} {args[1]} --protocol {args[0]}"
            ctx.fail(f"the address comes first: {meant}")


class Group(TyperGroup):
    """Commands under the titles of their groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands of each group under its title."""
        shown = {name: each for name, each in self.commands.items() if not each.hidden}
        limit = formatter.width - 6 - max(map(len, shown))
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in shown.items():
            title = getattr(command, "rich_help_panel", None) or "Commands"
            row = (name, command.get_short_help_str(limit))
            groups.setdefault(title, []).append(row)
        widest = max(map(len, shown))
        for title, rows in sorted(groups.items(), key=lambda group: _place(group[0])):
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in rows])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)


def _place(title: str) -> int:
    return GROUPS.index(title) if title in GROUPS else len(GROUPS)


def _write_examples(ctx: Any, formatter: Any) -> None:
    words = ctx.command_path.partition(" ")[2]
    if lines := EXAMPLES.get(words):
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
