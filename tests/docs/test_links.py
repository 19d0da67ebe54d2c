"""Links within the documentation lead somewhere, to the heading that they name."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, anchors_of, name_of, prose_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings_that_are_there(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        is_there = file.exists() and file.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors_of(file.read_text())):
            broken.append(target)
    assert not broken, "\n".join(broken)


def test_an_index_leads_to_every_page():
    for index in (ROOT / "docs" / "index.md", ROOT / "docs" / "decisions" / "README.md"):
        linked = set(re.findall(r"\]\(([^)#\s]+)[^)]*\)", index.read_text()))
        pages = {page.name for page in index.parent.glob("*.md")} - {index.name}
        assert sorted(pages - linked) == []
