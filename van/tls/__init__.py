"""Who is who: the VAN's authority, certificates, tokens, and the TLS contexts made of them.

Nothing here opens a connection or keeps time; `docs/security.md` describes what is on the wire.
"""
