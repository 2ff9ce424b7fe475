"""The command `invoice`: the PDF of a paid order in a file or on standard output; and the buyer's references on it."""

from __future__ import annotations

import json
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.journeys.material import OFFICE, SMARTSUB, environment, smartsub, smartsub_json, write_files
from tests.packaging.terminal import Terminal


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str, str]:
    """An environment with a database in which one order is paid and one is not, and their numbers."""
    folder = tmp_path_factory.mktemp("shop")
    env = environment(folder)
    smartsub(env, "import", *write_files(folder)[0])
    options = ("--office", OFFICE, "--months", "12", "--po-number", "PO 1")
    paid = smartsub_json(env, "renew", *options, "K001")["number"]
    smartsub(env, "pay", paid, "--reference", "R 7", "--po-number", "PO 4711", "--buyer-reference", "Kostenstelle Æ")
    return env, paid, smartsub_json(env, "renew", *options, "K002")["number"]


def number_of(shop: tuple[dict[str, str], str, str]) -> str:
    return str(smartsub_json(shop[0], "order", shop[1])["invoice"]["number"])


@pytest.mark.long
def test_it_is_saved_here_and_the_same_bytes_go_to_standard_output(
    shop: tuple[dict[str, str], str, str], tmp_path: Path
) -> None:
    env, paid, _ = shop
    invoice = number_of(shop)
    path = tmp_path / f"{invoice}.pdf"
    command = [*SMARTSUB, "invoice", paid, "--json"]
    said = [
        json.loads(subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True).stdout)
        for _ in range(2)  # again is no error: it is the same file
    ]
    content = path.read_bytes()
    assert said == [{"invoice": invoice, "order": paid, "file": str(path), "bytes": len(content)}] * 2
    there = [*SMARTSUB, "invoice", invoice, "-o", "-"]
    assert subprocess.run(there, env=env, capture_output=True, check=True).stdout == content
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)
    for part in (OFFICE, invoice, paid, "PO 4711", "Kostenstelle Æ", "reference R 7"):
        assert part in text


@pytest.mark.long
def test_it_is_saved_where_it_was_said(shop: tuple[dict[str, str], str, str], tmp_path: Path) -> None:
    env, paid, _ = shop
    invoice = number_of(shop)
    config = tmp_path / "config.toml"
    config.write_text(f'[invoice]\nfolder = "{tmp_path / "set"}"\n')
    (tmp_path / "set").mkdir()
    (tmp_path / "said").mkdir()
    assert smartsub(env, "invoice", paid, "--config", config).stdout == f"saved {invoice}.pdf in {tmp_path / 'set'}\n"
    smartsub(env, "invoice", paid, "--config", config, "-o", tmp_path / "said")
    smartsub(env, "invoice", paid, "-o", f"{tmp_path}/missing/", code=3)
    mine = tmp_path / "mine.pdf"
    mine.write_bytes(b"mine")
    assert "exists with other content" in smartsub(env, "invoice", paid, "-o", mine, code=1).stderr
    assert mine.read_bytes() == b"mine"
    smartsub(env, "invoice", paid, "-o", mine, "--force")
    same = [(tmp_path / folder / f"{invoice}.pdf").read_bytes() for folder in ("set", "said")]
    assert same == [mine.read_bytes()] * 2


def test_what_has_no_invoice_and_wrong_words_get_a_sentence_and_their_exit_code(
    shop: tuple[dict[str, str], str, str], tmp_path: Path
) -> None:
    env, paid, unpaid = shop
    for arguments, code, says in (
        ((unpaid,), 1, "is not paid: it has no invoice yet"),
        (("20240501100000000001",), 1, "is imported history: it has no invoice of ours"),
        (("nothing",), 3, "no order or invoice has the number nothing"),
        ((paid, "--admin", "mallory"), 4, "is no admin"),
        ((paid, "--force"), 2, "--force goes with -o FILE"),
        ((paid, "--force", "-o", str(tmp_path)), 2, "--force goes with -o FILE"),
        ((paid, "-o", "-", "--json"), 2, "--json goes with a file"),
    ):
        done = smartsub(env, "invoice", *arguments, code=code)
        assert says in done.stderr
        assert done.stdout == ""


def test_a_terminal_is_not_sent_a_pdf(shop: tuple[dict[str, str], str, str], tmp_path: Path) -> None:
    env, paid, _ = shop
    with Terminal([*SMARTSUB, "invoice", paid, "-o", "-"], cwd=tmp_path, env=env) as terminal:
        assert terminal.wait_for_exit() == 2
    assert "a terminal cannot show a PDF" in terminal.text.replace("\n", "")
    assert b"%PDF" not in terminal.output


def test_the_buyer_s_references_are_in_the_order_s_json_and_text(shop: tuple[dict[str, str], str, str]) -> None:
    env, paid, unpaid = shop
    order = smartsub_json(env, "order", paid)
    assert (order["po_number"], order["buyer_reference"]) == ("PO 4711", "Kostenstelle Æ")
    assert list(order)[list(order).index("next_expiration") + 1 :][:2] == ["po_number", "buyer_reference"]
    text = smartsub(env, "order", paid).stdout
    assert [line.split(None, 2)[2] for line in text.splitlines() if line.startswith("PO number")] == ["PO 4711"]
    assert "Kostenstelle Æ" in text
    smartsub(env, "cancel", unpaid, "--reason", "x")
    made = smartsub_json(env, "again", unpaid, "--buyer-reference", "B", "--dry-run")
    assert (made["po_number"], made["buyer_reference"]) == ("PO 1", "B")
    assert "--po-number is empty" in smartsub(env, "again", unpaid, "--po-number", " ", code=2).stderr
    done = smartsub(env, "confirm", paid, "--reference", "S", "--second", "--po-number", "late", code=1)
    assert "its invoice issued" in done.stderr
