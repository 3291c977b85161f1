"""A gallery: vectors with known names. `enroll` builds one, `identify` asks who somebody is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..card import Skipped
from ..errors import DataError, RunError
from ..progress import SILENT, Progress
from ..record import from_plain, read_json, to_plain, write_bytes, write_json
from .hold import giving

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..plan import Plan
    from ..tasks import Telling
    from .model import Model

VECTORS, FACTS = "gallery.safetensors", "gallery.json"
MOST_BYTES = 4 * 2**30  # of a file of vectors
NEAREST = 3  # names told beside the first
UNKNOWN = "unknown"
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands beside the vectors.

    names: of the identities. owner: position in ``names`` of each vector. keys: where each came
    from. model: digest of the weights that made them. threshold: the cosine from which on a name
    is said, None where every probe gets the nearest.
    """

    names: tuple[str, ...]
    owner: tuple[int, ...]
    keys: tuple[str, ...]
    model: str
    threshold: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Unit vectors ``(N, D)`` with their facts; rows of one identity lie together."""

    vectors: NDArray[np.float32]
    facts: Facts
    skipped: tuple[Skipped, ...] = ()

    def search(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """The best cosine ``(M, K)`` of each vector ``(M, D)`` to every identity. Exact."""
        from ..metrics.verification import unit

        owner = np.array(self.facts.owner, np.int64)
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        cosine = unit(vectors) @ self.vectors.T
        return np.asarray(np.maximum.reduceat(cosine, starts, axis=1), np.float32)


def enroll(
    run: str | Path,
    folder: str | Path,
    *,
    out: str | Path | None = None,
    progress: Progress = SILENT,
) -> Gallery:
    """Put everybody in ``folder`` (one folder of samples per identity) into a gallery.

    It is written to ``out``, or to ``gallery`` in the run's folder, and replaces what is there.
    Raises: DataError when nobody can be read; RunError when the run gives no vectors, or the
        place cannot be written.
    """
    from ..datasets.layouts import find_listing
    from ..evaluation.predict import logits
    from ..metrics.verification import unit
    from .evaluate import Reader
    from .model import load

    model = _able(load(run))
    listing = find_listing(folder, apart=True)
    reader = Reader(model, listing, np.flatnonzero(listing.labels >= 0))
    with progress.bar("enrolling", len(reader.positions)) as tick:
        raw = logits(model.network, reader.batches(tick), model.plan)
    reader.check()
    kept = np.array(reader.kept, np.int64)
    order = np.argsort(listing.labels[kept], kind="stable")
    owners, owner = np.unique(listing.labels[kept][order], return_inverse=True)
    facts = Facts(
        names=tuple(listing.classes[i] for i in owners.tolist()),
        owner=tuple(owner.tolist()),
        keys=tuple(listing.keys[int(i)] for i in kept[order]),
        model=_digest(model),
        threshold=_threshold(model, len(owners)),
    )
    gallery = Gallery(unit(raw[order]), facts, tuple(reader.bad))
    save(gallery, Path(out) if out is not None else Path(run) / "gallery")
    return gallery


def identify(
    run: str | Path,
    inputs: Sequence[str | Path],
    *,
    gallery: str | Path | None = None,
    progress: Progress = SILENT,
) -> Iterator[Answer]:
    """Who each input is: ``{"input", "name", "score", "nearest"}``, in their order.

    name: "unknown" below the gallery's threshold. score: the cosine to the nearest item.
    nearest: the best names with their scores, whatever the threshold. What cannot be read has an
    "error" instead.
    Raises: RunError when there is no gallery of this run.
    """
    yield from asked(run, inputs, gallery=gallery, progress=progress)[0]


def asked(
    run: str | Path,
    inputs: Sequence[str | Path],
    *,
    gallery: str | Path | None = None,
    progress: Progress = SILENT,
) -> tuple[Iterator[Answer], Telling, Plan]:
    """The same, with what words them: for those who write them down."""
    from .model import load

    model = _able(load(run))
    found = open_gallery(gallery if gallery is not None else Path(run) / "gallery", model)
    telling = dataclasses.replace(
        model.task.telling, columns=lambda plan: ("name", "score", "error"), flat=dict, line=_line
    )
    return _told(model, found, inputs, progress), telling, model.plan


def save(gallery: Gallery, folder: Path) -> None:
    """Write both files. Raises: RunError when the folder cannot be written."""
    from safetensors.numpy import save as packed

    with giving(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / VECTORS, packed({"vectors": np.ascontiguousarray(gallery.vectors)}))
        write_json(folder / FACTS, to_plain(gallery.facts))


def open_gallery(folder: str | Path, model: Model) -> Gallery:
    """A gallery as `enroll` wrote it, checked against the model.

    Raises: RunError when it is not there, is damaged, or was made with other weights.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpacked

    folder = Path(folder)
    if not (folder / FACTS).exists() or not (folder / VECTORS).exists():
        raise RunError(
            f"there is no gallery in {folder}",
            where=str(folder),
            mend=f"foveal enroll {model.run} FOLDER, one folder of samples per identity in it",
        )
    if (folder / VECTORS).stat().st_size > MOST_BYTES:
        raise _damaged(folder, f"{VECTORS} is larger than {MOST_BYTES >> 30} GB")
    facts = from_plain(Facts, read_json(folder / FACTS), str(folder / FACTS))
    try:
        vectors = unpacked((folder / VECTORS).read_bytes())["vectors"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise _damaged(folder, f"{VECTORS} cannot be read ({str(error)[:80]})") from error
    wanted = (len(facts.owner), model.plan.net.vector)
    if vectors.shape != wanted or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        raise _damaged(folder, f"vectors of shape {vectors.shape} of {vectors.dtype}, not {wanted}")
    owner = np.array(facts.owner, np.int64)
    if not len(owner) or sorted(set(facts.owner)) != list(range(len(facts.names))):
        raise _damaged(folder, "the owners are not those of the names")
    if (np.diff(owner) < 0).any() or len(facts.keys) != len(owner):
        raise _damaged(folder, "the rows are out of order")
    if facts.model != _digest(model):
        raise RunError(
            "this gallery was made with other weights, whose vectors mean something else",
            where=str(folder),
            mend=f"foveal enroll {model.run} FOLDER makes it anew",
        )
    return Gallery(vectors, facts)


def _told(
    model: Model, gallery: Gallery, inputs: Sequence[str | Path], progress: Progress
) -> Iterator[Answer]:
    from .predict import answers

    names, floor = gallery.facts.names, gallery.facts.threshold
    for answer in answers(model, inputs, progress):
        if "error" in answer:
            yield answer
            continue
        score = gallery.search(np.array([answer["embedding"]], np.float64))[0]
        best = np.argsort(-score, kind="stable")[:NEAREST].tolist()
        sure = floor is None or float(score[best[0]]) >= floor
        yield {
            "input": answer["input"],
            "name": names[best[0]] if sure else UNKNOWN,
            "score": round(float(score[best[0]]), 6),
            "known": sure,
            "nearest": [{"name": names[i], "score": round(float(score[i]), 6)} for i in best],
        }


def _line(answer: Any) -> str:
    """Name and score; of an unknown one the nearest name too."""
    said = f"{answer['name']}  {answer['score']:.4f}"
    return said if answer["known"] else f"{said}  (nearest {answer['nearest'][0]['name']})"


def _able(model: Model) -> Model:
    if not model.plan.net.vector:
        raise RunError(
            f"this run learned to {model.plan.task} and gives no vectors to compare",
            where=str(model.run),
            mend="foveal train DATA --task embed",
        )
    return model


def _threshold(model: Model, identities: int) -> float | None:
    """As the task has it for a gallery of so many identities."""
    floor = model.task.judging.floor
    return None if floor is None else floor(model.report.calibration, identities)


def _digest(model: Model) -> str:
    """A short hash of the weights that make vectors."""
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(model.network.state_dict().items()):
        digest.update(name.encode() + bytes(value.detach().cpu().numpy().data))
    return digest.hexdigest()


def _damaged(folder: Path, what: str) -> RunError:
    return RunError(what, where=str(folder), mend="make the gallery anew with foveal enroll")


def embedded(model: Model, inputs: Any, progress: Progress = SILENT) -> NDArray[np.float32]:
    """Unit vectors (N, D) of files, folders or an array of samples.

    Raises: RunError when the model gives none; DataError for an input that cannot be read.
    """
    from .predict import answers

    found = []
    for answer in answers(_able(model), inputs, progress):
        if "error" in answer:
            raise DataError(
                answer["error"], where=answer["input"], mend="replace it, or leave it out"
            )
        found.append(answer["embedding"])
    return np.array(found, np.float32).reshape(-1, model.plan.net.vector)
