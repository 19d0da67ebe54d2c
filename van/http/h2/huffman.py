"""The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).

The code is canonical: it follows from which bytes have a code of which length. Decoding goes a byte
at a time through the states of the code's tree; what a byte leads to in a state is worked out when
it is first met, so that loading this takes no time and 65,792 places are the most there ever are.
"""

from typing import Final

from van.http.h2.faults import ConnectionFault, ErrorCode

_ORDER: Final[dict[int, bytes]] = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: bytes.fromhex("5cc3d0"),
    20: bytes.fromhex("808283a2b8c2e0e2"),
    21: bytes.fromhex("99a1a7acb0b1b3d1d8d9e3e5e6"),
    22: bytes.fromhex("81848586 88929a9c a0a3a4a9 aaadb2b5 b9babbbd bec4c6e4 e8e9"),
    23: bytes.fromhex("0187898a 8b8c8d8f 93959697 989b9d9e a5a6a8ae afb4b6b7 bcbfc5e7 ef"),
    24: bytes.fromhex("098e9091949fabced7e1eced"),
    25: bytes.fromhex("c7cfeaeb"),
    26: bytes.fromhex("c0c1c8c9cacdd2d5dadbeef0f2f3ff"),
    27: bytes.fromhex("cbccd3d4d6dddedff1f4f5f6f7f8fafbfcfdfe"),
    28: bytes.fromhex("02030405 0607080b 0c0e0f10 11121314 15171819 1a1b1c1d 1e1f7fdc f9"),
    30: bytes.fromhex("0a0d16"),
}
"""The bytes with a code of each length, in the order of their codes. EOS, the one code that is
left, is thirty ones."""
_MOST_PADDING: Final = 7


def _assign() -> list[str]:
    codes = [""] * 256
    code = length_before = 0
    for length, symbols in _ORDER.items():
        code <<= length - length_before
        length_before = length
        for symbol in symbols:
            codes[symbol] = f"{code:0{length}b}"
            code += 1
    return codes


CODES: Final = _assign()
"""The code of each byte, as text of zeros and ones."""
_SYMBOLS: Final = {code: bytes([symbol]) for symbol, code in enumerate(CODES)}
_INNER: Final = {code[:depth] for code in CODES for depth in range(len(code))} | {
    "1" * depth for depth in range(30)
}
"""Every beginning of a code that is not one itself."""


class _State(dict[int, tuple["_State", bytes]]):
    """A place in the tree of codes: what each byte leads to, and which bytes it completes."""

    __slots__ = ("prefix",)

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def __missing__(self, byte: int) -> tuple["_State", bytes]:
        rest, decoded = self.prefix, b""
        for bit in f"{byte:08b}":
            rest += bit
            if (symbol := _SYMBOLS.get(rest)) is not None:
                decoded += symbol
                rest = ""
            elif rest not in _INNER:
                raise _fault("the end-of-string code within a string")
        step = self[byte] = (_STATES[rest], decoded)
        return step


_STATES: Final = {prefix: _State(prefix) for prefix in _INNER}
_START: Final = _STATES[""]


def huffman_encode(text: bytes) -> bytes:
    """Return `text` in the code, filled up to a byte with ones."""
    if not text:
        return b""
    bits = "".join([CODES[byte] for byte in text])
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def huffman_decode(code: bytes) -> bytes:
    """Return what `code` says; at most 8/5 of its length.

    Raises `ConnectionFault` if it has the end-of-string code, or ends in other than up to seven
    ones.
    """
    state = _START
    decoded = []
    for byte in code:
        state, symbols = state[byte]
        decoded.append(symbols)
    rest = state.prefix
    if len(rest) > _MOST_PADDING or "0" in rest:
        raise _fault("padding that is not up to seven ones")
    return b"".join(decoded)


def _fault(what: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.COMPRESSION_ERROR, f"a Huffman code has {what}")
