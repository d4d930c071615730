"""The state machine in Redis: keys, scripts, and typed methods over them. Decides nothing itself."""
