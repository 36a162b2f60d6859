"""Everything that can go wrong in a way that somebody can mend, as one tree.

    UserError                    a sentence naming place, value and remedy; no traceback is needed
    ├── ConfigError              a setting
    ├── DataError                a file or data set
    ├── ModelError               a model
    │   └── ArchitectureError    a kind of model that is not known
    ├── HubError                 the hub, or the way there
    └── RunError                 a run
        ├── RunNotFoundError     no run, or several, of that name
        ├── AlreadyRunningError  a worker is at it
        └── ServingError         its classify worker does not answer

The command line and the console catch the root, and `OSError` where files are meant; `sentence_of` says either. What
is asked of a worker is no error: `engines.reporter.Stop` and `Restart` are not in this tree.
"""


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


class RunError(UserError):
    """A run with which this cannot be done."""


class RunNotFoundError(RunError):
    """No run of that name, or several."""


class AlreadyRunningError(RunError):
    """A worker holds the run."""


class ServingError(RunError):
    """The classify worker could not answer; the message says why and what to do."""


def sentence_of(error: UserError | OSError) -> str:
    """What went wrong, in one sentence for people: the message, or the file and the system's reason."""
    if isinstance(error, UserError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
