"""Faces of sampled frames, linked into one track a person."""

import numpy as np

from lib.data import tracks


def face(frame, x, side=20, y=0):
    return frame, [x, y, x + side, y + side]


def places(found):
    return [[(frame, box[0]) for frame, box in track] for track in found]


def test_a_face_that_moves_is_one_track_beside_one_that_stays():
    frames = [[face(i, 100 + 12 * i), face(i, 10)] for i in range(4)]
    assert places(tracks.link(frames)) == [[(i, 10) for i in range(4)], [(i, 100 + 12 * i) for i in range(4)]]


def test_faces_that_come_near_each_other_are_not_exchanged():
    left, right = [10, 20, 30, 20, 10], [60, 52, 46, 52, 60]
    frames = [[face(i, b), face(i, a)] for i, (a, b) in enumerate(zip(left, right, strict=True))]
    assert sorted(places(tracks.link(frames))) == [list(enumerate(left)), list(enumerate(right))]


def test_the_longest_track_comes_first_then_the_largest_then_the_leftmost():
    short_and_large = [face(0, 200, side=90), face(1, 200, side=90)]
    long_and_small, long_and_larger = ([face(i, x, side) for i in range(3)] for x, side in ((10, 20), (90, 30)))
    twins = [[face(i, x, side=30) for i in range(3)] for x in (400, 500)]
    given = [short_and_large, long_and_small, long_and_larger, *twins]
    frames = [[track[i] for track in given if i < len(track)] for i in range(3)]
    ranked = [places([track])[0][0][1] for track in tracks.link(frames)]
    assert ranked == [90, 400, 500, 10, 200]
    assert tracks.link([frame[::-1] for frame in frames]) == tracks.link(frames)


def test_a_face_that_is_missed_for_some_frames_goes_on_in_its_track():
    frames = [[face(0, 10), face(0, 100)], [face(1, 100)], [], [face(3, 100)], [face(4, 14), face(4, 100)]]
    assert places(tracks.link(frames)) == [[(i, 100) for i in (0, 1, 3, 4)], [(0, 10), (4, 14)]]


def test_one_face_a_frame_is_one_track_however_far_it_moves():
    frames = [[face(0, 10)], [face(1, 500)], [], [face(3, 10, side=200, y=300)], [face(4, 900)]]
    assert len(tracks.link(frames)) == 1 and len(tracks.link(frames)[0]) == 4


def test_another_face_far_off_is_not_taken_for_one_of_two_that_went_out_of_sight():
    frames = [[face(0, 10), face(0, 100)], [face(1, 500)]]
    assert len(tracks.link(frames)) == 3


def test_no_faces_give_no_track():
    assert tracks.link([]) == tracks.link([[], []]) == []


def test_the_mask_chooses_the_track_that_it_fits_and_not_the_large_one_that_holds_it():
    large, small = [face(0, 0, side=90), face(1, 0, side=90)], [face(0, 60, y=20), face(1, 60, y=20)]
    bright = np.zeros((100, 100), bool)
    bright[22:38, 62:78] = True
    assert tracks.most_covered([large, small], [(0, bright), (1, bright)]) == small
    assert tracks.most_covered([large, small], [(0, np.zeros((100, 100), bool))]) is None


def test_the_mask_counts_over_all_frames_and_not_by_the_first():
    one, other = [face(i, 0) for i in range(3)], [face(i, 60) for i in range(3)]
    masks = np.zeros((3, 100, 100), bool)
    masks[0, :20, :20] = masks[1:, :20, 60:80] = True
    assert tracks.most_covered([one, other], enumerate(masks)) == other


def test_a_box_that_leaves_the_frame_counts_by_what_is_inside():
    outside, other = [face(0, -12)], [face(0, 60)]
    bright = np.zeros((40, 100), bool)
    bright[:18, :6] = True
    assert tracks.most_covered([other, outside], [(0, bright)]) == outside
