"""Connections that carry many flows at a time."""
