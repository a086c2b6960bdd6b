"""Frames of video files, read by their exact index and written, with PyAV (which brings FFmpeg and libx264)."""

from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lib import paths

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


@contextmanager
def _opened(path):
    """Give the container and its video stream; raises ValueError that names a file which FFmpeg cannot read."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such video")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path}: holds no video stream")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise ValueError(f"{path}: truncated or not a video ({error.strerror})") from None


def frame_count(path):
    """Return the number of frames that the video holds.

    Counts the packets, without decoding them, because the header of a truncated file still promises all frames.
    Raises FileNotFoundError, or ValueError naming a file that is truncated or no video.
    """
    with _opened(path) as (container, stream):
        packets = [packet.is_discard for packet in container.demux(stream) if packet.size]
        if not packets or len(packets) < stream.frames:
            raise ValueError(f"{path}: truncated, {len(packets)} of {stream.frames} frames are there")
    return len(packets) - sum(packets)


def equal_interval(n_frames, count):
    """Return `count` frame indices at equal intervals over the whole video, first and last included.

    A video with fewer frames than `count` gives each of its frames once. Source: PEL, section 4.1 (50 per video).
    """
    return np.unique(np.linspace(0, n_frames - 1, count).astype(int))


def stream_frames(path, indices):
    """Yield (index, frame) for each of `indices`, in rising order, one frame in memory at a time.

    frame: uint8 RGB (H, W, 3), turned upright. Decodes from the start: seeking is inexact in many files.
    Raises FileNotFoundError, or ValueError naming a file that is truncated, damaged or too short.
    """
    wanted = sorted({int(index) for index in indices})
    if wanted and wanted[0] < 0:
        raise ValueError(f"{path}: frame indices count from 0, got {wanted[0]}")
    with _opened(path) as (container, stream):
        decoded = enumerate(container.decode(stream))
        for index in wanted:
            frame = next((frame for position, frame in decoded if position == index), None)
            if frame is None:
                raise ValueError(f"{path}: truncated, frame {index} cannot be decoded")
            if frame.is_corrupt:
                raise ValueError(f"{path}: frame {index} is damaged")
            yield index, np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)


def read_frames(path, indices):
    """Return the frames at `indices` (any order, from 0) as uint8 RGB (n, H, W, 3); raises as `stream_frames`."""
    frames = dict(stream_frames(path, indices))
    return np.stack([frames[int(index)] for index in indices])


def write_video(path, frames, fps=25, crf=23):
    """Write uint8 frames, RGB (n, H, W, 3) or grey (n, H, W) with even H and W, as H.264 in an MP4 file.

    crf: constant rate factor of libx264; 23 and 40 are the c23 and c40 of FaceForensics++, 0 is lossless but for
    the 4:2:0 colour. The same frames give the same bytes: one encoder thread, no time stamp, no random id.
    Raises ValueError for frames of another shape or type.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or not len(frames) or frames.shape[3:] not in ((), (3,)) or frames.ndim < 3:
        raise ValueError(f"{path}: frames must be uint8 (n, H, W, 3) or (n, H, W), got {frames.dtype} {frames.shape}")
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"{path}: H.264 in 4:2:0 needs even sides, got {height} x {width}")
    paths.replace(path, lambda unfinished: _encode(unfinished, frames, fps, crf))


def _encode(path, frames, fps, crf):
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": str(crf)})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        kind = "gray" if frames.ndim == 3 else "rgb24"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=kind)))
        container.mux(stream.encode(None))
