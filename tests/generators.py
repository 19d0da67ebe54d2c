"""Values of which Hypothesis takes one at a time: it is each choice that costs, so what consists of
a few pieces is put together before."""

from collections.abc import Sequence
from itertools import chain, cycle, islice, product
from string import ascii_lowercase, digits
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

labels = st.text(f"{ascii_lowercase}{digits}-", min_size=1, max_size=63).map(
    lambda text: text.strip("-") or "0"
)
"""Names of sites: labels of DNS."""


def tuples_of(values: Sequence[T], most: int) -> list[tuple[T, ...]]:
    """Return all tuples of up to so many values, those of each size as often as of any other.

    Some hundreds are meant: of thousands, Hypothesis takes the first ones most of the time.
    """
    by_size = [list(product(values, repeat=size)) for size in range(most + 1)]
    return list(chain.from_iterable(islice(cycle(each), len(by_size[-1])) for each in by_size))
