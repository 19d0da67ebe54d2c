"""The routing engine: takes messages and the time, returns what to do."""
