"""What is changed is on disk before it counts."""

import attrs
import pytest

from van.config import LinkConfig, SiteConfig
from van.config.file import load_config
from van.errors import StorageError
from van.names import Endpoint
from van.router.site.settings import Settings

HUB = LinkConfig("hub", (Endpoint("10.0.0.1", 7),), 1)
EDGE = LinkConfig("edge", (Endpoint("10.0.0.2", 7),), 1)


@pytest.fixture
def settings(tmp_path):
    return Settings.load(tmp_path / "config.toml")


def test_a_change_is_on_disk_when_the_call_returns(settings):
    settings.put_link(HUB)
    assert load_config(settings.path) == settings.config == SiteConfig(links=(HUB,))


def test_there_is_one_link_to_a_site(settings):
    settings.put_link(HUB)
    settings.put_link(EDGE)
    settings.put_link(attrs.evolve(HUB, cost=9))
    assert {each.site: each.cost for each in load_config(settings.path).links} == {
        "edge": 1,
        "hub": 9,
    }
    assert settings.link("hub") == attrs.evolve(HUB, cost=9)
    assert settings.link("elsewhere") is None


def test_a_link_is_forgotten_once(settings):
    settings.put_link(HUB)
    assert settings.remove_link("hub")
    assert not settings.remove_link("hub")
    assert not load_config(settings.path).links


def test_what_stays_the_same_is_not_written(settings):
    settings.put_link(HUB)
    before = settings.path.stat().st_ino
    settings.put_link(HUB)
    assert settings.path.stat().st_ino == before


def test_a_change_that_can_not_be_written_does_not_count(tmp_path):
    settings = Settings(tmp_path / "missing" / "config.toml", SiteConfig())
    with pytest.raises(StorageError, match="can't write"):
        settings.put_link(HUB)
    assert settings.config == SiteConfig()
