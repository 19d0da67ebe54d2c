"""Link-state routing and the choice of instances, without I/O.

Time, randomness, and signing come in as arguments; messages and an immutable `Fib` come out. The
shell calls `Engine`, and carries out its actions. `docs/routing.md` explains how it works.
"""
