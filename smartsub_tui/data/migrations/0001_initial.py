"""The first schema: the tables as the models have them until a version is released, which writes them out here."""

from smartsub_tui.data import models


def up(migrator, db):
    db.create_tables(models.TABLES)
    db.without_gaps("audit_event")
    db.append_only("audit_event")
    db.append_only("invoice")
