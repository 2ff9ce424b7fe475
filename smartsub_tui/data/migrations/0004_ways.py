"""What keeps queries from reading whole tables. In a database that is made now the first script has made the index."""


def up(migrator, db):
    db.execute_sql('CREATE INDEX IF NOT EXISTS "users_name_folded" ON "users" ("name_folded")')
    # That money came and is not applied is rare, which neither column tells by itself.
    db.count_together("payment", "state", "applied")
