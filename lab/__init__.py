"""What tests and benchmarks share: sites in this process, sites as processes, and a simulator."""
