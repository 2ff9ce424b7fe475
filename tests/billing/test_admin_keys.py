"""Keys of SSH: read as strictly as OpenSSH writes them, one admin's each, and in the trail."""

from __future__ import annotations

import base64
import json
import subprocess
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.billing import admin_keys, admins
from smartsub_tui.billing.admin_keys import Holder, parse_key
from smartsub_tui.billing.session import Session
from smartsub_tui.data.models import Admin, AdminKey, AuditEvent
from smartsub_tui.data.records import KeyRecord
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotAllowed, NotFound, Refused, WrongUsage
from tests.support import NOW, as_role, dump

# Made by ssh-keygen for these tests alone; the first with its fingerprint as ssh-keygen -lf tells it.
ANN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFdGszWChhEcEcbpdH9RCys1TyNMPKPmiHPI3pti7MT9"
ANN_PRINT = "SHA256:aBZIpHvb12acCd1B3+mTpkLexZCYwk6sMhImKtZ/q0Q"
BOB = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDRV4X9fVqJER2ZHpa"
    "uUXTeCY/Ed/WYx0hNzDKDmH+FPkbhUb4O74A9tdNxfD/fHla2/AlhEmeTjdSZ2kMkgILk="
)


def blob(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def line(kind: str, *parts: bytes, name: bytes | None = None) -> str:
    return f"{kind} {base64.b64encode(blob(name or kind.encode(), *parts)).decode()}"


def rsa(bits: int, exponent: bytes = b"\x01\x00\x01") -> str:
    return line("ssh-rsa", exponent, (1 << bits - 1 | 1).to_bytes(bits // 8 + 1, "big"))


POINT = b"\x04" + bytes(64)
SK = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
NISTP256 = "ecdsa-sha2-nistp256"


@pytest.fixture
def both(session: Session) -> Session:
    for name in ("ann", "bob"):
        admins.add(session, name, Role.OPERATOR)
    return session


def events() -> list[tuple[str, str | None, str | None, str | None]]:
    rows = AuditEvent.select().where(AuditEvent.action.in_(["add_key", "remove_key"])).order_by(AuditEvent.id)
    return [(row.action, row.subject, row.before, row.after) for row in rows]


@pytest.mark.parametrize(
    "options",
    [
        ["-t", "ed25519"],
        ["-t", "rsa", "-b", "2048"],
        ["-t", "ecdsa", "-b", "256"],
        ["-t", "ecdsa", "-b", "384"],
        ["-t", "ecdsa", "-b", "521"],
    ],
    ids=" ".join,
)
def test_every_key_of_openssh_has_the_fingerprint_that_openssh_tells(tmp_path: Path, options: list[str]) -> None:
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "ann at her laptop", "-f", made, *options], check=True)
    public = made.with_suffix(".pub")
    told = subprocess.run(["ssh-keygen", "-lf", public], check=True, capture_output=True, text=True).stdout.split()[1]
    key = parse_key(public.read_text())
    assert key.fingerprint == told
    assert public.read_text() == f"{key.line} ann at her laptop\n"


def test_a_fingerprint_as_it_is_written_down() -> None:
    assert parse_key(ANN).fingerprint == ANN_PRINT


def test_keys_of_security_keys_are_read() -> None:
    assert parse_key(line(SK, bytes(32), b"ssh:")).type == SK
    assert parse_key(line(SK_ECDSA, b"nistp256", POINT, b"ssh:")).type == SK_ECDSA


@pytest.mark.parametrize("bits", [2048, 4096, 16384])
def test_rsa_keys_of_these_sizes_are_read(bits: int) -> None:
    assert parse_key(f"  {rsa(bits)}\tcomment\r\n").line == rsa(bits)


@pytest.mark.parametrize("bits", [1024, 2040, 16392])
def test_rsa_keys_of_other_sizes_are_refused(bits: int) -> None:
    with pytest.raises(WrongUsage, match=f"this RSA key has {bits:,} bits: take one of 2,048 to 16,384"):
        parse_key(rsa(bits))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not one public key in one line"),
        (" \n", "not one public key in one line"),
        (f"{ANN}\n{BOB}", "not one public key in one line"),
        (f"{ANN}\v{BOB}", "not one public key in one line"),
        (f"{ANN}\u2028{BOB}", "not one public key in one line"),
        (f"{ANN} {'x' * 20_000}", "not one public key in one line"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n", "this is a private key, which nobody else may have"),
        (f'command="id" {ANN}', "begins with no type of key"),
        (f"restrict {ANN}", "begins with no type of key"),
        (f"cert-authority {ANN}", "begins with no type of key"),
        (f"# {ANN}", "begins with no type of key"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "begins with no type of key"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "this is a certificate, not a key"),
        ("ssh-ed25519", "behind ssh-ed25519 stands no key"),
        ("ssh-ed25519 AAAA!", "behind ssh-ed25519 stands no key"),
        ("ssh-ed25519 \u00e4AAA", "behind ssh-ed25519 stands no key"),
        (f"{ANN.rstrip('=')}=", "behind ssh-ed25519 stands no key"),
        ("ssh-ed25519 ////", "this ssh-ed25519 key is damaged"),
        (line("ssh-ed25519", bytes(32), name=b"ssh-rsa"), "this ssh-ed25519 key is damaged"),
        (line("ssh-ed25519", bytes(31)), "this ssh-ed25519 key is damaged"),
        (line("ssh-ed25519", bytes(33)), "this ssh-ed25519 key is damaged"),
        (line("ssh-ed25519", bytes(32), b""), "this ssh-ed25519 key is damaged"),
        (line("ssh-ed25519"), "this ssh-ed25519 key is damaged"),
        (line(SK, bytes(32)), f"this {SK} key is damaged"),
        (line(SK, bytes(32), b""), f"this {SK} key is damaged"),
        (line(SK, bytes(32), b"ssh:", b"more"), f"this {SK} key is damaged"),
        (line(NISTP256, b"nistp384", POINT), f"this {NISTP256} key is damaged"),
        (line(NISTP256, b"nistp256", b"\x02" + bytes(64)), f"this {NISTP256} key is damaged"),
        (line(NISTP256, b"nistp256", POINT + b"\0"), f"this {NISTP256} key is damaged"),
        (line(NISTP256, b"nistp256", b""), f"this {NISTP256} key is damaged"),
        (line(SK_ECDSA, b"nistp256", POINT), f"this {SK_ECDSA} key is damaged"),
        (rsa(2048, b""), "this ssh-rsa key is damaged"),
        (rsa(2048, b"\x00"), "this ssh-rsa key is damaged"),
        (rsa(2048, b"\x01"), "this ssh-rsa key is damaged"),
        (line("ssh-rsa", b"\x03", b"\x00"), "this ssh-rsa key is damaged"),
        (rsa(2048, b"\x04"), "this ssh-rsa key is damaged"),
        (rsa(2048, b"\x00\x03"), "this ssh-rsa key is damaged"),
        (rsa(2048, b"\x83"), "this ssh-rsa key is damaged"),
        (line("ssh-rsa", b"\x03", b"\x80" + bytes(255)), "this ssh-rsa key is damaged"),
        (line("ssh-rsa", b"\x03", b"\x00\x80" + bytes(255), b"x"), "this ssh-rsa key is damaged"),
    ],
    ids=count(1),
)
def test_what_is_no_key_is_refused_and_never_told_again(text: str, says: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        parse_key(text)
    assert says in refused.value.message
    assert not [word for word in text.split() if len(word) > 40 and word in refused.value.message]
    assert "c2VjcmV0" not in refused.value.message


@pytest.mark.long
@given(st.text() | st.binary().map(lambda data: f"ssh-rsa {base64.b64encode(data).decode()}"))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    try:
        key = parse_key(text)
    except WrongUsage:
        return
    assert parse_key(key.line) == key


@given(st.integers(0, 50), st.integers(1, 255))
def test_a_key_with_one_byte_changed_is_another_key_or_none(place: int, change: int) -> None:
    key = parse_key(ANN)
    changed = bytearray(key.blob)
    changed[place] ^= change
    try:
        other = parse_key(f"ssh-ed25519 {base64.b64encode(changed).decode()}")
    except WrongUsage:
        return
    assert other.fingerprint != key.fingerprint


def test_a_manager_registers_lists_and_removes_a_key(both: Session) -> None:
    added = admin_keys.add_key(both, "ann", f"{ANN} ann@laptop\n")
    assert added == KeyRecord(admin="ann", type="ssh-ed25519", fingerprint=ANN_PRINT, public_key=ANN, created_at=NOW)
    assert admin_keys.keys(both, "ann") == [added]
    assert admin_keys.keys(both, "bob") == []
    assert admin_keys.holder(ANN_PRINT) == Holder("ann", parse_key(ANN))
    assert admin_keys.remove_key(both, "ann", ANN_PRINT) == added
    assert admin_keys.keys(both, "ann") == []
    assert admin_keys.holder(ANN_PRINT) is None
    columns = json.dumps({"type": "ssh-ed25519", "fingerprint": ANN_PRINT}, separators=(",", ":"))
    assert events() == [("add_key", "ann", None, columns), ("remove_key", "ann", columns, None)]


def test_a_key_is_one_admin_s(both: Session) -> None:
    added = admin_keys.add_key(both, "ann", ANN)
    before = dump(both.database)
    assert admin_keys.add_key(both, "ann", ANN) == added
    with pytest.raises(Refused, match="this key is ann's, and a key is one admin's: take another, or remove it there"):
        admin_keys.add_key(both, "bob", ANN)
    with pytest.raises(NotFound, match=r"bob has no key 'SHA256:.*': smartsub admin key bob lists them"):
        admin_keys.remove_key(both, "bob", ANN_PRINT)
    assert dump(both.database) == before
    admin_keys.remove_key(both, "ann", ANN_PRINT)
    admin_keys.add_key(both, "bob", ANN)
    assert admin_keys.holder(ANN_PRINT) == Holder("bob", parse_key(ANN))


def test_of_several_keys_each_has_its_own_holder(both: Session) -> None:
    other = admin_keys.add_key(both, "bob", BOB).fingerprint
    admin_keys.add_key(both, "ann", ANN)
    assert admin_keys.holder(ANN_PRINT) == Holder("ann", parse_key(ANN))
    assert admin_keys.holder(other) == Holder("bob", parse_key(BOB))
    assert admin_keys.holder("SHA256:") is None


def test_an_admin_has_several_keys(both: Session) -> None:
    for text in (ANN, BOB):
        admin_keys.add_key(both, "ann", text)
    assert [each.public_key for each in admin_keys.keys(both, "ann")] == [ANN, BOB]
    admin_keys.remove_key(both, "ann", ANN_PRINT)
    assert [each.public_key for each in admin_keys.keys(both, "ann")] == [BOB]


def test_by_the_key_of_a_disabled_admin_nobody_logs_in(both: Session) -> None:
    admin_keys.add_key(both, "ann", ANN)
    admin_keys.add_key(both, "bob", BOB)
    assert [each.admin for each in admin_keys.holders()] == ["ann", "bob"]
    admins.disable(both, "ann")
    assert admin_keys.holder(ANN_PRINT) is None
    assert [each.admin for each in admin_keys.holders()] == ["bob"]
    admins.enable(both, "ann")
    assert admin_keys.holder(ANN_PRINT) is not None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("public_key", f'command="id" {ANN}'),
        ("public_key", BOB),
        ("public_key", "x"),
        ("fingerprint", "SHA256:x"),
    ],
)
def test_what_someone_wrote_past_the_rules_logs_nobody_in(both: Session, column: str, value: str) -> None:
    admin_keys.add_key(both, "ann", ANN)
    AdminKey.update({column: value}).execute()
    assert admin_keys.holder(AdminKey.get().fingerprint) is None
    assert admin_keys.holders() == []


def test_a_name_that_could_end_its_quotes_logs_nobody_in(both: Session) -> None:
    name = 'ann" bash #'
    Admin.update(name=name).where(Admin.name == "ann").execute()
    with pytest.raises(Refused, match="by such a name nobody logs in over SSH"):
        admin_keys.add_key(both, name, ANN)
    AdminKey.create(admin=Admin.get(Admin.name == name), fingerprint=ANN_PRINT, public_key=ANN, created_at=NOW)
    assert admin_keys.holder(ANN_PRINT) is None


def test_a_dry_run_stores_nothing_and_a_repeat_does_nothing(both: Session) -> None:
    before = dump(both.database)
    shown = admin_keys.add_key(both, "ann", ANN, dry_run=True)
    assert dump(both.database) == before
    assert admin_keys.add_key(both, "ann", ANN, request_id="r") == shown
    admin_keys.remove_key(both, "ann", ANN_PRINT)
    assert admin_keys.add_key(both, "ann", ANN, request_id="r") == shown
    assert admin_keys.keys(both, "ann") == []
    with pytest.raises(Refused, match="request id r was used for something else"):
        admin_keys.add_key(both, "bob", ANN, request_id="r")


def test_only_managers_say_by_which_keys_one_logs_in(both: Session) -> None:
    admin_keys.add_key(both, "ann", ANN)
    before = dump(both.database)
    for role in set(Role) - {Role.MANAGER}:
        other = as_role(both, role)
        with pytest.raises(NotAllowed, match="may not say who the admins are"):
            admin_keys.add_key(other, other.admin, BOB)
        with pytest.raises(NotAllowed, match="may not say who the admins are"):
            admin_keys.remove_key(other, "ann", ANN_PRINT)
    assert {name: rows for name, rows in dump(both.database).items() if name != "admin"} == {
        name: rows for name, rows in before.items() if name != "admin"
    }


def test_who_is_not_there_is_not_found(both: Session) -> None:
    with pytest.raises(NotFound, match=r"no admin is called 'anm': did you mean 'ann'\?"):
        admin_keys.keys(both, "anm")
    with pytest.raises(NotFound):
        admin_keys.add_key(both, "zz", ANN)
    with pytest.raises(NotFound):
        admin_keys.remove_key(both, "zz", ANN_PRINT)
