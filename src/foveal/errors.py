"""Errors a user can mend. Each says what happened, where, and what to do next."""


class FovealError(Exception):
    """Base of every error raised on purpose.

    Args:
        what: what happened, with the offending value ("stride is 0 on axis 1").
        where: file, sample, layer or plan field ("plan.json: net.strides[2]").
        mend: the next action, as a command or an edit ("use 1 to leave an axis alone").
    """

    def __init__(self, what: str, *, where: str, mend: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  mend:  {mend}")
        self.what, self.where, self.mend = what, where, mend

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.mend))


class DataError(FovealError):
    """A file, a folder or a label cannot be used as it is."""


class PlanError(FovealError, ValueError):
    """A plan, or a layer built from one, asks for something impossible."""


class RunError(FovealError):
    """A run folder cannot be read, written or continued."""


def _rebuild(kind: type[FovealError], what: str, where: str, mend: str) -> FovealError:
    """Errors cross process borders (test workers do this) with their three parts."""
    return kind(what, where=where, mend=mend)
