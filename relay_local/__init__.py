"""The private relay, the spine of the assistant; `relay_local.client` is its one door."""
