"""Everything that can go wrong in a way that somebody can mend, as one tree.

    UserError                    a sentence naming place, value and remedy; no traceback is needed
    ├── ConfigError              a setting
    ├── DataError                a file or data set
    ├── ModelError               a model
    │   └── ArchitectureError    a kind of model that is not known
    ├── HubError                 the hub, or the way there
    ├── HomeError                the home folder
    └── RunError                 a run
        ├── RunNotFoundError     no run, or several, of that name
        ├── AlreadyRunningError  a worker is at it
        └── ServingError         its classify worker does not answer

The command line and the console catch the root, and `OSError` where files are meant; `sentence_of` says either. What
is asked of a worker is no error: `engines.reporter.Stop` and `Restart` are not in this tree.
"""

import errno
import os

REMEDIES = {
    errno.ENOSPC: "the disk is full: make room, then do it again",
    errno.EDQUOT: "your quota on this disk is used up: delete files or ask for more, then do it again",
    errno.EFBIG: "files may not become that large here: raise the limit (`ulimit -f`), or use another disk",
    errno.EROFS: "this file system is read-only: set LABTUI_HOME, or the file to write, to one that is not",
    errno.EACCES: "this user may not do that: change the permissions (`ls -ld` shows them), or name another place",
    errno.EPERM: "this user may not do that: change the owner or the permissions, or name another place",
    errno.EMFILE: "too many files are open in this process: raise the limit (`ulimit -n`)",
    errno.ENFILE: "too many files are open on this machine: close other programs",
    errno.ESTALE: "it was replaced or removed on its network disk meanwhile: do it again, or mount the disk anew",
    errno.EIO: "the disk reports a fault: look at the system's log, and keep the home on another disk",
}
"""What to do about an error of the system, by its number."""


class UserError(ValueError):
    """Something the user can mend; the message alone says where and how, no traceback is needed."""


class ConfigError(UserError):
    """A setting that cannot be used. The message names the place, the value and the remedy."""


class DataError(UserError):
    """Data that cannot be used. The message names file, row or column, and the remedy."""


class ModelError(UserError):
    """A model that cannot be used. The message names it and the remedy."""


class ArchitectureError(ModelError):
    """A model whose sizes cannot be known. The message names it and the remedy."""


class HubError(UserError):
    """The hub does not give what is asked for. The message names the page to visit or the setting to change."""


class HomeError(UserError):
    """A home folder in which this user should not write. The message says who may, and the command that mends it."""


class RunError(UserError):
    """A run with which this cannot be done."""


class RunNotFoundError(RunError):
    """No run of that name, or several."""


class AlreadyRunningError(RunError):
    """A worker holds the run."""


class ServingError(RunError):
    """The classify worker could not answer; the message says why and what to do."""


def lacks_room(error: BaseException) -> bool:
    """Whether a disk or a quota is full, also where a library raises something else than `OSError`."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError) and error.errno:
        return error.errno in numbers
    return any(os.strerror(number) in str(error) for number in numbers)


def sentence_of(error: UserError | OSError) -> str:
    """What went wrong, in one sentence for people: the message, or the file, the system's reason and the remedy."""
    remedy = REMEDIES.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{reason_of(error)}; {remedy}" if remedy else reason_of(error)


def reason_of(error: BaseException) -> str:
    """The message of an error, of one of the system the file and the reason, without the remedy."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    place = error.filename2 or error.filename  # of a rename the name that the file was to get
    return f"{place}: {error.strerror}" if place else error.strerror
