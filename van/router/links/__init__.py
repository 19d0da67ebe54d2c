"""Links to neighbours: dialled, accepted, kept, and given up; what routing is fed with."""
