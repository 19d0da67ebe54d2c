"""HTTP between programs and the VAN: what a message may look like, and what becomes of it, without
I/O.

`van.http.h1` is HTTP/1.0 and 1.1 (RFC 9112), and `van.http.h2` HTTP/2 (RFC 9113) with HPACK (RFC
7541). What holds for every version (RFC 9110) is here: names and values of fields, methods and
statuses, a message whatever its version, and the answers that the VAN itself gives.
"""
