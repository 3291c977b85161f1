"""Clips made up for tests: arrays, video files of every container, folders of frames."""

from pathlib import Path

import av
import numpy as np
from PIL import Image

# Container -> codec and pixel format that lose nothing, and one that is common.
EXACT = {".avi": ("rawvideo", "bgr24"), ".mkv": ("ffv1", "bgr0"), ".mov": ("png", "rgb24")}
COMMON = {
    ".mp4": ("libx264", "yuv420p"),
    ".m4v": ("mpeg4", "yuv420p"),
    ".mov": ("libx264", "yuv420p"),
    ".avi": ("mjpeg", "yuvj420p"),
    ".mkv": ("libx264", "yuv420p"),
    ".webm": ("libvpx-vp9", "yuv420p"),
}
WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}


def film(frames=6, size=(16, 24), seed=0, colour=True):
    """Smooth random frames ``(T, y, x, 3)``, uint8; grey where ``colour`` is False."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, size[0] // 4, size[1] // 4, 3 if colour else 1))
    return np.broadcast_to(
        coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8), (frames, *size, 3)
    ).copy()


def write_film(path: Path, x, codec=None, pixels=None, rate=10, options=None):
    """``x`` ``(T, y, x, 3)`` or grey ``(T, y, x)`` as a file, in a codec that its ending likes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    usual = COMMON.get(path.suffix, ("gif", "gray"))
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec or usual[0], rate=rate)
        stream.width, stream.height = x.shape[2], x.shape[1]
        stream.pix_fmt = pixels or usual[1]
        stream.codec_context.thread_count = 1
        for frame in x:
            kind = "gray" if frame.ndim < 3 else "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=kind)))
        container.mux(stream.encode())
    return path


def write_frames(folder: Path, x, name="{:04d}.png"):
    """One picture per frame of ``x``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(x):
        Image.fromarray(frame).save(folder / name.format(number))
    return folder


def movements(each=8, frames=8, size=(16, 16), seed=0, ways=tuple(WAYS)):
    """Grey clips ``(N, T, y, x)`` of a bright square that wanders, and their ways ``(N,)``."""
    rng = np.random.default_rng(seed)
    x, y = [], []
    for number in range(each * len(ways)):
        way = ways[number % len(ways)]
        canvas = rng.integers(0, 40, size, dtype=np.uint8)
        canvas[:5, :5] = rng.integers(150, 255)
        start = rng.integers(0, size[0], 2)
        moves = [tuple(start + t * np.array(WAYS[way])) for t in range(frames)]
        x.append([np.roll(canvas, move, (0, 1)) for move in moves])
        y.append(way)
    return np.array(x), np.array(y)


def film_folders(root: Path, x, y, suffix=".mp4"):
    """A video file per clip, in class folders."""
    for number, (clip, way) in enumerate(zip(x, y, strict=True)):
        write_film(root / str(way) / f"{number:03d}{suffix}", clip)
    return root


def frame_folders(root: Path, x, y):
    """A folder of frames per clip, in class folders."""
    for number, (clip, way) in enumerate(zip(x, y, strict=True)):
        write_frames(root / str(way) / f"{number:03d}", clip)
    return root
