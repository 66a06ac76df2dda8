"""Pure: lists as signal-cli-rest-api gives them, made of those that signal-cli prints.

Source: signal-cli-rest-api, client/client.go (its quirks are its own: a group's `edit_group` is
who may send, and a contact's `message_expiration` is always empty).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

_PERMISSIONS = {"EVERY_MEMBER": "every-member", "ONLY_ADMINS": "only-admins"}


def group_id(internal: str) -> str:
    """A group's id in this API: signal-cli's, which is base64, as base64 again."""
    return "group." + base64.b64encode(internal.encode()).decode()


def group(entry: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """One group; whole: with both ids of each member, instead of the number or else the ACI."""

    def people(name: str) -> list[Any]:
        found: Sequence[Mapping[str, Any]] = entry.get(name) or []
        both = [{"number": p.get("number") or "", "uuid": p.get("uuid") or ""} for p in found]
        return both if whole else [person["number"] or person["uuid"] for person in both]

    def permission(name: str) -> str:
        return _PERMISSIONS.get(entry.get(name) or "", "")

    return {
        "name": entry.get("name") or "",
        "description": entry.get("description") or "",
        "id": group_id(entry["id"]),
        "internal_id": entry["id"],
        "members": people("members"),
        "blocked": bool(entry.get("isBlocked")),
        "member": bool(entry.get("isMember")),
        "pending_invites": people("pendingMembers"),
        "pending_requests": people("requestingMembers"),
        "invite_link": entry.get("groupInviteLink") or "",
        "admins": people("admins"),
        "permissions": {
            "add_members": permission("permissionAddMember"),
            "edit_group": permission("permissionSendMessage"),
            "send_messages": permission("permissionSendMessage"),
        },
    }


def contact(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One contact."""
    profile = entry.get("profile") or {}
    text = {
        "number": "number", "uuid": "uuid", "name": "name", "profile_name": "profileName",
        "username": "username", "color": "color", "message_expiration": "messageExpiration",
        "note": "note", "given_name": "givenName",
    }  # fmt: skip
    return {
        **{name: entry.get(source) or "" for name, source in text.items()},
        "blocked": bool(entry.get("blocked")),
        "profile": {
            "given_name": profile.get("givenName") or "",
            "lastname": profile.get("familyName") or "",
            "about": profile.get("about") or "",
            "has_avatar": bool(profile.get("hasAvatar")),
            "last_updated_timestamp": profile.get("lastUpdateTimestamp") or 0,
        },
        "nickname": {
            "name": entry.get("nickName") or "",
            "given_name": entry.get("nickGivenName") or "",
            "family_name": entry.get("nickFamilyName") or "",
        },
    }


def identity(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One identity."""
    return {
        "number": entry.get("number") or "",
        "status": entry["trustLevel"],
        "fingerprint": entry["fingerprint"],
        "added": str(entry["addedTimestamp"]),
        "safety_number": entry["safetyNumber"],
        "uuid": entry.get("uuid") or "",
    }


def send_response(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What a send answers for one of its parts: when it went, and who did not get it."""
    failed = [
        {name: value for name, value in (
            ("username", result["recipientAddress"].get("username")),
            ("number", result["recipientAddress"].get("number")),
            ("uuid", result["recipientAddress"].get("uuid")),
            ("reason", result["type"]),
        ) if value}
        for result in outcome.get("results") or []
        if result["type"] != "SUCCESS"
    ]  # fmt: skip
    errors = {"errors": {"recipients": failed}} if failed else {}
    return {"timestamp": str(outcome["timestamp"]), **errors}
