"""Pure: this project's own events; PROTOCOL.md is their specification."""
