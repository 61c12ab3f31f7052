from .author import AUTHOR_VARIABLE as AUTHOR_VARIABLE, author_name as author_name
from .connection import Connection as Connection
from .schema import SCHEMA_VERSION as SCHEMA_VERSION
