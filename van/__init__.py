"""A Virtual Application Network: one user-space router per site, mutual TLS between sites."""

__version__ = "0.1.0"
