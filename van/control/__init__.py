"""The control API as its server and its clients share it: values, and the client."""
