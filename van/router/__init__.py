"""The daemon of a site: links, channels, flows, and the control API, in one trio program."""
