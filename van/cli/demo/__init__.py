"""`van demo`: a story of three sites, told by real commands."""
