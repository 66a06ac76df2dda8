"""Pure: what the project promises under stress, and the tests that show it.

`make test` runs each test in its short form; `make ordeal ONLY=name` runs the same test with the
full figure. The figures stand here alone; a test asks for its own by name (tests/figures.py).
"""

from __future__ import annotations

from dataclasses import dataclass

UNIT = "tests/unit"
BRIDGE = f"{UNIT}/bot/bridges/nostr"


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise.

    tests: pytest's names for what shows it. short, full: how many `unit` in `make test` and in
    `make ordeal`; equal where there is nothing to enlarge. minutes: what the full figure takes
    on two cores.
    """

    name: str
    sentence: str
    tests: tuple[str, ...]
    unit: str
    short: int
    full: int
    minutes: float


PROMISES = (
    Promise(
        "ok-on-disk",
        "The relay is killed at random points of a stream: no event that had its OK is lost.",
        (f"{UNIT}/relay_local/test_main.py::test_no_acknowledged_event_is_lost_in_a_kill",),
        "kills",
        5,
        200,
        3,
    ),
    Promise(
        "relay-kills",
        "The relay is killed in the middle of conversations: each reply arrives, once.",
        ("tests/e2e/test_kills.py::test_a_killed_relay_costs_no_reply",),
        "kills",
        2,
        50,
        5,
    ),
    Promise(
        "signer-kills",
        "The signer is killed in the middle of conversations: each reply arrives, once.",
        ("tests/e2e/test_kills.py::test_a_killed_signer_costs_no_reply",),
        "kills",
        2,
        50,
        5,
    ),
    Promise(
        "model-kills",
        "The model proxy is killed in the middle of calls: no budget grows, nothing goes twice.",
        (f"{UNIT}/signer/test_model_kills.py::test_no_kill_makes_a_budget_larger",),
        "kills",
        4,
        200,
        7,
    ),
    Promise(
        "cost-kills",
        "The router is killed around runs that use models: each is told its owner's cost, once.",
        ("tests/image/test_costs.py::test_no_kill_of_the_router_loses_a_cost_or_tells_it_twice",),
        "kills",
        3,
        60,
        10,
    ),
    Promise(
        "bot-kills",
        "The bot is killed in the middle of conversations: each reply arrives, once.",
        ("tests/e2e/test_kills.py::test_a_killed_bot_costs_no_reply",),
        "kills",
        2,
        200,
        16,
    ),
    Promise(
        "request-kills",
        "The bot is killed around what agents ask of it: each thing is done once, or told.",
        ("tests/e2e/test_kills.py::test_a_killed_bot_does_what_an_agent_asked_of_it_once",),
        "kills",
        3,
        50,
        5,
    ),
    Promise(
        "strangers",
        "Unknown people write in a crowd: twenty are shown, none is answered, no word is kept.",
        ("tests/e2e/test_groups.py::test_a_crowd_of_strangers_leaves_little",),
        "strangers",
        60,
        10_000,
        4,
    ),
    Promise(
        "public-relay-kills",
        "A public relay is killed in the middle of conversations: each reply arrives, once.",
        ("tests/e2e/test_kills.py::test_a_killed_public_relay_costs_no_reply",),
        "kills",
        2,
        50,
        9,
    ),
    Promise(
        "signal-burst",
        "A crowd writes on Signal at once, and again: all of it arrives, in order; memory is flat.",
        ("tests/e2e/test_signal.py::test_a_burst_arrives_whole_and_in_order",),
        "messages, twice",
        100,
        5_000,
        10,
    ),
    Promise(
        "signal-outage",
        "Signal's service is away while much is said: all of it goes out afterwards, in order.",
        ("tests/e2e/test_signal.py::test_an_outage_loses_nothing_that_waits",),
        "messages",
        12,
        500,
        5,
    ),
    Promise(
        "signal-kills",
        "The bot is killed while much comes from Signal: a batch at most is lost, nothing doubled.",
        ("tests/e2e/test_signal.py::test_a_kill_costs_a_batch_at_most_and_doubles_nothing",),
        "kills",
        2,
        50,
        10,
    ),
    Promise(
        "router-kills",
        "The router is killed at any time: each message is answered once or its end is told.",
        ("tests/image/test_router.py::test_killed_at_any_time_it_answers_once",),
        "kills",
        6,
        200,
        8,
    ),
    Promise(
        "engine-restarts",
        "The container engine is killed or stopped at any time and started: each job has its end.",
        (
            "tests/image/test_engine_restarts.py"
            "::test_a_restarted_engine_leaves_no_job_without_its_end",
        ),
        "restarts",
        1,
        50,
        3,
    ),
    Promise(
        "dispatch-dice",
        "Messages, call-offs, dying agents, a router cut off, in any order: each message once.",
        (
            "tests/unit/bot/test_dispatch.py"
            "::test_in_any_order_of_things_each_message_is_dealt_with_once",
        ),
        "rounds",
        8,
        300,
        4,
    ),
    Promise(
        "handing-kills",
        "The router is killed while messages are handed over: each is answered once or told of.",
        ("tests/image/test_handing.py::test_killed_at_any_time_each_of_several_is_answered_once",),
        "kills",
        4,
        50,
        3,
    ),
    Promise(
        "bridge-kills",
        "The bridge is killed at any time: each message and each reply arrives once.",
        (
            f"{BRIDGE}/test_inbox.py::test_killed_at_any_time_every_message_arrives_once",
            f"{BRIDGE}/test_outbox.py::test_killed_at_any_time_every_reply_arrives_once",
        ),
        "kills",
        5,
        50,
        2,
    ),
    Promise(
        "one-signature",
        "The signer is killed while it signs: one signature and one event a request.",
        (
            f"{UNIT}/signer/test_service.py"
            "::test_kill_9_gives_one_signature_and_one_event_a_request",
        ),
        "kills",
        4,
        200,
        17,
    ),
    Promise(
        "signer-away",
        "The signer is away: what needs it waits both ways, and its owner is told in 60 s.",
        ("tests/e2e/test_signer_away.py",),
        "messages",
        4,
        200,
        6,
    ),
    Promise(
        "restarts",
        "The bot is stopped and started: no reply is repeated.",
        ("tests/e2e/test_restarts.py",),
        "restarts",
        3,
        100,
        4,
    ),
    Promise(
        "connections",
        "Thousands who only listen leave room for a hundred who write: nobody is refused.",
        (f"{UNIT}/relay_local/test_multitude.py",),
        "idle connections",
        200,
        10_000,
        2,
    ),
    Promise(
        "slow-reader",
        "Who does not read is cut off when too much waits for them, and nobody else waits.",
        (
            f"{UNIT}/relay_local/test_server.py::test_a_slow_reader_is_cut_and_nobody_waits_for_it",
            f"{UNIT}/relay_local/test_server.py::test_a_large_store_is_read_at_the_readers_pace",
        ),
        "",
        1,
        1,
        1,
    ),
    Promise(
        "disk-full",
        "A full disk is told, nothing acknowledged is lost, and work goes on when there is room.",
        (f"{UNIT}/relay_local/test_faults.py", f"{UNIT}/bot/test_full_disk.py"),
        "",
        1,
        1,
        1,
    ),
    Promise(
        "frames",
        "Malformed frames: each is answered or taken, none ends the relay or fills its memory.",
        (f"{UNIT}/relay_local/test_connection.py::test_random_frames",),
        "frames",
        20_000,
        10_000_000,
        4,
    ),
    Promise(
        "filters",
        "Stored events are found by SQL exactly as a naive oracle finds them.",
        (
            f"{UNIT}/relay_local/test_query.py::test_sql_finds_what_the_oracle_finds",
            f"{UNIT}/relay_local/test_query.py::test_the_scope_is_the_same_in_sql",
        ),
        "filters",
        120,
        100_000,
        35,
    ),
    Promise(
        "kinds",
        "Each of 65,536 kinds is judged under random grants and ceilings as a naive oracle does.",
        (f"{UNIT}/signer/test_kinds.py",),
        "grants under ceilings",
        2,
        300,
        10,
    ),
    Promise(
        "rates",
        "Renewals, new keys, restarts and steps of the clock: no cap is ever exceeded.",
        (f"{UNIT}/signer/test_rates.py",),
        "steps",
        120,
        1_000,
        2,
    ),
    Promise(
        "ttl",
        "Grants begin and end to the second; no renewal, order or race makes one immortal.",
        (f"{UNIT}/signer/test_ttl.py",),
        "",
        1,
        1,
        1,
    ),
    Promise(
        "approvals",
        "A hostile bot invents, changes and replays: signed is what the owner approved, once.",
        (
            f"{UNIT}/signer/test_approval_dice.py",
            f"{UNIT}/signer/test_hostile_bot.py",
        ),
        "attacks",
        200,
        20_000,
        13,
    ),
    Promise(
        "seals",
        "Forged wraps, seals, signatures, authors and ids: the signer opens none of them.",
        (f"{UNIT}/signer/test_desk.py::test_no_forgery_is_opened",),
        "forgeries",
        500,
        100_000,
        5,
    ),
    Promise(
        "one-effect",
        "The same wrap comes five times, shuffled over the relays: one message each.",
        (f"{BRIDGE}/test_inbox_volume.py::test_five_times_the_same_wrap_is_one_message",),
        "messages",
        50,
        10_000,
        3,
    ),
    Promise(
        "backdated",
        "Wraps dated up to two days back come while relays fall and return: none is lost.",
        (f"{BRIDGE}/test_inbox_volume.py::test_backdated_wraps_survive_reconnects",),
        "messages",
        100,
        10_000,
        5,
    ),
    Promise(
        "relays-out",
        "Four relays of five are out, in turn, while both sides talk: nothing is lost or doubled.",
        (f"{BRIDGE}/test_relays_out.py",),
        "messages",
        20,
        1_000,
        13,
    ),
    Promise(
        "silent-death",
        "A relay dies without a word: known within 90 s, and within 180 s where it still answers.",
        (f"{BRIDGE}/test_silent_death.py",),
        "rounds of four deaths",
        1,
        5,
        8,
    ),
    Promise(
        "burst-at-start",
        "Messages wait at the public relays before the first start: all of them arrive, once.",
        (f"{BRIDGE}/test_beginnings.py::test_what_waits_at_the_start_all_arrives",),
        "messages",
        100,
        1_000,
        1,
    ),
    Promise(
        "starts-and-stops",
        "The bridge starts, logs in to relays and stops at any moment: it never ends in a crash.",
        (f"{BRIDGE}/test_beginnings.py::test_it_starts_and_stops_without_a_crash",),
        "starts",
        5,
        200,
        4,
    ),
    Promise(
        "containers",
        "Containers that hang, fork, flood or fill memory and disk are ended within 5 s.",
        (
            "tests/image/test_sandbox.py::test_a_flood_of_output_is_ended_and_not_kept",
            "tests/image/test_sandbox.py::test_a_hanging_program_is_ended_in_time",
            "tests/image/test_sandbox.py::test_memory_is_bounded",
            "tests/image/test_sandbox.py::test_tmpfs_is_bounded",
            "tests/image/test_sandbox.py::test_a_fork_bomb_stays_inside",
            "tests/image/test_sandbox.py::test_processes_are_counted",
            "tests/image/test_sandbox.py::test_a_flood_of_files_is_ended",
            "tests/image/test_sandbox.py::test_one_file_is_bounded",
            "tests/image/test_sandbox.py::test_a_nearly_full_disk_ends_it",
            "tests/image/test_router.py"
            "::test_one_that_passes_a_limit_is_ended_at_once_and_the_owner_told",
        ),
        "MB of output",
        100,
        10_000,
        1,
    ),
    Promise(
        "isolation",
        "A hostile program in one group reaches no other group, not main, and not the host.",
        ("tests/image/test_isolation.py",),
        "rounds of attempts, shuffled",
        1,
        10,
        4,
    ),
    Promise(
        "injection",
        "An agent does whatever it is told: nothing comes of it outside its own conversation.",
        ("tests/e2e/test_injection.py",),
        "hostile messages",
        25,
        500,
        5,
    ),
    Promise(
        "trixie",
        "The image is made on Debian trixie as well, and the conversation is held in it.",
        ("tests/e2e/test_conversation.py",),
        "bases",
        1,
        2,
        2,
    ),
    Promise(
        "image",
        "The agent's image holds no address, authority, secret or code that is not its own.",
        ("tests/image/test_image.py",),
        "",
        1,
        1,
        1,
    ),
    Promise(
        "leaks",
        "The bot's key and people's words are in no memory dump, argument, variable, log, file.",
        (
            f"{UNIT}/signer/test_secret.py",
            f"{UNIT}/signer/test_keystore.py",
            f"{UNIT}/signer/test_leaks.py",
            f"{UNIT}/signer/test_descent.py",
            "tests/e2e/test_leaks.py",
            f"{UNIT}/signer/test_desk.py::test_no_opened_text_is_kept",
            f"{UNIT}/signer/test_service.py::test_it_ends_cleanly_and_tells_no_secret",
            f"{BRIDGE}/test_inbox.py::test_no_words_of_anybodys_are_in_the_log",
            "tests/image/test_sandbox.py::test_the_key_is_nowhere_an_inspection_looks",
            "tests/e2e/test_containers.py::test_it_has_no_network_no_root_and_no_secret",
        ),
        "",
        1,
        1,
        1,
    ),
    Promise(
        "commands-speed",
        "With 100 conversations and thousands of runs each of the owner's commands answers within "
        "a second.",
        (
            f"{UNIT}/bot/commands/test_speed.py"
            "::test_every_command_answers_within_a_second_however_much_there_is",
        ),
        "runs",
        300,
        10_000,
        3,
    ),
    Promise(
        "commands-kills",
        "The router is killed in the middle of the owner's commands: each is carried out once and "
        "answered once.",
        (
            f"{UNIT}/bot/commands/test_hearing.py"
            "::test_a_router_killed_again_and_again_carries_each_command_out_once",
        ),
        "kills",
        10,
        100,
        5,
    ),
    Promise(
        "wall-clock",
        "Tasks around every change of the clock in two years, in every zone: a time that is passed "
        "over runs at the first instant after, one that comes twice runs once.",
        (f"{UNIT}/bot/schedule/test_slots.py::test_every_zone_around_every_change_of_its_clock",),
        "zones",
        8,
        600,
        4,
    ),
    Promise(
        "task-kills",
        "Two schedulers of the same tasks are killed at any moment: one job a slot, none without.",
        (f"{UNIT}/bot/test_scheduler_kills.py",),
        "kills",
        4,
        200,
        5,
    ),
    Promise(
        "task-cuts",
        "Two schedulers of the same tasks are cut off between any two of their steps: one job a "
        "slot, none without.",
        (f"{UNIT}/bot/test_scheduler.py::test_killed_at_any_time_each_slot_runs_once",),
        "cuts",
        40,
        2_000,
        2,
    ),
    Promise(
        "clock-steps",
        "Clocks are set by a day forward and back, machines sleep, in every zone: no slot of a "
        "task is claimed twice, and none is lost while nobody touches the clock.",
        (
            f"{UNIT}/bot/schedule/test_misfire.py::test_clocks_that_are_set_as_anybody_likes",
            f"{UNIT}/bot/test_scheduler.py::test_a_clock_that_is_set_while_it_waits_is_noticed",
        ),
        "machines",
        12,
        5_000,
        6,
    ),
)
NAMES = tuple(promise.name for promise in PROMISES)


def promise_of(name: str) -> Promise:
    """The promise of this name. Raises KeyError."""
    for promise in PROMISES:
        if promise.name == name:
            return promise
    raise KeyError(name)
