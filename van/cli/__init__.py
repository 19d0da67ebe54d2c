"""The command line: each command parses, asks the router through the control API, and prints.

Commands start in an instant, so a module here imports only what every command needs; what one
command needs is imported in it.
"""
