"""The page of screens shows the tables as they are."""

from tests.docs.screens import PAGE, WIDTHS, write_page


def test_the_page_shows_the_tables_as_they_are():
    assert PAGE.read_text() == write_page(), "run make docs"


def test_every_screen_fits_its_width():
    for part in write_page().split("On ")[2:]:
        width, _, rest = part.partition(" columns:")
        if int(width) in WIDTHS:
            block = rest.partition("```console\n")[2].partition("```")[0]
            assert max(map(len, block.splitlines())) <= int(width)
