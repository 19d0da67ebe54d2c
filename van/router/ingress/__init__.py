"""Where flows enter the network: listeners, and the choice of an instance."""
