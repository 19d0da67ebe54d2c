"""Sealed datagrams: only who was given the key reads them, none is taken twice.

AES-256-GCM (NIST SP 800-38D) with a counter for a nonce. A key has one sender, and is thrown away
with it. Whoever holds it could also seal with it: a member of a group that sits on the path of
another member can forge what the source sends there. Nobody else can.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE: Final = 32
COUNTER_SIZE: Final = 8
TAG_SIZE: Final = 16
OVERHEAD: Final = COUNTER_SIZE + TAG_SIZE
"""Bytes by which a datagram grows."""
WINDOW: Final = 1024
"""How far behind the newest datagram another one may come, as where it went another way."""
_NONCE_PREFIX: Final = bytes(4)


def new_key() -> bytes:
    """Return a key that nobody else has."""
    return os.urandom(KEY_SIZE)


class Sealer:
    """The sender's end of one key."""

    __slots__ = ("_cipher", "_count")

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._count = 0

    def seal(self, data: bytes) -> bytes:
        """Return a datagram sealed: its counter, the ciphertext, and the tag."""
        self._count += 1
        counter = self._count.to_bytes(COUNTER_SIZE, "big")
        return counter + self._cipher.encrypt(_NONCE_PREFIX + counter, data, None)


class Opener:
    """A receiver's end of one key."""

    __slots__ = ("_cipher", "_newest", "_seen")

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._newest = 0
        self._seen = 0
        """Which of the last counters have come: a bit for each, the newest's is the lowest (as in
        RFC 4303, section 3.4.3)."""

    def open(self, sealed: bytes | memoryview) -> bytes | None:
        """Return what was sealed, or None if it is not genuine, was taken before, or is too old to
        tell."""
        if len(sealed) < OVERHEAD:
            return None
        counter = bytes(sealed[:COUNTER_SIZE])
        number = int.from_bytes(counter, "big")
        age = self._newest - number
        if age >= WINDOW or (age >= 0 and self._seen >> age & 1):
            return None
        try:
            data = self._cipher.decrypt(_NONCE_PREFIX + counter, sealed[COUNTER_SIZE:], None)
        except InvalidTag:
            return None
        if age < 0:
            self._newest = number
            # A gap of any size: the counter is authentic, but must not cost memory.
            self._seen = 1 if -age >= WINDOW else (self._seen << -age | 1) & ((1 << WINDOW) - 1)
        else:
            self._seen |= 1 << age
        return data
