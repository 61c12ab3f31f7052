from .content import Finding as Finding
from .file import (
    check_suffix as check_suffix,
    write_report as write_report,
)
