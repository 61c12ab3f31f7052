from .author import AUTHOR_VARIABLE as AUTHOR_VARIABLE, author_name as author_name
from .backup import backups_of as backups_of
from .checks import (
    check_digests as check_digests,
    digests_of_edits as digests_of_edits,
    row_digest as row_digest,
)
from .claim import Claim as Claim
from .connection import UNREADABLE as UNREADABLE, Connection as Connection
from .log_check import check_log as check_log
from .log_owner import has_foreign_log as has_foreign_log
from .schema import (
    SCHEMA_VERSION as SCHEMA_VERSION,
    open_for_reading as open_for_reading,
    open_for_writing as open_for_writing,
)
from .schema_check import check_pages as check_pages, columns_of as columns_of
