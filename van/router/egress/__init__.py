"""Where flows leave the network: connectors, and the health of their targets."""
