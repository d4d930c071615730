"""How the services speak gRPC: one server, one mapping of errors."""
