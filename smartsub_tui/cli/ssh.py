"""Over SSH: how sshd is set up, which keys it takes, and what it starts for whoever logs in."""

from __future__ import annotations

import os
from pathlib import Path

import click

from smartsub_tui import ssh_login, ssh_setup
from smartsub_tui.cli.invocation import Invocation, command, holds_password, read_small, say, with_invocation
from smartsub_tui.data.database import available, open_database
from smartsub_tui.errors import NotAllowed

_PATH = click.Path(path_type=Path)


@command("ssh-setup")
@click.option("--install", is_flag=True, help="Write the files, as root; else they are printed.")
@click.option("--create-account", is_flag=True, help="Make the account, where there is none.")
@click.option(
    "--key", "key_file", metavar="FILE", help="The public key by which --admin NAME logs in; - is standard input."
)
@click.option("--reload", is_flag=True, help="Have the sshd that runs read its configuration again.")
@click.option("--account", default=ssh_setup.ACCOUNT, show_default=True, help="Whom sshd lets in.")
@click.option("--folder", type=_PATH, default=ssh_setup.FOLDER, show_default=True, help="Where all of it stands.")
@click.option("--sshd-config", type=_PATH, default=ssh_setup.SSHD_CONFIG, show_default=True, help="Of which sshd.")
@click.option("--dry-run", is_flag=True, help="With --install: say what would be done, and do nothing.")
@with_invocation
def ssh_setup_(
    run: Invocation,
    install: bool,
    create_account: bool,
    key_file: str | None,
    reload: bool,
    account: str,
    folder: Path,
    sshd_config: Path,
    dry_run: bool,
) -> None:
    """What lets admins in over SSH, to smartsub and to nothing else: print it, or put it in place (docs/ssh.md)."""
    said = run.globals
    setup = ssh_setup.setup_of(
        account=account, folder=folder, database=said.database, config=said.config, sshd_config=sshd_config
    )
    if not install:
        if create_account or key_file is not None or reload or dry_run:
            raise click.UsageError("without --install nothing is done: the options of what is to be done go with it")
        files = {str(setup.wrapper): ssh_setup.wrapper(setup), str(setup.block_file): ssh_setup.block(setup)}
        run.print(
            files, lambda: "\n".join(f"==> {name} <==\n{content}" for name, content in files.items()).rstrip("\n")
        )
        return
    if (key_file is None) is not (said.admin is None):
        raise click.UsageError("--admin NAME and --key FILE go together: who logs in, and by which key")
    first = None
    if key_file is not None and said.admin is not None:
        first = (said.admin, read_small(key_file, "public key"))
    done = ssh_setup.install(setup, create_account=create_account, first=first, reload=reload, dry_run=dry_run)
    if dry_run:
        say("dry run: nothing was done")
    run.print(done, lambda: "\n".join(f"{'done' if each.changed else 'was so':8}{each.step}" for each in done))
    if not reload:
        say("sshd has to read it: smartsub ssh-setup --install --reload, or systemctl reload ssh")


@command("ssh-keys")
@click.argument("fingerprint", required=False)
@click.option(
    "--wrapper", type=_PATH, default=ssh_setup.FOLDER / "ssh-login", show_default=True, help="What is started."
)
@with_invocation
def ssh_keys(run: Invocation, fingerprint: str | None, wrapper: Path) -> None:
    """The lines of authorized_keys for all who may log in; for sshd, the one of FINGERPRINT (AuthorizedKeysCommand)."""
    from smartsub_tui.billing import admin_keys

    database = open_database(run.url)
    try:
        with available():
            found = admin_keys.holders() if fingerprint is None else [admin_keys.holder(fingerprint)]
    finally:
        database.close()
    lines = [ssh_setup.key_line(each, str(wrapper)) for each in found if each is not None]
    if run.globals.json or lines:
        run.print(lines, lambda: "\n".join(lines))


@command("ssh-login")
@with_invocation
def ssh_login_(run: Invocation) -> None:
    """What sshd starts for whoever logs in: not for people."""
    if holds_password(run.url):
        raise NotAllowed("the database's URL holds a password, and arguments are seen: write it into ~/.pgpass")
    ssh_login.log_in(run.url, run.globals.config, run.globals.admin, os.environ)
