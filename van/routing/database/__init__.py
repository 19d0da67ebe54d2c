"""The link-state database, and what is let into it."""
