"""The bot: routing, the bridges, the engine; every decision pure, every deed a client's of the
relay."""
