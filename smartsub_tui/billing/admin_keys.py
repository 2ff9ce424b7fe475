"""The keys of SSH by which admins log in: one key is one admin's. Managers register and remove them.

sshd asks `holder` at each login, so that it counts at once when a key is added or removed, or an admin disabled.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.admins import is_name, row_of
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.session import Session
from smartsub_tui.data.models import Admin, AdminKey
from smartsub_tui.data.records import KeyRecord
from smartsub_tui.errors import NotFound, Refused, WrongUsage

_LONGEST: Final = 16_384  # characters; a key of RSA with 16,384 bits, the largest of OpenSSH, has a fifth
_RSA_BITS: Final = range(2048, 16_384 + 1)
_HOW: Final = 'give the line of a file that ends in .pub, as "ssh-ed25519 AAAA..."'


class PublicKey(Struct, frozen=True):
    """A public key as OpenSSH knows it: the name of its type, and what it consists of."""

    type: str
    blob: bytes

    @property
    def line(self) -> str:
        """As it stands in authorized_keys, without a comment."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l tells it, and sshd by %f: SHA-256 over the blob, in Base64 without padding."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"


def parse_key(text: str) -> PublicKey:
    """The key of one line as ssh-keygen writes it into a .pub file (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

    The comment behind it is left out. Raises WrongUsage, never repeating what stands there: it might be a secret.
    """
    line = text.strip()
    if "PRIVATE KEY" in line:
        raise WrongUsage(f"this is a private key, which nobody else may have: {_HOW}")
    if not line or len(line) > _LONGEST or len(line.splitlines()) > 1:
        raise WrongUsage(f"this is not one public key in one line: {_HOW}")
    kind, *rest = line.split()
    shape = _SHAPES.get(kind)
    if shape is None:
        if kind.endswith("-cert-v01@openssh.com"):
            raise WrongUsage(f"this is a certificate, not a key: {_HOW}")
        raise WrongUsage(
            f"the line begins with no type of key that is taken ({', '.join(_SHAPES)}), and options are not: {_HOW}"
        )
    try:
        blob = base64.b64decode(rest[0], validate=True)
    except (IndexError, ValueError, binascii.Error) as error:
        raise WrongUsage(f"behind {kind} stands no key: {_HOW}") from error
    # One key has one line and one fingerprint: what decodes alike but is written otherwise is not taken.
    if base64.b64encode(blob).decode() != rest[0]:
        raise WrongUsage(f"behind {kind} stands no key: {_HOW}")
    shape(kind, blob)
    return PublicKey(kind, blob)


class _Parts:
    """Reads a blob from its beginning: strings with their length in front (RFC 4251, 5)."""

    def __init__(self, kind: str, blob: bytes) -> None:
        self._left = blob
        self._kind = kind
        if self.next() != kind.encode():
            raise self.wrong()

    def next(self) -> bytes:
        length = int.from_bytes(self._left[:4], "big")
        if len(self._left) < 4 + length:
            raise self.wrong()
        part, self._left = self._left[4 : 4 + length], self._left[4 + length :]
        return part

    def number(self) -> int:
        """A number above 0, without zeros in front but for the one that keeps it from being negative."""
        part = self.next()
        number = int.from_bytes(part, "big")
        if part != number.to_bytes(number.bit_length() // 8 + 1, "big") or number == 0:
            raise self.wrong()
        return number

    def end(self) -> None:
        if self._left:
            raise self.wrong()

    def wrong(self) -> WrongUsage:
        return WrongUsage(f"this {self._kind} key is damaged: {_HOW}")


def _ed25519(kind: str, blob: bytes) -> None:
    """RFC 8709, 4; of a security key (PROTOCOL.u2f of OpenSSH) the application stands behind it."""
    parts = _Parts(kind, blob)
    if len(parts.next()) != 32:
        raise parts.wrong()
    _application(kind, parts)


def _ecdsa(kind: str, blob: bytes) -> None:
    """RFC 5656, 3.1: the name of the curve, and an uncompressed point."""
    parts = _Parts(kind, blob)
    curve = kind.removeprefix("sk-").removesuffix("@openssh.com").removeprefix("ecdsa-sha2-")
    if parts.next() != curve.encode():
        raise parts.wrong()
    point = parts.next()
    if len(point) != 1 + 2 * ((int(curve.removeprefix("nistp")) + 7) // 8) or point[0] != 4:
        raise parts.wrong()
    _application(kind, parts)


def _application(kind: str, parts: _Parts) -> None:
    if kind.startswith("sk-") and not parts.next():
        raise parts.wrong()
    parts.end()


def _rsa(kind: str, blob: bytes) -> None:
    """RFC 4253, 6.6: exponent and modulus."""
    parts = _Parts(kind, blob)
    exponent, modulus = parts.number(), parts.number()
    parts.end()
    if exponent < 3 or exponent % 2 == 0:
        raise parts.wrong()
    if modulus.bit_length() not in _RSA_BITS:
        raise WrongUsage(
            f"this RSA key has {modulus.bit_length():,} bits: take one of {_RSA_BITS[0]:,} to {_RSA_BITS[-1]:,},"
            " or an ed25519 key (ssh-keygen -t ed25519)"
        )


_SHAPES: Final[dict[str, Callable[[str, bytes], None]]] = {
    "ssh-ed25519": _ed25519,
    "sk-ssh-ed25519@openssh.com": _ed25519,
    "ecdsa-sha2-nistp256": _ecdsa,
    "ecdsa-sha2-nistp384": _ecdsa,
    "ecdsa-sha2-nistp521": _ecdsa,
    "sk-ecdsa-sha2-nistp256@openssh.com": _ecdsa,
    "ssh-rsa": _rsa,
}


class Holder(Struct, frozen=True):
    """Whose key it is, and the key."""

    admin: str
    key: PublicKey


def keys(session: Session, name: str) -> list[KeyRecord]:
    """The keys of an admin, oldest first. In a reading session. Raises NotFound, naming the nearest."""
    row = row_of(name)
    return [_record(each) for each in AdminKey.select().where(AdminKey.admin == row).order_by(AdminKey.id)]


def add_key(
    session: Session, name: str, text: str, *, request_id: str | None = None, dry_run: bool = False
) -> KeyRecord:
    """Register a public key, given as its line, for an admin; one that is theirs already stays as it is.

    Raises WrongUsage for what is no key, Refused for another admin's, NotFound, NotAllowed.
    """
    key = parse_key(text)

    def work(change: Change) -> KeyRecord:
        row = row_of(name)
        if not is_name(name):
            raise Refused(f"{name} was made outside of smartsub admin add, and by such a name nobody logs in over SSH")
        found = AdminKey.get_or_none(AdminKey.fingerprint == key.fingerprint)
        if found is not None and found.admin != row:
            raise Refused(
                f"this key is {found.admin.name}'s, and a key is one admin's: take another, or remove it there first"
            )
        if found is None:
            found = AdminKey.create(admin=row, fingerprint=key.fingerprint, public_key=key.line, created_at=change.now)
            change.record("add_key", subject=name, after=_columns(_record(found)))
        return _record(found)

    arguments = {"add_key": name, "key": key.line}
    return perform(session, Permission.ADMINS, arguments, KeyRecord, work, request_id=request_id, dry_run=dry_run)


def remove_key(
    session: Session, name: str, fingerprint: str, *, request_id: str | None = None, dry_run: bool = False
) -> KeyRecord:
    """Forget a key of an admin: nobody logs in by it any more. Returns what it was.

    Raises NotFound where the admin, or that key of theirs, is not there; NotAllowed.
    """

    def work(change: Change) -> KeyRecord:
        row = row_of(name)
        found = AdminKey.get_or_none((AdminKey.admin == row) & (AdminKey.fingerprint == fingerprint))
        if found is None:
            raise NotFound(f"{name} has no key {fingerprint!r}: smartsub admin key {name} lists them")
        was = _record(found)
        found.delete_instance()
        change.record("remove_key", subject=name, before=_columns(was))
        return was

    arguments = {"remove_key": name, "fingerprint": fingerprint}
    return perform(session, Permission.ADMINS, arguments, KeyRecord, work, request_id=request_id, dry_run=dry_run)


def holder(fingerprint: str) -> Holder | None:
    """Whose key that is, where its admin may log in; None where it is nobody's, or its admin is disabled.

    What stands in the database is looked at as if it came from outside: it goes into a line that sshd obeys.
    """
    found = AdminKey.get_or_none(AdminKey.fingerprint == fingerprint)
    return None if found is None else _held(found)


def holders() -> list[Holder]:
    """Every key by which someone may log in now, by admin."""
    rows = AdminKey.select(AdminKey, Admin).join(Admin).order_by(Admin.name, AdminKey.id)
    return [each for each in map(_held, rows) if each is not None]


def _held(row: Any) -> Holder | None:
    admin = row.admin
    try:
        key = parse_key(row.public_key)
    except WrongUsage:
        return None
    if admin.disabled_at is not None or not is_name(admin.name) or key.fingerprint != row.fingerprint:
        return None
    return Holder(admin.name, key)


def _record(row: Any) -> KeyRecord:
    return KeyRecord(
        admin=row.admin.name,
        type=row.public_key.partition(" ")[0],
        fingerprint=row.fingerprint,
        public_key=row.public_key,
        created_at=row.created_at,
    )


def _columns(key: KeyRecord) -> dict[str, str]:
    return {"type": key.type, "fingerprint": key.fingerprint}
