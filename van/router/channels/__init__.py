"""TLS connections to other sites that carry flows: made, accepted, pooled."""
