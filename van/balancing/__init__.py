"""Which instance of an address gets a flow.

Pure, like `van.routing`: reports and the time go in, a choice comes out.
"""
