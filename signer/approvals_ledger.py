"""Shell: the questions to the owner, in tables of their own inside the ledger.

A question, the events that show it and what asking cost are one transaction; so are its answer,
the signature and the answer kept for the asker. So a kill at any instant neither loses a question
nor lets one be used twice.
"""

from __future__ import annotations

from hashlib import sha256

import orjson

from nips.event import Template
from signer.approval import Question, State
from signer.ledger import Ledger

_SCHEMA = """
CREATE TABLE IF NOT EXISTS questions (     -- verdict: what the relay said of the signed event
    run TEXT PRIMARY KEY, template TEXT NOT NULL, client TEXT NOT NULL, request TEXT NOT NULL,
    body TEXT NOT NULL, conversation TEXT NOT NULL, once TEXT, shown TEXT NOT NULL,
    asked_s REAL NOT NULL, deadline_s REAL NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    settled_by TEXT NOT NULL, verdict TEXT, closed INTEGER NOT NULL DEFAULT 0,
    code TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS questions_open ON questions (run) WHERE closed = 0;
CREATE INDEX IF NOT EXISTS questions_asked ON questions (client, body);
CREATE INDEX IF NOT EXISTS questions_once ON questions (once) WHERE once IS NOT NULL;
CREATE TABLE IF NOT EXISTS question_shown (id TEXT PRIMARY KEY, run TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS question_joined ( -- the last request of a key that asked the same
    client TEXT PRIMARY KEY, body TEXT NOT NULL, run TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS question_told (id TEXT PRIMARY KEY) WITHOUT ROWID;  -- vain answers
"""
_ID_CHARS = 64
_COLUMNS = (
    "run, template, client, request, body, conversation, once, shown, asked_s, deadline_s,"
    " state, reason, settled_by, code"
)


class ApprovalsLedger:
    """See above. Writes happen inside the ledger's `transaction`."""

    def __init__(self, ledger: Ledger) -> None:
        self._db = ledger.db
        self._db.executescript(_SCHEMA)
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(questions)")}
        if "code" not in columns:  # questions of before have none, so no words answer them
            self._db.execute("ALTER TABLE questions ADD COLUMN code TEXT NOT NULL DEFAULT ''")

    def keep(self, question: Question) -> None:
        """Keep a new question, or what has become of one."""
        self._db.execute(
            f"INSERT INTO questions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
            " ON CONFLICT (run) DO UPDATE SET state = excluded.state, reason = excluded.reason,"
            " settled_by = excluded.settled_by",
            (
                question.run,
                orjson.dumps(question.template.to_json()).decode(),
                question.client,
                question.request,
                question.body,
                question.group,
                question.once,
                question.text,
                question.asked_s,
                question.deadline_s,
                question.state,
                question.reason,
                question.settled_by,
                question.code,
            ),
        )

    def of_run(self, run: str) -> Question | None:
        """The question about this very event."""
        return self._one("run = ?", run)

    def of_request(self, client: str, request: str) -> Question | None:
        """The question that a request has led to."""
        return self._one("client = ? AND request = ?", client, request)

    def of_body(self, client: str, body: str) -> Question | None:
        """The question that the same request under any id has led to."""
        return self._one("client = ? AND body = ?", client, body)

    def join(self, client: str, body: str, run: str) -> None:
        """Note that a request of another key's, its last such one, is about this question too."""
        self._db.execute(
            "INSERT OR REPLACE INTO question_joined VALUES (?, ?, ?)", (client, body, run)
        )

    def joined(self, client: str, body: str) -> Question | None:
        """The question that the key's last such request was about."""
        row = self._db.execute(
            "SELECT run FROM question_joined WHERE client = ? AND body = ?", (client, body)
        ).fetchone()
        return None if row is None else self.of_run(row[0])

    def last_of(self, client: str) -> Question | None:
        """The latest question that a client key has asked."""
        return self._one("client = ? ORDER BY asked_s DESC", client)

    def of_once(self, once: str) -> Question | None:
        """The last question about an event with this once-key."""
        return self._one("once = ? ORDER BY asked_s DESC", once)

    def of_text(self, text: str) -> Question | None:
        """The question that reads exactly so."""
        return self._shown(_hash(text))

    def named(self, named: str) -> list[Question]:
        """What an answer names: by its id or that of what showed it, or by the code's first digits.

        All that were ever asked are looked at: a code that begins like an older question's must
        not take that one's answer.
        """
        if len(named) == _ID_CHARS:
            found = self._shown(named) or self.of_run(named)
            return [] if found is None else [found]
        return self._all("code >= ? AND code < ? LIMIT 2", named, named + "g")

    def show(self, event_id: str, run: str) -> None:
        """Note that an event, or a rumor, has shown the question."""
        self._db.execute("INSERT OR IGNORE INTO question_shown VALUES (?, ?)", (event_id, run))

    def show_text(self, question: Question) -> None:
        """Note how a question reads."""
        self.show(_hash(question.text), question.run)

    def _shown(self, shown: str) -> Question | None:
        row = self._db.execute(
            "SELECT run FROM question_shown WHERE id = ?", (shown,)
        ).fetchone()  # fmt: skip
        return None if row is None else self.of_run(row[0])

    def asked(self) -> list[Question]:
        """The questions that are not settled."""
        return self._all("closed = 0 AND state = ?", State.ASKED)

    def tell(self, answer_id: str) -> bool:
        """Note that somebody was told why their answer settles nothing; False: they were before."""
        added = self._db.execute("INSERT OR IGNORE INTO question_told VALUES (?)", (answer_id,))
        return added.rowcount > 0

    def judge(self, run: str, verdict: str) -> bool:
        """Keep what the relay said of an approved event, empty for yes; False: it is none."""
        changed = self._db.execute(
            "UPDATE questions SET verdict = ? WHERE run = ? AND verdict IS NULL AND closed = 0",
            (verdict, run),
        )
        return changed.rowcount > 0

    def to_close(self) -> list[tuple[Question, str]]:
        """The settled questions whose end has not been told, with the relay's verdict."""
        rows = self._db.execute(
            f"SELECT verdict, {_COLUMNS} FROM questions WHERE closed = 0 AND state != ?"  # noqa: S608
            " AND (state != ? OR verdict IS NOT NULL)",
            (State.ASKED, State.APPROVED),
        ).fetchall()
        return [(_question(row[1:]), row[0] or "") for row in rows]

    def close(self, run: str) -> None:
        """Note that a question's end has been told."""
        self._db.execute("UPDATE questions SET closed = 1 WHERE run = ?", (run,))

    def _one(self, where: str, *values: str) -> Question | None:
        found = self._all(f"{where} LIMIT 1", *values)
        return found[0] if found else None

    def _all(self, where: str, *values: str) -> list[Question]:
        # `where` is one of the texts above.
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM questions WHERE {where}", values)  # noqa: S608
        return [_question(row) for row in rows.fetchall()]


def _hash(text: str) -> str:
    return "text/" + sha256(text.encode()).hexdigest()  # no event's id looks so


def _question(row: tuple[str, ...]) -> Question:
    (
        run,
        template,
        client,
        request,
        body,
        group,
        once,
        text,
        asked,
        deadline,
        state,
        reason,
        by,
        code,
    ) = row
    return Question(
        run, code, Template.from_json(orjson.loads(template)), client, request, body, group,
        once, text, float(asked), float(deadline), State(state), reason, by,
    )  # fmt: skip
