"""What the command line prints: records as JSON, or as plain text in the source's field names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from smartsub_tui import display
from smartsub_tui.config import Settings
from smartsub_tui.data.records import (
    AdminRecord,
    KeyRecord,
    OfficeRecord,
    OrderSummary,
    UserRecord,
    ViewRecord,
    to_json,
)
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState

if TYPE_CHECKING:
    from smartsub_tui.billing.audit_chain import Chain
    from smartsub_tui.billing.backups import Backup, Recovered
    from smartsub_tui.billing.copies import Copied
    from smartsub_tui.billing.credits import Credited
    from smartsub_tui.billing.sweep import Swept
    from smartsub_tui.data.order_records import OrderDetails, Skipped

_SKIPPED_SHOWN = 10
_DATES_SHOWN = 20


def as_json(value: Any) -> str:
    """One JSON document: an object, or a list with an element on each line."""
    data = to_json(value)
    if isinstance(data, list) and data:
        return "[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in data) + "\n]"
    return json.dumps(data, ensure_ascii=False)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Text in straight columns under their heads; the columns numbered in `right` are set to the right."""
    columns = [
        display.straight([head, *map(itemgetter(place), rows)], align="right" if place in right else "left")
        for place, head in enumerate(heads)
    ]
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def offices(found: Sequence[OfficeRecord]) -> str:
    """The offices with their counts."""
    if not found:
        return "No offices yet: smartsub import users.csv"
    return table(
        ("Office", "Kind", "Users", "Inactive", "Expiring", "Expired", "Unpaid", "Currency", "Time zone"),
        [
            (
                each.name,
                each.kind.label,
                *(display.count(number) for number in (each.users, each.inactive, each.expiring, each.expired)),
                display.count(each.unpaid),
                each.currency,
                each.timezone,
            )
            for each in found
        ],
        right=range(2, 7),
    )


def users(found: Sequence[UserRecord]) -> str:
    """People with their subscription."""
    if not found:
        return "Nobody matches."
    return table(
        ("ID", "Name", "Office", "Department", "Apartment", "Kind", "Service", "State", "Expires"),
        [
            (
                each.id,
                each.name,
                each.office,
                each.department,
                each.apartment or "",
                each.kind.label,
                each.service.label,
                each.state.label,
                each.expires_on.isoformat() if each.expires_on else "",
            )
            for each in found
        ],
    )


def orders(found: Sequence[OrderSummary], timezone: str) -> str:
    """Orders under the field names of the transaction history."""
    if not found:
        return "No orders match."
    return table(
        (
            "Order Number",
            "Type",
            "Office",
            "Number of Apartments",
            "Total Price",
            "Status",
            "Created Time",
            "Next Expiration Date",
        ),
        [
            (
                each.number,
                each.type.label,
                each.office,
                display.count(each.apartments),
                display.money(each.total),
                status(each),
                _minute(each.created_at, timezone),
                each.next_expiration.isoformat() if each.next_expiration else "",
            )
            for each in found
        ],
        right=(3, 4),
    )


def admins(found: Sequence[AdminRecord], timezone: str) -> str:
    """Who works here, and since when not any more."""
    return table(
        ("Admin", "Role", "Offices", "Limit", "Since", "Disabled"),
        [
            (
                each.name,
                each.role.label,
                "all" if each.offices is None else ", ".join(each.offices),
                ", ".join(display.money(limit) for limit in each.limits),
                _minute(each.created_at, timezone),
                _minute(each.disabled_at, timezone) if each.disabled_at else "",
            )
            for each in found
        ],
    )


def keys_of(found: Sequence[KeyRecord], name: str, timezone: str) -> str:
    """The keys by which an admin logs in over SSH."""
    if not found:
        return f"{name} has no key: smartsub admin key {name} --add FILE"
    return table(
        ("Admin", "Type", "Fingerprint", "Since"),
        [(each.admin, each.type, each.fingerprint, _minute(each.created_at, timezone)) for each in found],
    )


def views(found: Sequence[ViewRecord]) -> str:
    """Saved views, as they can be written again."""
    if not found:
        return "No view is saved: smartsub views save NAME FILTER"
    return table(
        ("View", "Whose", "Filter", "Sort"),
        [(each.name, "everyone's" if each.shared else "mine", each.filter, each.sort) for each in found],
    )


def keys() -> str:
    """The keys of every screen, as they are in force."""
    parts = [
        "\n".join([title, *(f"  {key.ljust(7)} {name.ljust(18)} {help_text}" for key, name, help_text in rows)])
        for title, rows in _key_rows()
    ]
    return "\n\n".join(parts)


def keys_as_markdown() -> str:
    """The same as a page of Markdown."""
    lines = [
        "# Keys",
        "",
        "What `smartsub keys --markdown` prints. A name can be typed behind `:` on the screens that have it, and gets",
        'another key under `[ui.keys]` in config.toml, as `delete = "ctrl+d"`: screens, help and this list follow.',
        "A question has No under the cursor: `y` is Yes, `n` and Esc are No. Where something is to be typed",
        "first (a reason, a number), `y` is Yes behind its Enter.",
    ]
    for title, rows in _key_rows():
        lines += ["", f"## {title}", "", "| key | name | what it does |", "|---|---|---|"]
        for key, name, help_text in rows:
            # In a table a bar is no bar without its backslash, and a backquote needs two around it.
            shown = {"": "", "`": "`` ` ``"}.get(key, f"`{key}`").replace("|", r"\|")
            lines.append(f"| {shown} | `{name}` | {help_text} |")
    return "\n".join(lines)


def keys_as_records() -> list[dict[str, str]]:
    """The same as one record a key and screen."""
    from smartsub_tui import commands

    return [
        {"screen": title, "command": each.id, "key": each.shown, "takes": each.takes, "help": each.help}
        for title, group in commands.sheet()
        for each in group
    ]


def _key_rows() -> list[tuple[str, list[tuple[str, str, str]]]]:
    from smartsub_tui import commands

    return [
        (
            title,
            [(each.shown, each.form, each.help + (" Asks first." if each.danger else "")) for each in group],
        )
        for title, group in commands.sheet()
    ]


def _minute(when: datetime, timezone: str) -> str:
    """To the minute, as lists show it; Info has the whole."""
    return display.instant_full(when, timezone)[:16]


def status(order: OrderSummary) -> str:
    """The status as people read it, with what is special about it."""
    marks = [
        *(["due"] if order.due else []),
        *(["late"] if order.late else []),
        *(["deleted"] if order.deleted else []),
    ]
    return ", ".join([order.status.label, *marks])


def order(found: OrderDetails, timezone: str) -> str:
    """An order as a whole: fields, lines, payments, timeline."""
    from smartsub_tui.billing.audit import sentence

    term = display.months(found.months) if found.months else f"until {found.until}" if found.until else ""
    fields = [
        ("Order Number", found.number),
        ("Type", ", ".join(part for part in (found.type.label, term) if part)),
        ("Office", found.office),
        ("Number of Apartments", display.count(found.apartments)),
        ("Net", display.money(found.net)),
        ("Tax", display.money(found.tax)),
        ("Total Price", display.money(found.total)),
        ("Status", f"{status(found)}: {found.status.definition}"),
        ("Created Time", f"{display.instant_full(found.created_at, timezone)} by {found.created_by}"),
    ]
    if found.status is OrderStatus.PROCESSING:
        fields.append(("To be paid until", display.instant_full(found.pay_by, timezone)))
    if found.paid_at is not None:
        fields.append(("Paid", display.instant_full(found.paid_at, timezone)))
    if found.next_expiration is not None:
        fields.append(("Next Expiration Date", found.next_expiration.isoformat()))
    fields += [("PO number", found.po_number or ""), ("Buyer reference", found.buyer_reference or "")]
    if found.invoice is not None:
        fields.append(("Invoice", f"{found.invoice.number} of {found.invoice.issued_on.isoformat()}"))
    if found.credit_notes:
        notes = (f"{each.number} of {each.issued_on}, {display.money(each.total)}" for each in found.credit_notes)
        fields.append(("Credit notes", "; ".join(notes)))
    if found.unapplied:
        waiting = ", ".join(display.money(each) for each in found.unapplied)
        # A paid order cannot take it; until it is paid back, it stands here.
        how = "" if found.status is OrderStatus.SUCCEED else f": smartsub apply {found.number}, once that is possible"
        fields.append(("Money that waits", f"{waiting}{how}"))
    width = max(len(name) for name, _ in fields)
    parts = ["\n".join(f"{name.ljust(width)}  {display.plain(value)}" for name, value in fields if value)]
    if found.history:
        parts.append("Imported history: it stands as it was stated.")
    if found.lines:
        heads = ["ID", "User", "Service", "Was until", "Becomes" if found.paid_at is None else "Became", "Net"]
        heads += ["Taken back"] if found.credit_notes else []
        # Ten thousand lines have few prices and few days.
        net, day = cache(partial(display.money, with_currency=False)), cache(date.isoformat)
        parts.append(
            table(
                heads,
                [
                    (
                        line.user_id,
                        line.name,
                        line.service.label,
                        day(line.previous_expiry) if line.previous_expiry else "",
                        day(line.new_expiry) if line.new_expiry else "",
                        net(line.amount),
                        line.credited or "",
                    )[: len(heads)]
                    for line in found.lines
                ],
                right=(5,),
            )
        )
    if found.payments:
        parts.append(
            table(
                ("Payment", "State", "Amount", "Reference", "Time"),
                [
                    (
                        each.provider.label,
                        each.state.label,
                        display.money(each.amount),
                        each.reference or "",
                        _minute(each.created_at, timezone),
                    )
                    for each in found.payments
                ],
                right=(2,),
            )
        )
    for each in found.payments:
        if each.state is PaymentState.SENT and each.link is not None:
            # Alone on its line: it is longer than a terminal is wide, and is copied from there.
            until = "" if each.expires_at is None else f", until {display.instant_full(each.expires_at, timezone)}"
            parts.append(f"Payment link{until}:\n{display.plain(each.link)}")
    if found.events:
        parts.append(
            table(
                ("Time", "By", "What"),
                [(_minute(each.at, timezone), each.by, sentence(each)) for each in found.events],
            )
        )
    return "\n\n".join(parts)


def skipped(people: Sequence[Skipped]) -> str:
    """Who was left out of an order: the first of them, JSON has all."""
    lines = [f"left out: {each.user_id} {each.reason}" for each in people[:_SKIPPED_SHOWN]]
    if len(people) > _SKIPPED_SHOWN:
        lines.append(f"left out: {len(people) - _SKIPPED_SHOWN:,} more, --json lists them")
    return "\n".join(display.plain(line) for line in lines)


def bank_details(found: OrderDetails, settings: Settings) -> str:
    """What a bank transfer for the order has to say."""
    seller = settings.seller
    to = " ".join(part for part in (seller.name, seller.iban) if part)
    return "\n".join(
        [
            f"transfer {display.money(found.total)} to {to or '(no account is set: [seller] name and iban)'}",
            f"reference {found.number}",
            f"by {display.instant_full(found.pay_by, settings.ui.timezone)}",
        ]
    )


def credited(done: Credited, *, dry_run: bool) -> str:
    """What was taken back, until when each subscription runs now, and what became of the money."""
    number = "a credit note" if dry_run else f"credit note {done.credit_note.number}"
    lines = [f"{number} over {display.money(done.credit_note.total)}: {done.told_of_money(dry_run=dry_run)}"]
    for each in done.dates[:_DATES_SHOWN]:
        before, after = (day.isoformat() if day else "inactive" for day in (each.before, each.after))
        lines.append(f"{each.user_id}  {before} -> {after}")
    if len(done.dates) > _DATES_SHOWN:
        lines.append(f"and {len(done.dates) - _DATES_SHOWN:,} more, --json lists them")
    return "\n".join(display.plain(line) for line in lines)


def backup(made: Backup, told: str, timezone: str) -> str:
    """What a backup holds, and how far it was looked at."""
    lines = [f"{display.plain(made.file)} {told}"]
    newest = "" if made.newest is None else f", the newest of {display.instant_full(made.newest, timezone)}"
    lines.append(f"{made.orders:,} orders, {made.users:,} users{newest}; {made.bytes:,} bytes")
    if not made.checked:
        lines.append(f"{display.plain(made.file)}.sha256 is missing: damage inside of a text cannot be seen without it")
    return "\n".join(lines)


def recovered(made: Recovered, timezone: str) -> str:
    """What a database was gone back to, and where the old one is."""
    lines = [f"{display.plain(made.database)} is now what {display.plain(made.backup.file)} was"]
    newest = (
        "" if made.backup.newest is None else f", the newest of {display.instant_full(made.backup.newest, timezone)}"
    )
    lines.append(f"{made.backup.orders:,} orders, {made.backup.users:,} users{newest}")
    if made.kept is not None:
        lines.append(f"the old file is {display.plain(made.kept)}")
    return "\n".join(lines)


def copied(made: Copied) -> str:
    """What a copy holds, and what it has not."""
    lines = [f"{display.plain(made.target)} is now what {display.plain(made.source)} is: each row was compared"]
    there = f", {made.resumed:,} of which were there already" if made.resumed else ""
    lines.append(f"{made.orders:,} orders, {made.users:,} users, {made.rows:,} rows in all{there}")
    if made.head:
        lines.append(f"head of the audit trail {made.head}")
    if made.missed:
        lines.append(f"meanwhile {made.missed:,} changes were made in {display.plain(made.source)} that it has not")
    return "\n".join(lines)


def chain(found: Chain, known: str | None, timezone: str) -> str:
    """An audit trail that is whole: how long, until when, and what to note."""
    newest = "" if found.newest is None else f", the last of {display.instant_full(found.newest, timezone)}"
    lines = [f"the audit trail is as it was written: {found.events:,} events{newest}"]
    if known is not None:
        lines.append("the head that was noted stands in it: nothing was cut off before")
    if found.head:
        lines.append(f"head {found.head}")
    return "\n".join(lines)


def swept(found: Swept) -> str:
    """What a sweep did, in a line for each payment and refund whose state changed."""
    asked = (*found.payments, *found.refunds)
    lines = [f"{found.timed_out:,} timed out, {len(asked):,} asked"]
    lines += [f"{each.number}  {each.before} -> {each.after}" for each in asked if each.before != each.after]
    lines += [f"{count:,} left for the next time: {reason}" for reason, count in found.waiting.items()]
    return "\n".join(lines)
