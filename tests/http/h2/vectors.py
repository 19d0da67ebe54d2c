"""The examples of HPACK in RFC 7541, appendix C."""

import pytest

_CUSTOM = (b"custom-key", b"custom-header")
SINGLES = [
    pytest.param(
        bytes.fromhex("400a637573746f6d2d6b65790d637573746f6d2d686561646572"),
        _CUSTOM,
        [_CUSTOM],
        id="C.2.1",
    ),
    pytest.param(
        bytes.fromhex("040c2f73616d706c652f70617468"), (b":path", b"/sample/path"), [], id="C.2.2"
    ),
    pytest.param(
        bytes.fromhex("100870617373776f726406736563726574"),
        (b"password", b"secret"),
        [],
        id="C.2.3",
    ),
    pytest.param(bytes.fromhex("82"), (b":method", b"GET"), [], id="C.2.4"),
]

_GET = (b":method", b"GET")
_AUTHORITY = (b":authority", b"www.example.com")
_FIRST = (_GET, (b":scheme", b"http"), (b":path", b"/"), _AUTHORITY)
_SECOND = (*_FIRST, (b"cache-control", b"no-cache"))
_THIRD = (
    _GET,
    (b":scheme", b"https"),
    (b":path", b"/index.html"),
    _AUTHORITY,
    (b"custom-key", b"custom-value"),
)
_REQUESTS = ((_FIRST, 57), (_SECOND, 110), (_THIRD, 164))

_DATE = (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT")
_REST = ((b"cache-control", b"private"), _DATE, (b"location", b"https://www.example.com"))
_COOKIE = b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
_ANSWERS = (
    (((b":status", b"302"), *_REST), 222),
    (((b":status", b"307"), *_REST), 222),
    (
        (
            (b":status", b"200"),
            _REST[0],
            (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
            _REST[2],
            (b"content-encoding", b"gzip"),
            (b"set-cookie", _COOKIE),
        ),
        215,
    ),
)
_TABLE_OF_256 = "3fe101"
"""These examples have a table of 256 bytes, which a block can ask for."""


def _sequence(name, steps, *codes):
    blocks = [bytes.fromhex(code) for code in codes]
    rows = [(code, *step) for code, step in zip(blocks, steps, strict=True)]
    return pytest.param(rows, id=name)


SEQUENCES = [
    _sequence(
        "C.3",
        _REQUESTS,
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ),
    _sequence(
        "C.4",
        _REQUESTS,
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ),
    _sequence(
        "C.5",
        _ANSWERS,
        _TABLE_OF_256 + "4803333032580770726976617465611d4d6f6e2c203"
        "231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d"
        "4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20766572"
        "73696f6e3d31",
    ),
    _sequence(
        "C.6",
        _ANSWERS,
        _TABLE_OF_256 + "488264025885aec3771a4b6196d07abe941054d44"
        "4a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b"
        "97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdf"
        "cd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ),
]
