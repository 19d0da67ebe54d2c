"""HTTP/1.0 and 1.1 (RFC 9112), sans-IO: heads, bodies, and connections.

Strict: what the grammar does not have is refused, and nothing is repaired on the way. What is
passed on are the bytes as they came, without the lines that were for this hop.
"""
