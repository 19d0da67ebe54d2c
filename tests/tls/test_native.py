"""OpenSSL's own calls are used where they are there and behave, and done without elsewhere."""

import sys
from types import SimpleNamespace

import attrs
import pytest
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from van.tls import native
from van.tls.native import AVAILABILITY, Availability
from van.tls.self_test import check_native_calls


@pytest.fixture
def found(monkeypatch):
    """The calls that are there; whether they are used is set back at the end."""
    monkeypatch.setattr(AVAILABILITY, "trouble", AVAILABILITY.trouble)
    monkeypatch.setattr(AVAILABILITY, "native", AVAILABILITY.native)
    assert AVAILABILITY.native is not None
    return AVAILABILITY.native


def test_with_the_releases_that_are_installed_they_are_used(found):
    assert check_native_calls() == ""
    assert AVAILABILITY.native is found


@pytest.mark.parametrize("name", ["SSL_read", "SSL_write", "SSL_get_error", "ERR_clear_error"])
def test_a_call_that_is_gone_is_missed_at_once(monkeypatch, name):
    there = {each: getattr(Binding.lib, each) for each in dir(Binding.lib) if each != name}
    monkeypatch.setattr(Binding, "lib", SimpleNamespace(**there))
    availability = Availability()
    assert availability.native is None
    assert name in availability.trouble


def test_bindings_that_are_gone_are_missed_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.bindings.openssl.binding", None)
    assert "binding" in Availability().trouble


def test_a_handle_that_is_gone_is_missed_at_once(monkeypatch):
    class Renamed:
        def __init__(self, context):
            self._handle = context

    monkeypatch.setattr(native, "SSL", SimpleNamespace(**vars(SSL) | {"Connection": Renamed}))
    availability = Availability()
    assert availability.native is None
    assert "_ssl" in availability.trouble


def lying_read(found):
    """Return a read that says that it has filled the buffer, and has not."""
    return attrs.evolve(found, read=lambda _ssl, _buffer, size: size)


def lying_write(found):
    return attrs.evolve(found, write=lambda _ssl, _buffer, size: size)


def garbling_write(found):
    def write(ssl, buffer, size):
        return found.write(ssl, bytes(size), size)

    return attrs.evolve(found, write=write)


def other_arguments(found):
    return attrs.evolve(found, read=lambda _ssl, _buffer: -1)


def other_result(found):
    return attrs.evolve(found, write=lambda *arguments: (found.write(*arguments), 0))


def never_waits(found):
    return attrs.evolve(found, get_error=lambda *_: 0, read=lambda *_: 0, want_read=-1)


@pytest.mark.parametrize(
    "change",
    [lying_read, lying_write, garbling_write, other_arguments, other_result, never_waits],
)
def test_a_call_that_does_not_behave_is_done_without(monkeypatch, found, change):
    monkeypatch.setattr(AVAILABILITY, "native", change(found))
    assert check_native_calls()
    assert AVAILABILITY.native is None
    assert check_native_calls(), "it stays so"
