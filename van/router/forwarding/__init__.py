"""Transit: what this site passes on for others, and never reads."""
