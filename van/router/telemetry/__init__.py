"""What the router tells of itself and of the network: events, the map, traces."""
