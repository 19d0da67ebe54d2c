"""Since when a connector is exposed: kept beside the configuration, over starts."""

import pytest

from van.config import ConnectorConfig
from van.errors import StorageError
from van.names import Address, Endpoint
from van.router.site.exposures import Exposures

DB, WEB, API = (
    ConnectorConfig("tcp", Address(name, 1), Endpoint("127.0.0.1", 1))
    for name in ("db", "web", "api")
)


def load(tmp_path, now):
    return Exposures.load(tmp_path / "exposed.json", now=lambda: now)


def test_a_time_is_kept_over_starts_and_whatever_else_of_the_connector_changes(tmp_path):
    exposures = load(tmp_path, 5.5)
    exposures.begin(())
    assert exposures.add(DB, beside=()) == 5
    later = load(tmp_path, 99.0)
    later.begin([ConnectorConfig("tcp", DB.address, DB.target, weight=7)])
    assert later.since(DB) == 5


def test_what_a_person_wrote_counts_from_the_start_that_sees_it_first(tmp_path):
    load(tmp_path, 7.0).begin([WEB])
    later = load(tmp_path, 8.0)
    later.begin([WEB, DB])
    assert (later.since(WEB), later.since(DB)) == (7, 8)


def test_what_is_exposed_no_more_is_forgotten(tmp_path):
    exposures = load(tmp_path, 5.0)
    exposures.begin([DB, WEB])
    later = load(tmp_path, 6.0)
    later.begin([DB])
    assert later.add(WEB, beside=[DB]) == 6
    assert later.add(API, beside=[WEB]) == 6
    last = load(tmp_path, 9.0)
    last.begin([DB, WEB])
    assert (last.since(DB), last.since(WEB)) == (9, 6)


def test_what_stays_the_same_is_not_written(tmp_path):
    load(tmp_path, 5.0).begin([DB])
    before = (tmp_path / "exposed.json").stat().st_ino
    load(tmp_path, 6.0).begin([DB])
    assert (tmp_path / "exposed.json").stat().st_ino == before


def test_a_time_that_can_not_be_written_is_not_told(tmp_path):
    exposures = load(tmp_path / "missing", 5.0)
    with pytest.raises(StorageError, match="can't write"):
        exposures.add(DB, beside=())
