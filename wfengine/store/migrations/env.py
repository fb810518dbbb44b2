"""What Alembic's own command runs, to write a revision or to check that none is missing.

It compares the models with the tables that all revisions so far make, in a SQLite database in
memory; no database of anybody's is touched. :mod:`wfengine.store.schema` does without this file.
"""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from wfengine.store.models import Base
from wfengine.store.schema import VERSION_TABLE, upgrade

engine = create_engine("sqlite://", poolclass=StaticPool)
upgrade(engine)
with engine.connect() as connection:
    context.configure(connection, target_metadata=Base.metadata, version_table=VERSION_TABLE)
    context.run_migrations()
engine.dispose()
