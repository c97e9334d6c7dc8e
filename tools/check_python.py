"""Stop with one clear sentence when this Python is too old for the course.

Kept in plain old syntax, since it has to run on the Pythons that it turns away.
"""
import sys

NEEDED = (3, 11)


def complaint(version, executable):
    """Say in one sentence why this Python will not do, or give None when it will."""
    if tuple(version[:2]) >= NEEDED:
        return None
    return (
        "The course needs Python %d.%d or newer, but %s is Python %s: install a newer one and name it, "
        "as in `make course PYTHON=python3.11`."
        % (NEEDED[0], NEEDED[1], executable, ".".join(str(part) for part in version[:3]))
    )


if __name__ == "__main__":
    sys.exit(complaint(sys.version_info, sys.executable))
