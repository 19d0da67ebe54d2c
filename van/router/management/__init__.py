"""The control API: HTTP on a unix socket, and what its requests do."""
