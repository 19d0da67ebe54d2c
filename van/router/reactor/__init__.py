"""The readiness loop of the data plane, its threads, and non-blocking I/O on it."""
