"""Routing engines by the hundred in one process, on a simulated clock and fabric."""
