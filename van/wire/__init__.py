"""What travels between sites: framing, and the messages of the three conversations.

Nothing here does I/O. `docs/protocol.md` is the specification of these bytes.
"""
