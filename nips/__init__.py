"""Pure: the protocol, a file per NIP; no I/O, no clock, no randomness, no state."""
