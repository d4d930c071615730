"""The rules, as pure functions and frozen data. No I/O, no clock of its own, no Redis, no gRPC."""
