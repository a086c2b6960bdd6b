import numpy as np
import pytest

from lib.data import video


def clip(n=12, height=48, width=64):
    """Frames that tell their index: a bright bar at column 4 * index."""
    frames = np.full((n, height, width, 3), 40, np.uint8)
    for index, frame in enumerate(frames):
        frame[:, 4 * index : 4 * index + 4] = 220
    return frames


def position(frame):
    return int(frame[..., 0].mean(axis=0).argmax()) // 4


def test_a_frame_index_gives_exactly_that_frame(tmp_path):
    video.write_video(tmp_path / "a.mp4", clip(), fps=25, crf=18)
    assert video.frame_count(tmp_path / "a.mp4") == 12
    frames = video.read_frames(tmp_path / "a.mp4", [0, 11, 7, 7])
    assert frames.shape == (4, 48, 64, 3) and frames.dtype == np.uint8
    assert [position(f) for f in frames] == [0, 11, 7, 7]


def test_colours_survive_the_round_trip_through_h264(tmp_path):
    frames = np.empty((3, 32, 32, 3), np.uint8)
    frames[:] = (200, 60, 30)
    video.write_video(tmp_path / "a.mp4", frames, crf=10)
    back = video.read_frames(tmp_path / "a.mp4", [0, 2])
    assert np.abs(back.astype(int) - frames[:2]).max() <= 4


def test_a_grey_mask_is_written_and_read_back(tmp_path):
    masks = np.zeros((4, 32, 48), np.uint8)
    masks[:, 8:24, 8:24] = 255
    video.write_video(tmp_path / "mask.mp4", masks, crf=18)
    back = video.read_frames(tmp_path / "mask.mp4", range(4))[..., 0]
    assert ((back > 127) == (masks > 127)).mean() > 0.98


def test_the_same_frames_give_the_same_bytes_and_leave_no_other_file(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        video.write_video(tmp_path / name, clip(), crf=23)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_crf_40_is_smaller_than_crf_23(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    video.write_video(tmp_path / "c23.mp4", noise, crf=23)
    video.write_video(tmp_path / "c40.mp4", noise, crf=40)
    assert (tmp_path / "c40.mp4").stat().st_size < (tmp_path / "c23.mp4").stat().st_size


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_video_is_one_line_that_names_the_file(tmp_path, kept):
    noise = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    path = tmp_path / "cut.mp4"
    video.write_video(path, noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    for broken in (lambda: video.frame_count(path), lambda: video.read_frames(path, [0, 11])):
        with pytest.raises(ValueError, match="cut.mp4") as error:
            broken()
        assert "\n" not in str(error.value)


def test_a_text_file_named_mp4_a_missing_file_and_a_frame_beyond_the_end_are_named(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(ValueError, match="text.mp4"):
        video.frame_count(tmp_path / "text.mp4")
    with pytest.raises(FileNotFoundError, match="absent.mp4"):
        video.read_frames(tmp_path / "absent.mp4", [0])
    video.write_video(tmp_path / "a.mp4", clip(3))
    with pytest.raises(ValueError, match="frame 3"):
        video.read_frames(tmp_path / "a.mp4", [0, 3])


def test_frames_that_h264_cannot_hold_are_refused_before_anything_is_written(tmp_path):
    for frames in (np.zeros((2, 33, 32, 3), np.uint8), np.zeros((2, 32, 32, 3)), np.zeros((0, 32, 32, 3), np.uint8)):
        with pytest.raises(ValueError, match="a.mp4"):
            video.write_video(tmp_path / "a.mp4", frames)
    assert not list(tmp_path.iterdir())


def test_intervals_are_equal_and_a_short_video_gives_each_frame_once():
    assert video.equal_interval(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert video.equal_interval(3, 50).tolist() == [0, 1, 2]
    assert len(video.equal_interval(305, 50)) == 50
