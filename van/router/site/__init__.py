"""What a site is: its identity and whom it trusts, its settings, and how often it has started."""
