"""copies: changed copies of any rank are found, different samples are not, chains stay short."""

import io
import itertools
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from foveal.datasets.cache import Store, cache_folder
from foveal.datasets.copies import Near, near_copies, none, shingles
from foveal.datasets.copies.alike import LEVEL, alike
from foveal.datasets.copies.chains import LONG, chains, longest, settled
from foveal.datasets.copies.codes import coding
from foveal.datasets.copies.shingles import alike_texts, pieces, shared
from foveal.datasets.copies.thumbnails import (
    CELLS,
    edges_of,
    mirrored,
    mirrors_of,
    thumbnails,
)
from foveal.datasets.split import split
from foveal.grid import IMAGE_AXES, TEXT_AXES, Axis, time_axis
from foveal.layers.resample import resize
from foveal.progress import Progress

AXES = {1: (time_axis(0.01),), 2: IMAGE_AXES, 3: (Axis("z"), *IMAGE_AXES)}
SIZES = {1: (400,), 2: (32, 32), 3: (12, 16, 16)}


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def scenes(count, rank, seed=0, channels=1):
    """``(N, *S, C)`` uint8 of smooth chance, as photos are: no two alike."""
    chance = torch.Generator().manual_seed(seed)
    x = torch.zeros((count, channels, *SIZES[rank]))
    for parts in (3, 5, 9):  # less of what is finer, as in photos
        coarse = [min(s, parts * (8 if rank == 1 else 1)) for s in SIZES[rank]]
        x += resize(torch.rand((count, channels, *coarse), generator=chance), SIZES[rank]) / parts
    x += 0.01 * torch.rand(x.shape, generator=chance)
    return (230 * x / x.amax()).to(torch.uint8).movedim(1, -1).numpy()


def hashes(count):
    return np.arange(1, count + 1, dtype=np.uint64)


def found(x, axes, own=None):
    return near_copies(Store.from_array(x), axes, hashes(len(x)) if own is None else own)


def pairs_of(near):
    return {tuple(pair) for pair in near.pairs.tolist()}


def resized(x):
    """Every sample at three quarters of its size and back."""
    there = torch.from_numpy(x).movedim(-1, 1)
    small = resize(there, [s * 3 // 4 for s in there.shape[2:]])
    return resize(small, there.shape[2:]).movedim(1, -1).numpy()


def jpeg(x):
    rows = []
    for picture in x[..., 0]:
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "JPEG", quality=75)
        rows.append(np.asarray(Image.open(io.BytesIO(content.getvalue()))))
    return np.stack(rows)[..., None]


def lighter(x):
    return (x * 0.8 + 40).astype(np.uint8)


@pytest.mark.parametrize("change", [resized, lighter])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_changed_copies_are_found_and_nothing_else(rank, change):
    x = scenes(300, rank)
    near = found(np.concatenate([x, change(x[:40])]), AXES[rank])
    wanted = {(i, 300 + i) for i in range(40)}
    assert len(pairs_of(near) & wanted) >= 38
    assert pairs_of(near) <= wanted


@pytest.mark.parametrize("rank", [2, 3])
def test_mirrored_copies_are_found_along_any_axis_of_space(rank):
    x = scenes(200, rank)
    for axis in range(rank):
        near = found(np.concatenate([x, np.flip(x[:20], 1 + axis)]), AXES[rank])
        assert pairs_of(near) == {(i, 200 + i) for i in range(20)}


def test_time_is_never_mirrored():
    x = scenes(200, 1)
    assert not len(found(np.concatenate([x, x[:20, ::-1]]), AXES[1]).pairs)
    assert mirrors_of(AXES[1]) == ()
    assert mirrors_of((time_axis(0.1), *IMAGE_AXES)) == (1, 2)


def test_pictures_encoded_anew_are_found():
    x = scenes(300, 2)
    assert pairs_of(found(np.concatenate([x, jpeg(x[:50])]), IMAGE_AXES)) == {
        (i, 300 + i) for i in range(50)
    }


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("count", [2, 30, 900])
def test_random_samples_are_never_joined(rank, count):
    x = np.random.default_rng(count).integers(0, 256, (count, *SIZES[rank], 1)).astype(np.uint8)
    assert not len(found(x, AXES[rank]).pairs)
    assert not len(found(scenes(count, rank, seed=count), AXES[rank]).pairs)


def test_exact_copies_are_looked_at_once():
    x = scenes(100, 2)
    x[50:60] = x[:10]
    own = hashes(100)
    own[50:60] = own[:10]
    assert not len(found(x, IMAGE_AXES, own).pairs)
    near = found(np.concatenate([x, lighter(x[:5])]), IMAGE_AXES, np.append(own, hashes(105)[100:]))
    joined = near.joined(np.append(own, hashes(105)[100:]))
    for i in range(5):
        assert joined[i] == joined[50 + i] == joined[100 + i]


def test_constant_samples_are_no_copies_of_each_other():
    x = np.repeat(np.arange(40, dtype=np.uint8), 64).reshape(40, 8, 8, 1)
    assert not len(found(x, IMAGE_AXES).pairs)


def test_shorter_recordings_are_compared_over_their_own_length():
    x = scenes(100, 1).astype(np.float32)
    stretched = np.full_like(x[:10], np.nan)
    half = resize(torch.from_numpy(x[:10]).movedim(-1, 1), (200,)).movedim(1, -1).numpy()
    stretched[:, :200] = half
    near = found(np.concatenate([x, stretched]), AXES[1])
    assert pairs_of(near) == {(i, 100 + i) for i in range(10)}


def test_thumbnails_are_means_of_length_one():
    x = scenes(3, 2)
    small = thumbnails(Store.from_array(x), IMAGE_AXES, np.arange(3))
    assert small.shape == (3, 16, 16, 1)
    flat = small.reshape(3, -1)
    np.testing.assert_allclose(flat.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose((flat**2).sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(mirrored(mirrored(small, 1), 1), small)
    assert thumbnails(Store.from_array(x), IMAGE_AXES, np.arange(0)).shape == (0, 16, 16, 1)
    assert [edges_of(SIZES[rank]) for rank in (1, 2, 3)] == [(CELLS,), (16, 16), (6, 6, 6)]
    assert edges_of((5, 40)) == (5, 16)


def test_thumbnails_of_signals_are_means_and_spreads_of_stretches():
    chance = np.random.default_rng(0)
    x = np.full((2, 600, 1), np.nan, np.float32)
    x[0, :, 0], x[1, :513, 0] = chance.normal(0, 1, 600), chance.normal(0, 3, 513)
    small = thumbnails(Store.from_array(x), AXES[1], np.arange(2))
    for row, length in enumerate((600, 513)):
        ends = length * np.arange(257) // 256
        cells = [x[row, a:b, 0] for a, b in itertools.pairwise(ends)]
        told = np.array([[c.mean(), c.std()] for c in cells])
        told -= told.mean(0)
        np.testing.assert_allclose(small[row], told / np.linalg.norm(told), atol=1e-4)


def test_codes_have_length_one_and_forget_what_all_share():
    chance = np.random.default_rng(0)
    thumbs = 10 + chance.normal(0, 1, (500, 6, 6, 1)) * np.linspace(0.1, 3, 36).reshape(6, 6, 1)
    code = coding(thumbs.astype(np.float32))
    codes = code(thumbs.astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, rtol=1e-5)
    assert abs(float((codes[:250] * codes[250:]).sum(1).mean())) < 0.05
    assert not code(np.zeros((2, 6, 6, 1), np.float32)).any()
    assert coding(np.zeros((4, 6, 6, 1), np.float32)).mean.shape == (36,)


def test_bits_lose_few_pairs_of_a_slow_search():
    chance = np.random.default_rng(0)
    codes = chance.normal(0, 1, (3000, 32)).astype(np.float32)
    codes[2000:] = codes[:1000] + 0.15 * chance.normal(0, 1, (1000, 32))
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    near = codes @ codes.T
    slow = {(i, j) for i, j in np.argwhere(near >= LEVEL).tolist() if i < j}
    pairs, how = alike([codes])
    fast = {tuple(pair) for pair in pairs.tolist()}
    assert fast <= slow
    assert len(fast) > 0.95 * len(slow) > 900
    np.testing.assert_allclose(how, near[pairs[:, 0], pairs[:, 1]], atol=1e-5)
    again, _ = alike([codes])
    assert np.array_equal(again, pairs)


def test_where_all_look_alike_only_what_is_nearer_still_counts():
    chance = np.random.default_rng(0)
    codes = np.ones((400, 128), np.float32) + 0.1 * chance.normal(0, 1, (400, 128))
    codes[399] = codes[0] + 1e-4
    codes = (codes / np.linalg.norm(codes, axis=1, keepdims=True)).astype(np.float32)
    assert ((codes @ codes.T) > LEVEL).all()
    assert alike([codes])[0].tolist() == [[0, 399]]


def test_a_long_chain_is_a_series_and_ties_nothing():
    chain = np.stack([np.arange(99), np.arange(1, 100)], 1)
    how = np.full(99, 0.96, np.float32)
    how[10] = 0.999
    assert longest(chain, 100) == 100
    kept, level = settled(chain, how, 100)
    assert (kept.tolist(), level.tolist()) == ([[10, 11]], [pytest.approx(0.999)])
    assert not len(settled(chain, np.ones(99, np.float32), 100)[0])
    short = chain[: LONG - 1]
    assert np.array_equal(settled(short, how[: LONG - 1], 100)[0], short)
    assert chains(chain[:2], 5).tolist() == [0, 0, 0, -1, -1]
    assert longest(chain[:0], 5) == 0


def test_copies_lie_on_one_side_of_every_split():
    x = scenes(200, 2)
    near = found(np.concatenate([x, lighter(x)]), IMAGE_AXES)
    own = near.joined(hashes(400))
    labels, parts = np.zeros(400, np.int32), np.zeros(400, np.int8)
    made = split(labels, parts, own, validation=0.2, test=0.3)
    for rows in (made.train, made.validation, made.test):
        assert set(rows % 200) == {*rows[rows < 200]} == {*(rows[rows >= 200] - 200)}
    assert none().joined(own) is own


def test_the_answer_is_remembered_and_a_damaged_one_is_not():
    x = scenes(60, 2)
    x = np.concatenate([x, lighter(x[:5])])
    first = found(x, IMAGE_AXES)
    (file,) = (cache_folder() / "copies").iterdir()
    assert pairs_of(found(x, IMAGE_AXES)) == pairs_of(first)
    file.write_bytes(file.read_bytes()[:-40])
    assert pairs_of(found(x, IMAGE_AXES)) == pairs_of(first)
    file.unlink()
    near_copies(Store.from_array(x), IMAGE_AXES, hashes(65), remember=False)
    assert not file.exists()


TEXT = "the film is a quiet, slow and rather beautiful look at what it means to come home again"


def texts(lines):
    content = [line.encode() for line in lines]
    x = np.zeros((len(lines), max(map(len, content)), 1), np.uint8)
    for row, line in zip(x, content, strict=True):
        row[: len(line), 0] = np.frombuffer(line, np.uint8)
    return x


def test_texts_that_say_the_same_are_found():
    lines = [f"{TEXT} number {i} of {i * i} in {i % 7} weeks, or {i + 3}" for i in (1, 22, 333)]
    lines = [TEXT, TEXT.upper() + " !", TEXT.replace("quiet", "silent"), TEXT[::-1], *lines]
    near = found(texts(lines), TEXT_AXES)
    assert pairs_of(near) >= {(0, 1), (0, 2), (1, 2)}
    assert not any(3 in pair for pair in pairs_of(near))
    assert near.alike[0] == 1


def test_questions_that_differ_in_one_word_are_different():
    lines = [f"What is the capital of {place} ?" for place in ("Peru", "Chad", "Fiji", "Oman")]
    assert not len(found(texts(lines), TEXT_AXES).pairs)


def test_minhash_loses_few_pairs_of_a_slow_search():
    chance = np.random.default_rng(0)
    words = [f"w{i}" for i in range(500)]
    lines = [list(chance.choice(words, 25)) for _ in range(300)]
    for i in range(100):
        changed = list(lines[i])
        changed[i % 25] = "other"
        lines.append(changed)
    told = [" ".join(line) for line in lines]
    pairs, how = alike_texts(told.__getitem__, len(told))
    held = [pieces(text) for text in told]
    slow = {(i, j) for i in range(400) for j in range(i) if shared(held[i], held[j]) >= 0.8}
    assert {(j, i) for i, j in pairs.tolist()} <= slow
    assert len(pairs) >= 0.99 * len(slow) > 95
    assert (how >= 0.8).all()


def test_texts_of_which_few_can_be_held_are_read_again(monkeypatch):
    chance = np.random.default_rng(1)
    lines = [" ".join(chance.choice([f"w{i}" for i in range(40)], 12)) for _ in range(60)]
    told = [*lines, *(line + " more" for line in lines[::3])]
    asked = []

    def read(i):
        asked.append(i)
        return told[i]

    pairs, how = alike_texts(read, len(told))
    assert asked == list(range(len(told)))  # each but once
    monkeypatch.setattr(shingles, "HELD", 200)
    few, again = alike_texts(read, len(told))
    assert len(asked) > 2 * len(told)
    assert len(pairs) >= 20
    assert np.array_equal(pairs, few)
    assert np.array_equal(how, again)


def test_shared_pieces_are_those_of_sets():
    chance = np.random.default_rng(2)
    for one, other in zip(chance.integers(1, 30, 200), chance.integers(1, 30, 200), strict=True):
        a, b = (set(chance.integers(0, 40, n).tolist()) for n in (one, other))
        told = shared(*(np.array(sorted(each), np.uint64) for each in (a, b)))
        assert told == len(a & b) / len(a | b)


@pytest.mark.parametrize("kind", ["texts", "pictures"])
def test_every_row_is_counted_while_copies_are_looked_for(kind):
    seen = {}

    class Counting(Progress):
        @contextmanager
        def bar(self, title, total=None):
            seen[title] = [total, 0]

            def tick(units):
                seen[title][1] += units

            yield tick

    if kind == "texts":
        alike_texts(lambda i: f"text {i} of many", 50, Counting())
    else:
        codes = np.random.default_rng(3).standard_normal((1000, 8)).astype(np.float32)
        alike([codes / np.linalg.norm(codes, axis=1, keepdims=True)], progress=Counting())
    assert seen
    assert all(total == done > 0 for total, done in seen.values())


def test_pieces_of_texts():
    assert len(pieces("One fish, two FISH!")) == 3 + 3
    assert np.array_equal(pieces("a b c"), pieces("A, b -- C."))
    assert len(pieces("")) == 1
    assert len(pieces("?!")) == 1
    assert (
        shared(pieces("日本語の文章はここにあります。"), pieces("日本語の文章はここにある。")) > 0.5
    )


def test_rows_of_a_table_are_left_alone():
    rows = (Axis("row", kind="order", mirrors=False),)
    x = np.repeat(np.random.default_rng(0).random((5, 8, 1)).astype(np.float32), 2, 0)
    assert not len(found(x, rows).pairs)
    assert isinstance(found(x[:1], rows), Near)
