"""What builds the course: no chapter and no helper imports from here."""
import sys

from .check_python import complaint

_reason = complaint(sys.version_info, sys.executable)
if _reason:
    sys.exit(_reason)
