"""${message}."""

import sqlalchemy as sa
from alembic.operations import Operations
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


# MariaDB and MySQL commit each statement for itself: a revision that was broken off there is run
# again from its start, and has to look first at what is done already.
def upgrade(op: Operations) -> None:
    """${message}."""
    ${upgrades if upgrades else "raise NotImplementedError"}
