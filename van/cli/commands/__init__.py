"""The commands: each module has one, or one noun with its verbs."""
