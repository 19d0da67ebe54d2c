"""Values of the control API: HTTP with JSON over the site's unix socket.

Every structure here is part of version 1 of the API: fields may be added, never renamed or
removed. Durations are seconds; round trips are milliseconds, as a person reads them. What stands
under a field is what `docs/control-api.md` says of it: `make docs` writes it there.
"""
