"""What both ends of a flow share, whatever its protocol."""
