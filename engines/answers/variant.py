"""Which of a run's models answered."""

from enum import StrEnum


class Variant(StrEnum):
    """A run answers with the model that it ends with; one that tunes a model also with that model before.

    The values are those of files and questions. `Variant` also reads the words of older files, "tuned" and "original";
    it raises `ValueError` for any other.
    """

    OWN = ""
    BEFORE = "before"

    @classmethod
    def _missing_(cls, value: object) -> "Variant | None":
        return {"tuned": cls.OWN, "original": cls.BEFORE, "before tuning": cls.BEFORE}.get(str(value))

    @property
    def words(self) -> str:
        """What people read behind the name of a run; empty for its own model."""
        return "before tuning" if self is Variant.BEFORE else ""
