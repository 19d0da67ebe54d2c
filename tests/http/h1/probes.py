"""Requests and answers that are malformed, or that two programs may read differently.

They are of the kinds that RFC 9112 names (section 11), and of those by which requests were smuggled
past proxies. Each is given with the status that it is refused with.
"""

from collections.abc import Iterator

from van.http.fields import MAX_FIELDS, MAX_HEAD, MAX_TRAILERS
from van.http.h1.body import MAX_LINE

Probe = tuple[str, int, bytes]
"""What it is, the status that it is refused with, and its bytes."""


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, body: bytes = b"") -> bytes:
    """Return a request with a Host, and these fields behind it."""
    return b"\r\n".join([line, b"Host: a", *fields, b"", body])


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return request(b"POST / HTTP/1.1", *fields, body=body)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


FIRST_LINES = [
    ("no version, as in HTTP/0.9", 400, b"GET /"),
    ("no target", 400, b"GET HTTP/1.1"),
    ("nothing but a method", 400, b"GET"),
    ("empty method", 400, b" / HTTP/1.1"),
    ("empty target", 400, b"GET  HTTP/1.1"),
    ("two spaces before the target", 400, b"GET  / HTTP/1.1"),
    ("two spaces before the version", 400, b"GET /  HTTP/1.1"),
    ("space in front", 400, b" GET / HTTP/1.1"),
    ("space behind", 400, b"GET / HTTP/1.1 "),
    ("tab behind", 400, b"GET / HTTP/1.1\t"),
    ("tab before the target", 400, b"GET\t/ HTTP/1.1"),
    ("tab before the version", 400, b"GET /\tHTTP/1.1"),
    ("vertical tab before the target", 400, b"GET\x0b/ HTTP/1.1"),
    ("form feed before the version", 400, b"GET /\x0cHTTP/1.1"),
    ("bare CR before the target", 400, b"GET\r/ HTTP/1.1"),
    ("space in the target", 400, b"GET /a b HTTP/1.1"),
    ("a second version", 400, b"GET / HTTP/1.1 HTTP/1.1"),
    ("a second request in the line", 400, b"GET /a HTTP/1.1 GET /b HTTP/1.1"),
    ("colon in the method", 400, b"GET: / HTTP/1.1"),
    ("parentheses in the method", 400, b"G(E)T / HTTP/1.1"),
    ("slash in the method", 400, b"GET/ / HTTP/1.1"),
    ("at sign in the method", 400, b"G@T / HTTP/1.1"),
    ("brackets in the method", 400, b"[GET] / HTTP/1.1"),
    ("quoted method", 400, b'"GET" / HTTP/1.1'),
    ("comma in the method", 400, b"GET,POST / HTTP/1.1"),
    ("semicolon in the method", 400, b"GET; / HTTP/1.1"),
    ("question mark in the method", 400, b"GE?T / HTTP/1.1"),
    ("equals sign in the method", 400, b"GET=1 / HTTP/1.1"),
    ("backslash in the method", 400, b"GET\\ / HTTP/1.1"),
    ("method beyond ASCII", 400, b"G\xc9T / HTTP/1.1"),
    ("NUL in the method", 400, b"GE\x00T / HTTP/1.1"),
    ("DEL in the method", 400, b"GE\x7fT / HTTP/1.1"),
    ("BOM in front", 400, b"\xef\xbb\xbfGET / HTTP/1.1"),
    ("endless method", 501, b"G" * 33 + b" / HTTP/1.1"),
    ("CONNECT", 501, b"CONNECT a:443 HTTP/1.1"),
    ("CONNECT with a path", 501, b"CONNECT / HTTP/1.1"),
    ("HTTP/1.2", 505, b"GET / HTTP/1.2"),
    ("HTTP/1.9", 505, b"GET / HTTP/1.9"),
    ("HTTP/0.9, told", 505, b"GET / HTTP/0.9"),
    ("HTTP/0.0", 505, b"GET / HTTP/0.0"),
    ("HTTP/2.0", 505, b"GET / HTTP/2.0"),
    ("HTTP/3.0", 505, b"GET / HTTP/3.0"),
    ("HTTP/9.9", 505, b"GET / HTTP/9.9"),
    ("HTTP/1.10", 400, b"GET / HTTP/1.10"),
    ("HTTP/1.01", 400, b"GET / HTTP/1.01"),
    ("HTTP/01.1", 400, b"GET / HTTP/01.1"),
    ("HTTP/11.1", 400, b"GET / HTTP/11.1"),
    ("HTTP/1", 400, b"GET / HTTP/1"),
    ("HTTP/1.", 400, b"GET / HTTP/1."),
    ("HTTP/.1", 400, b"GET / HTTP/.1"),
    ("HTTP/1,1", 400, b"GET / HTTP/1,1"),
    ("HTTP/+1.1", 400, b"GET / HTTP/+1.1"),
    ("HTTP/1.1x", 400, b"GET / HTTP/1.1x"),
    ("HTTP/1.1.1", 400, b"GET / HTTP/1.1.1"),
    ("HTTP 1.1", 400, b"GET / HTTP 1.1"),
    ("HTTP/ 1.1", 400, b"GET / HTTP/ 1.1"),
    ("HTTP1.1", 400, b"GET / HTTP1.1"),
    ("version in lower case", 400, b"GET / http/1.1"),
    ("version in both cases", 400, b"GET / Http/1.1"),
    ("HTTPS/1.1", 400, b"GET / HTTPS/1.1"),
    ("HTP/1.1", 400, b"GET / HTP/1.1"),
    ("ICY", 400, b"GET / ICY/1.1"),
    ("RTSP", 400, b"DESCRIBE / RTSP/1.0"),
    ("digits that are none of ASCII", 400, b"GET / HTTP/1.\xc2\xb9"),
    ("fragment", 400, b"GET /a#b HTTP/1.1"),
    ("angle brackets in the target", 400, b"GET /<a> HTTP/1.1"),
    ("quotation mark in the target", 400, b'GET /"a" HTTP/1.1'),
    ("NUL in the target", 400, b"GET /\x00 HTTP/1.1"),
    ("DEL in the target", 400, b"GET /\x7f HTTP/1.1"),
    ("escape in the target", 400, b"GET /\x1b[0m HTTP/1.1"),
    ("target beyond ASCII", 400, b"GET /\xc3\xa9 HTTP/1.1"),
    ("no-break space in the target", 400, b"GET /\xa0 HTTP/1.1"),
    ("target without a slash", 400, b"GET a HTTP/1.1"),
    ("target of a query only", 400, b"GET ?a HTTP/1.1"),
    ("target of dots", 400, b"GET ../a HTTP/1.1"),
    ("backslash for a slash", 400, b"GET \\a HTTP/1.1"),
    ("asterisk for GET", 400, b"GET * HTTP/1.1"),
    ("asterisk and more", 400, b"OPTIONS *a HTTP/1.1"),
    ("authority for GET", 400, b"GET a:80 HTTP/1.1"),
    ("host for GET", 400, b"GET a HTTP/1.1"),
    ("absolute on another host", 400, b"GET http://b/ HTTP/1.1"),
    ("absolute on another port", 400, b"GET http://a:81/ HTTP/1.1"),
    ("absolute with a user", 400, b"GET http://b@a/ HTTP/1.1"),
    ("absolute with a user of the right name", 400, b"GET http://a@b/ HTTP/1.1"),
    ("absolute with no host", 400, b"GET http:/// HTTP/1.1"),
    ("absolute with one slash", 400, b"GET http:/a/ HTTP/1.1"),
    ("absolute of https", 400, b"GET https://a/ HTTP/1.1"),
    ("absolute of file", 400, b"GET file:///etc/passwd HTTP/1.1"),
    ("absolute of ftp", 400, b"GET ftp://a/ HTTP/1.1"),
    ("absolute with a backslash behind the host", 400, b"GET http://a\\@b/ HTTP/1.1"),
    ("absolute with the host in the query", 400, b"GET http://b?http://a/ HTTP/1.1"),
    ("absolute asterisk", 400, b"OPTIONS http://a* HTTP/1.1"),
]

FIELDS = [
    ("space before the colon", 400, b"X : 1"),
    ("tab before the colon", 400, b"X\t: 1"),
    ("space before the colon of a length", 400, b"Content-Length : 5"),
    ("space before the colon of a coding", 400, b"Transfer-Encoding : chunked"),
    ("vertical tab before the colon", 400, b"Transfer-Encoding\x0b: chunked"),
    ("NUL before the colon", 400, b"Transfer-Encoding\x00: chunked"),
    ("space in a name", 400, b"Transfer Encoding: chunked"),
    ("space before a name", 400, b" X: 1"),
    ("tab before a name", 400, b"\tX: 1"),
    ("folded line", 400, b"X: 1\r\n 2"),
    ("line folded by a tab", 400, b"X: 1\r\n\t2"),
    ("folded length", 400, b"Content-Length:\r\n 5"),
    ("folded coding", 400, b"Transfer-Encoding:\r\n chunked"),
    ("coding in a folded line", 400, b"X: 1\r\n Transfer-Encoding: chunked"),
    ("a line of a space", 400, b"X: 1\r\n "),
    ("no colon", 400, b"X"),
    ("no name", 400, b": 1"),
    ("nothing but a colon", 400, b":"),
    ("colon before a coding", 400, b":Transfer-Encoding: chunked"),
    ("quotation marks in a name", 400, b'"X": 1'),
    ("parentheses in a name", 400, b"X(1): 1"),
    ("slash in a name", 400, b"X/Y: 1"),
    ("equals sign for a colon", 400, b"Content-Length=5"),
    ("semicolon in a name", 400, b"X;Y: 1"),
    ("at sign in a name", 400, b"X@Y: 1"),
    ("braces in a name", 400, b"{X}: 1"),
    ("name beyond ASCII", 400, b"X\xe9: 1"),
    ("soft hyphen in a name", 400, b"Content\xadLength: 5"),
    ("NUL in a name", 400, b"X\x00Y: 1"),
    ("NUL in a value", 400, b"X: a\x00b"),
    ("NUL behind a value", 400, b"X: a\x00"),
    ("backspace in a value", 400, b"X: a\x08b"),
    ("vertical tab in a value", 400, b"X: a\x0bb"),
    ("form feed in a value", 400, b"X: a\x0cb"),
    ("escape in a value", 400, b"X: \x1b[2J"),
    ("DEL in a value", 400, b"X: a\x7fb"),
    ("bare CR in a value", 400, b"X: a\rb"),
    ("bare CR before a coding", 400, b"X: a\rTransfer-Encoding: chunked"),
    ("bare LF in a value", 400, b"X: a\nb"),
    ("bare LF before a coding", 400, b"X: a\nTransfer-Encoding: chunked"),
    ("LF CR for an end of line", 400, b"X: a\n\rY: b"),
    ("CR CR LF for an end of line", 400, b"X: a\r\r\nY: b"),
    ("CR before a name", 400, b"\rTransfer-Encoding: chunked"),
    ("a second Host", 400, b"Host: b"),
    ("the same Host again", 400, b"Host: a"),
    ("a second Host in lower case", 400, b"host: b"),
    ("expectation that is none", 417, b"Expect: 200-ok"),
    ("two expectations", 417, b"Expect: 100-continue, 100-continue"),
    ("an expectation in two lines", 417, b"Expect: 100-continue\r\nExpect: x"),
    ("an empty expectation", 417, b"Expect:"),
    ("Connection that names the length", 400, b"Connection: close, Content-Length"),
    ("Connection that names Host", 400, b"Connection: Host"),
    ("Connection that names Cookie", 400, b"Connection: cookie, keep-alive"),
    ("Connection that names Authorization", 400, b"Connection: Authorization"),
    ("Connection that names Forwarded", 400, b"Connection: Forwarded"),
    ("Connection that is no list", 400, b"Connection: close; x"),
    ("Connection with empty elements", 400, b"Connection: close,,x"),
    ("Connection that is quoted", 400, b'Connection: "close"'),
]

HOSTS = [
    ("no Host", 400, []),
    ("empty Host", 400, [b"Host:"]),
    ("Host of spaces", 400, [b"Host:   "]),
    ("Host with a path", 400, [b"Host: a/b"]),
    ("Host with a scheme", 400, [b"Host: http://a"]),
    ("Host with a user", 400, [b"Host: b@a"]),
    ("Host with a space", 400, [b"Host: a b"]),
    ("Host behind a tab", 400, [b"Host:\ta"]),
    ("Host with a tab", 400, [b"Host: a\tb"]),
    ("Host that is a list", 400, [b"Host: a, b/c"]),
    ("Host with a query", 400, [b"Host: a?b"]),
    ("Host with a fragment", 400, [b"Host: a#b"]),
    ("Host with a backslash", 400, [b"Host: a\\b"]),
    ("Host with a port that is none", 400, [b"Host: a:b"]),
    ("Host with a negative port", 400, [b"Host: a:-1"]),
    ("Host with a port out of bounds", 400, [b"Host: a:123456"]),
    ("Host with two ports", 400, [b"Host: a:80:80"]),
    ("Host with nothing but a port", 400, [b"Host: :80"]),
    ("Host with an open bracket", 400, [b"Host: [::1"]),
    ("Host with empty brackets", 400, [b"Host: []"]),
    ("Host with something behind brackets", 400, [b"Host: [::1]a"]),
    ("Host with a bad escape", 400, [b"Host: a%zz"]),
    ("Host beyond ASCII", 400, [b"Host: \xc3\xa9"]),
    ("Host with a quotation mark", 400, [b'Host: "a"']),
    ("Host in front of Host", 400, [b"Host: b", b"Host: a"]),
]

LENGTHS = [
    ("tab in front", b"\t5"), ("tab behind", b"5\t"),
    ("plus", b"+5"), ("minus", b"-5"), ("minus nothing", b"-0"), ("list", b"5, 5"),
    ("list of two", b"5, 6"), ("list with no space", b"5,5"), ("comma behind", b"5,"),
    ("comma in front", b",5"), ("hexadecimal", b"0x5"), ("letters", b"a"),
    ("hexadecimal digit", b"0a"),
    ("letter behind", b"5a"), ("empty", b""), ("spaces", b"   "), ("space within", b"5 5"),
    ("tab within", b"5\t5"), ("point", b"5.0"), ("exponent", b"5e0"), ("quoted", b'"5"'),
    ("underscore", b"0_5"), ("semicolon", b"5;a"), ("19 digits", b"0" * 18 + b"5"),
    ("beyond 64 bits", b"18446744073709551621"), ("endless", b"5" * 400),
    ("superscript", b"\xb9"), ("Arabic digit", b"\xd9\xa5"), ("no-break space", b"\xa05"),
    ("apostrophe", b"5'000"), ("octal", b"0o5"), ("binary", b"0b1"), ("vertical tab", b"\x0b5"),
    ("form feed behind", b"5\x0c"), ("NUL behind", b"5\x00"),
]  # fmt: skip

CODINGS = [
    ("tab in front", 400, b"\tchunked"), ("tab behind", 400, b"chunked\t"),
    ("unknown", 501, b"x"), ("identity", 501, b"identity"), ("gzip", 501, b"gzip"),
    ("gzip under chunked", 501, b"gzip, chunked"), ("x before chunked", 501, b"xchunked"),
    ("x behind chunked", 501, b"chunkedx"), ("dash behind", 501, b"chunked-"),
    ("deflate", 501, b"deflate"), ("cow", 501, b"cow"),
    ("twice", 400, b"chunked, chunked"), ("not last", 400, b"chunked, gzip"),
    ("identity behind", 400, b"chunked, identity"), ("cow behind", 400, b"chunked, cow"),
    ("comma behind", 400, b"chunked,"), ("comma in front", 400, b", chunked"),
    ("comma in front, with no space", 400, b",chunked"),
    ("quoted", 400, b'"chunked"'), ("in single quotes", 501, b"'chunked'"),
    ("parameter", 400, b"chunked;a=b"), ("semicolon", 400, b"chunked;"),
    ("q", 400, b"chunked;q=0.5"),
    ("empty", 400, b""), ("spaces", 400, b"  "), ("two words", 400, b"chunked chunked"),
    ("word in front", 400, b"x chunked"), ("brackets", 400, b"[chunked]"),
    ("colon", 400, b": chunked"),
    ("vertical tab in front", 400, b"\x0bchunked"), ("vertical tab behind", 400, b"chunked\x0b"),
    ("form feed", 400, b"\x0cchunked"), ("NUL", 400, b"chunked\x00"), ("DEL", 400, b"\x7fchunked"),
    ("no-break space", 400, b"\xa0chunked"), ("long s", 400, b"chun\xc5\xbfed"),
    ("Kelvin sign", 400, b"chun\xe2\x84\xaaed"), ("beyond ASCII", 400, b"chunked\xff"),
    ("next line", 400, b"\x85chunked"), ("backslash", 400, b"chunked\\"),
    ("bare CR", 400, b"chunked\r"),
    ("bare LF in front", 400, b"\nchunked"), ("CR in front", 400, b"\rchunked"),
]  # fmt: skip

BOTH = [
    ("length, then coding", [b"Content-Length: 5", b"Transfer-Encoding: chunked"]),
    ("coding, then length", [b"Transfer-Encoding: chunked", b"Content-Length: 5"]),
    ("no length, and coding", [b"Content-Length: 0", b"Transfer-Encoding: chunked"]),
    ("coding in capitals", [b"TRANSFER-ENCODING: CHUNKED", b"Content-Length: 5"]),
    ("unknown coding, and length", [b"Transfer-Encoding: x", b"Content-Length: 5"]),
    ("identity, and length", [b"Transfer-Encoding: identity", b"Content-Length: 5"]),
    ("two lengths", [b"Content-Length: 5", b"Content-Length: 6"]),
    ("the same length twice", [b"Content-Length: 5", b"Content-Length: 5"]),
    ("two lengths in both cases", [b"Content-Length: 5", b"content-length: 0"]),
    ("two codings", [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"]),
    ("two codings, one unknown", [b"Transfer-Encoding: x", b"Transfer-Encoding: chunked"]),
    ("two codings, one identity", [b"Transfer-Encoding: chunked", b"Transfer-encoding: identity"]),
    ("two codings, one empty", [b"Transfer-Encoding:", b"Transfer-Encoding: chunked"]),
    ("length with an underscore", [b"Content_Length: 5"]),
    ("coding with an underscore", [b"Transfer_Encoding: chunked"]),
    (
        "coding with an underscore, and length",
        [b"Content-Length: 5", b"Transfer_Encoding: chunked"],
    ),
]

CHUNKS = [
    ("nine digits", b"000000005\r\nhello\r\n0\r\n\r\n"),
    ("beyond 32 bits", b"100000005\r\nhello\r\n0\r\n\r\n"),
    ("beyond 64 bits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("endless size", b"0" * 500 + b"5\r\nhello\r\n0\r\n\r\n"),
    ("negative size", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("plus", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("h behind", b"5h\r\nhello\r\n0\r\n\r\n"),
    ("underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
    ("letter that is no digit", b"g\r\nhello\r\n0\r\n\r\n"),
    ("empty size", b"\r\nhello\r\n0\r\n\r\n"),
    ("space in front", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("space behind", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("tab behind", b"5\t\r\nhello\r\n0\r\n\r\n"),
    ("vertical tab behind", b"5\x0b\r\nhello\r\n0\r\n\r\n"),
    ("NUL behind", b"5\x00\r\nhello\r\n0\r\n\r\n"),
    ("space within", b"0 5\r\nhello\r\n0\r\n\r\n"),
    ("quoted", b'"5"\r\nhello\r\n0\r\n\r\n'),
    ("comma", b"5,5\r\nhello\r\n0\r\n\r\n"),
    ("point", b"5.0\r\nhello\r\n0\r\n\r\n"),
    ("digit that is none of ASCII", b"\xd9\xa5\r\nhello\r\n0\r\n\r\n"),
    ("LF behind the size", b"5\nhello\r\n0\r\n\r\n"),
    ("CR behind the size", b"5\rhello\r\n0\r\n\r\n"),
    ("LF CR behind the size", b"5\n\rhello\r\n0\r\n\r\n"),
    ("CR CR LF behind the size", b"5\r\r\nhello\r\n0\r\n\r\n"),
    ("LF behind the data", b"5\r\nhello\n0\r\n\r\n"),
    ("CR behind the data", b"5\r\nhello\r0\r\n\r\n"),
    ("nothing behind the data", b"5\r\nhello0\r\n\r\n"),
    ("two bytes that are no end of line behind the data", b"5\r\nhelloXX0\r\n\r\n"),
    ("a longer chunk than told", b"4\r\nhello\r\n0\r\n\r\n"),
    ("a shorter chunk than told", b"6\r\nhello\r\n0\r\n\r\n"),
    ("LF behind the last size", b"5\r\nhello\r\n0\n\r\n"),
    ("LF at the end", b"5\r\nhello\r\n0\r\n\n"),
    ("CR at the end", b"5\r\nhello\r\n0\r\n\r\r\n"),
    ("LFs only", b"5\nhello\n0\n\n"),
    ("space behind the last size", b"5\r\nhello\r\n0 \r\n\r\n"),
    ("space before an extension", b"5 ;a\r\nhello\r\n0\r\n\r\n"),
    ("space in an extension", b"5;a b\r\nhello\r\n0\r\n\r\n"),
    ("space behind the semicolon", b"5; a\r\nhello\r\n0\r\n\r\n"),
    ("extension with no name", b"5;\r\nhello\r\n0\r\n\r\n"),
    ("extension with a value only", b"5;=a\r\nhello\r\n0\r\n\r\n"),
    ("extension with no value", b"5;a=\r\nhello\r\n0\r\n\r\n"),
    ("extension with an open quotation", b'5;a="b\r\nhello\r\n0\r\n\r\n'),
    ("extension with a quotation over lines", b'5;a="\r\nhello\r\n"\r\n0\r\n\r\n'),
    ("extension with something behind a quotation", b'5;a="b"c\r\nhello\r\n0\r\n\r\n'),
    ("extension that ends at an LF", b"5;a\nhello\r\n0\r\n\r\n"),
    ("extension that ends at an LF, and a chunk in it", b"2;\nxx\r\n5d\r\n0\r\n\r\n"),
    ("extension with a bare CR", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("extension with a NUL", b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
    ("extension with a NUL in a quotation", b'5;a="\x00"\r\nhello\r\n0\r\n\r\n'),
    ("extension of the last chunk that ends at an LF", b"0;a\n\r\n"),
    ("extensions with a comma", b"5,a\r\nhello\r\n0\r\n\r\n"),
    ("a line that is too long", b"5;a=" + b"b" * MAX_LINE + b"\r\nhello\r\n0\r\n\r\n"),
    ("extensions larger than the data", (b"1;a=" + b"b" * 900 + b"\r\nx\r\n") * 100),
    ("trailer with no colon", b"0\r\nX\r\n\r\n"),
    ("trailer with no name", b"0\r\n: 1\r\n\r\n"),
    ("trailer with a space before the colon", b"0\r\nX : 1\r\n\r\n"),
    ("folded trailer", b"0\r\nX: 1\r\n 2\r\n\r\n"),
    ("trailer with a space in front", b"0\r\n X: 1\r\n\r\n"),
    ("trailer that ends at an LF", b"0\r\nX: 1\n\r\n"),
    ("trailer with a NUL", b"0\r\nX: \x00\r\n\r\n"),
    ("trailer with a bare CR", b"0\r\nX: a\rb\r\n\r\n"),
    ("trailers that end at LFs", b"0\r\nX: 1\r\n\n"),
    ("trailer that is a request", b"0\r\nGET / HTTP/1.1\r\n\r\n"),
    ("length in trailers", b"0\r\nContent-Length: 5\r\n\r\n"),
    ("coding in trailers", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("Host in trailers", b"0\r\nX: 1\r\nhost: b\r\n\r\n"),
    ("Connection in trailers", b"0\r\nConnection: close\r\n\r\n"),
    ("Authorization in trailers", b"0\r\nAuthorization: x\r\n\r\n"),
    ("Forwarded in trailers", b"0\r\nForwarded: for=_b\r\n\r\n"),
    ("trailers that are too large", b"0\r\nX: " + b"1" * MAX_TRAILERS + b"\r\n\r\n"),
    ("too many trailers", b"0\r\n" + b"X: 1\r\n" * (MAX_FIELDS + 1) + b"\r\n"),
]

BEHIND = [
    ("a body that is longer than told", post(b"Content-Length: 4", body=b"hello\r\n\r\n")),
    ("a body that nobody told of", request(body=b"hello\r\n\r\n")),
    ("a chunk behind the last one", chunked(b"0\r\n\r\n5\r\nhello\r\n0\r\n\r\n")),
    ("two empty lines between requests", request() + b"\r\n\r\n" + request()),
    ("an LF between requests", request() + b"\n" + request()),
    ("a CR between requests", request() + b"\r" + request()),
    ("a NUL between requests", request() + b"\x00" + request()),
    ("a space between requests", request() + b" " + request()),
    ("an answer behind a request", request() + b"HTTP/1.1 200 OK\r\n\r\n"),
    ("a body of LFs behind a request", request() + b"\n\n"),
    ("a WebSocket frame behind a request", request() + b"\x81\x05hello"),
    ("TLS behind a request", request() + b"\x16\x03\x01\x02\x00\x01"),
]

WHOLE = [
    ("LFs only", 400, b"GET / HTTP/1.1\nHost: a\n\n"),
    ("LF behind the first line", 400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    ("LF behind a field", 400, b"GET / HTTP/1.1\r\nHost: a\n\r\n"),
    ("LF at the end", 400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    ("CRs only", 400, b"GET / HTTP/1.1\rHost: a\r\r"),
    ("CR CR LF at the end", 400, b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"),
    ("LF in front", 400, b"\n" + request()),
    ("CR in front", 400, b"\r" + request()),
    ("two empty lines in front", 400, b"\r\n\r\n" + request()),
    ("a field in front", 400, b"Host: a\r\nGET / HTTP/1.1\r\n\r\n"),
    ("an answer", 400, b"HTTP/1.1 200 OK\r\nHost: a\r\n\r\n"),
    ("TLS", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ("preface of HTTP/2", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (
        "preface of HTTP/2, and a frame",
        505,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00",
    ),
    ("SSH", 400, b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ("SMTP", 400, b"EHLO a\r\n\r\n"),
    ("PROXY", 400, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + request()),
    ("folded behind the first line", 400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    ("space behind the first line", 400, b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n"),
    (
        "coding in HTTP/1.0",
        400,
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "coding in HTTP/1.0 with no Host",
        400,
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("two Hosts in HTTP/1.0", 400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("bad Host in HTTP/1.0", 400, b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n"),
    ("absolute in HTTP/1.0 with no Host", 400, b"GET http://a/ HTTP/1.0\r\n\r\n"),
    ("TRACE with a body", 400, request(b"TRACE / HTTP/1.1", b"Content-Length: 5", body=b"hello")),
    (
        "TRACE in chunks",
        400,
        request(b"TRACE / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    ("target that is too large", 414, b"GET /" + b"a" * MAX_HEAD),
    ("endless first line", 414, b"G" * MAX_HEAD),
    ("field that is too large", 431, request(b"GET / HTTP/1.1", b"X: " + b"a" * MAX_HEAD)),
    ("name that is too large", 431, request(b"GET / HTTP/1.1", b"a" * MAX_HEAD)),
    ("too many fields", 431, request(b"GET / HTTP/1.1", *[b"X: 1"] * MAX_FIELDS)),
    (
        "fields that are too large with what each costs",
        431,
        request(b"GET / HTTP/1.1", *[b"X: " + b"a" * 230] * 124),
    ),
]


def _requests() -> Iterator[Probe]:
    for name, status, line in FIRST_LINES:
        yield f"first line: {name}", status, request(line)
    for name, status, field in FIELDS:
        yield f"field: {name}", status, request(b"GET / HTTP/1.1", field)
    for name, status, fields in HOSTS:
        yield f"host: {name}", status, b"\r\n".join([b"GET / HTTP/1.1", *fields, b"", b""])
    for name, value in LENGTHS:
        yield f"length: {name}", 400, post(b"Content-Length: " + value, body=b"hello")
    for name, status, value in CODINGS:
        field = b"Transfer-Encoding: " + value
        yield f"coding: {name}", status, post(field, body=b"5\r\nhello\r\n0\r\n\r\n")
    for name, fields in BOTH:
        yield f"framing: {name}", 400, post(*fields, body=b"0\r\n\r\n")
    for name, body in CHUNKS:
        yield f"chunks: {name}", 400, chunked(body)
    for name, data in BEHIND:
        yield f"behind: {name}", 400, data
    for name, status, data in WHOLE:
        yield f"whole: {name}", status, data


REQUESTS = list(_requests())
"""What clients may send, and is refused."""


def answer(line: bytes = b"HTTP/1.1 200 OK", *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *fields, b"", body])


STATUS_LINES = [
    b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 2", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 099 OK", b"HTTP/1.1 000 OK", b"HTTP/1.1 600 OK", b"HTTP/1.1 999 OK",
    b"HTTP/1.1 +20 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 0x2 OK",
    b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200\tOK", b" HTTP/1.1 200 OK",
    b"HTTP/1.1 200.1 OK", b"HTTP/1.1 OK 200", b"HTTP/1.1 2 00 OK", b"HTTP/1.2 200 OK",
    b"HTTP/2.0 200 OK", b"HTTP/2 200", b"HTTP/0.9 200 OK", b"HTTP/1.10 200 OK", b"HTTP/1 200 OK",
    b"HTTP/01.1 200 OK", b"http/1.1 200 OK", b"Http/1.1 200 OK", b"HTTP 200 OK", b"ICY 200 OK",
    b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\nK", b"HTTP/1.1 200 O\x7fK",
    b"GET / HTTP/1.1", b"<html>", b"200 OK", b"", b"\xef\xbb\xbfHTTP/1.1 200 OK",
    b"RTSP/1.0 200 OK",
]  # fmt: skip

ANSWER_FIELDS = [
    (b"X : 1",), (b" X: 1",), (b"X: 1", b" 2"), (b"X",), (b": 1",), (b"X: a\x00b",), (b"X: a\rb",),
    (b"X: a\nSet-Cookie: b=c",), (b"X Y: 1",), (b"Content-Length : 5",), (b"Content-Length: +5",),
    (b"Content-Length: -5",), (b"Content-Length: 5, 5",), (b"Content-Length: 5, 6",),
    (b"Content-Length:",),
    (b"Content-Length: 0x5",), (b"Content-Length: 5a",), (b"Content-Length: 5 5",),
    (b"Content-Length: 18446744073709551621",), (b"Content-Length: 5", b"Content-Length: 6"),
    (b"Content-Length: 5", b"Content-Length: 5"), (b"Content_Length: 5",),
    (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding: chunked", b"Content-Length: 5"), (b"Transfer-Encoding: gzip, chunked",),
    (b"Transfer-Encoding: chunked, chunked",), (b"Transfer-Encoding: chunked, gzip",),
    (b"Transfer-Encoding: identity",), (b"Transfer-Encoding: x",), (b"Transfer-Encoding:",),
    (b"Transfer-Encoding: xchunked",), (b"Transfer-Encoding: chunked;a=b",),
    (b"Transfer-Encoding : chunked",), (b"Transfer-Encoding:\x0bchunked",),
    (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    (b"Transfer_Encoding: chunked",),
    (b"Connection: Content-Length",), (b"Connection: Set-Cookie",), (b"Connection: close; x",),
    tuple([b"X: 1"] * (MAX_FIELDS + 1)), (b"X: " + b"a" * MAX_HEAD,),
]  # fmt: skip

ANSWERS_WHOLE = [
    ("LFs only", b"HTTP/1.1 200 OK\n\n"),
    ("LF at the end", b"HTTP/1.1 200 OK\r\n\n"),
    ("LF in front", b"\n" + answer()),
    ("an empty line in front", b"\r\n" + answer()),
    ("HTTP/0.9", b"<html>hello</html>\r\n\r\n"),
    ("coding in HTTP/1.0", answer(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked")),
    ("204 with a body", answer(b"HTTP/1.1 204 No Content", b"Content-Length: 5", body=b"hello")),
    ("204 in chunks", answer(b"HTTP/1.1 204 No Content", b"Transfer-Encoding: chunked")),
    ("100 with a body", answer(b"HTTP/1.1 100 Continue", b"Content-Length: 5", body=b"hello")),
    ("103 in chunks", answer(b"HTTP/1.1 103 Early Hints", b"Transfer-Encoding: chunked")),
    (
        "101 that nobody asked for",
        answer(b"HTTP/1.1 101 Switching", b"Connection: upgrade", b"Upgrade: websocket"),
    ),
    ("101 to nothing", answer(b"HTTP/1.1 101 Switching")),
    ("something behind an interim answer", answer(b"HTTP/1.1 100 Continue") + b"hello\r\n\r\n"),
    ("endless head", b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD),
    ("endless first line", b"HTTP/1.1 200 " + b"a" * MAX_HEAD),
]


def _answers() -> Iterator[Probe]:
    for line in STATUS_LINES:
        yield f"first line: {line!r}", 502, answer(line, b"Content-Length: 5", body=b"hello")
    for fields in ANSWER_FIELDS:
        text = repr(b" | ".join(fields))[:60]
        yield f"fields: {text}", 502, answer(b"HTTP/1.1 200 OK", *fields, body=b"hello")
    for name, body in CHUNKS:
        yield (
            f"chunks: {name}",
            502,
            answer(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=body),
        )
    for name, data in ANSWERS_WHOLE:
        yield f"whole: {name}", 502, data


ANSWERS = list(_answers())
"""What targets may answer to GET, and is refused."""
