"""Pure: the tables of the relay's database."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  pubkey BLOB NOT NULL,
  kind INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  d TEXT,
  room TEXT,
  audience INTEGER NOT NULL,
  expires_at INTEGER,
  json BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_time ON events (created_at, id);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, created_at);
CREATE INDEX IF NOT EXISTS events_by_author ON events (pubkey, kind, created_at);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_address ON events (pubkey, kind, d)
  WHERE d IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_by_expiry ON events (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS tags (
  tag BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (tag, created_at, seq)
) WITHOUT ROWID;
-- The terms of contents by arrival number, filled by `word_index.py` some time after the event.
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(terms, tokenize = 'ascii');
-- What outlives content: ids that were here, effects that were had, deletions by their target.
CREATE TABLE IF NOT EXISTS gone (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS once (effect BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deletions (
  target BLOB PRIMARY KEY,
  until INTEGER NOT NULL
) WITHOUT ROWID;
-- What the owner has ruled (NIP-86).
CREATE TABLE IF NOT EXISTS rulings (
  book TEXT, subject TEXT, reason TEXT NOT NULL, PRIMARY KEY (book, subject)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
