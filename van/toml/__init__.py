"""TOML that people edit: reading it with every mistake named, and changing it in place.

`table` reads, `layout` knows which lines of the text say what, and `editing` changes only those.
"""
