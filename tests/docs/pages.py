"""The project's documentation as the tests of it read it: pages, code in them, and headings."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md")])
CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Pages that tell how things are now; the changelog tells how they were."""


def name_of(page):
    """Return a page's path from the root of the repository, to name a test case by."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(text):
    """Return the fenced blocks of a page, each as its lines."""
    found = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in found]


def prose_of(text):
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def spans_of(text):
    """Return what stands between backticks outside of blocks, in one line each."""
    found = re.findall(r"(?<!`)`([^`]+)`(?!`)", prose_of(text))
    return [" ".join(span.split()).replace("\\|", "|") for span in found]


def anchors_of(text):
    """Return the anchors that GitHub gives a page's headings."""
    found: list[str] = []
    for title in re.findall(r"^#{1,6} +(.+?) *$", prose_of(text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        repeats = sum(each == slug for each in found)
        found.append(f"{slug}-{repeats}" if repeats else slug)
    return found


def rows_under(text, header):
    """Return the cells of each row of the table with this header row."""
    _, _, rest = text.partition(f"\n{header}\n")
    assert rest, f"no table begins with {header}"
    rows = rest.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip().strip("|").split(" | ")] for row in rows]
