"""The first schema: the tables as the models have them until a version is released, which writes them out here."""

from smartsub_tui.data import models
from smartsub_tui.data.database import append_only


def up(migrator, db):
    db.create_tables(models.TABLES)
    append_only(db, "audit_event")
    append_only(db, "invoice")
