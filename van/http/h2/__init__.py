"""HTTP/2 (RFC 9113) with HPACK (RFC 7541), sans-IO, for both ends of a connection.

`van.http.h2.connection` is what others use; it takes bytes and the time, gives events, and appends
what is to be sent to one buffer. Messages are those of `van.http.message`.
"""
