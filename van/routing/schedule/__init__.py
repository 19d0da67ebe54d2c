"""Time and chance as values: timers, alarms, back-off, dice."""
