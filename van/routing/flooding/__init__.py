"""How databases of neighbours come to be equal, and stay so."""
