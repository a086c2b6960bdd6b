"""What a detector could cheat with: how well file size, brightness and the like separate real from fake."""

import os

import cv2
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from lib.data import image, video

ALLOWED = (0.35, 0.65)  # the range of AUC within which a measure does not give the label away


def measure(table):
    """Return what a detector could cheat with, one row an item of `table` (videos or images): a DataFrame.

    Columns: file_size (bytes), brightness and contrast (mean and standard deviation of the grey values, 0 .. 255),
    width and height (pixels). Of a video, four frames at equal intervals are read.
    """
    rows = []
    for path in table["path"]:
        if path.lower().endswith(video.SUFFIXES):
            pictures = video.read_frames(path, video.equal_interval(video.frame_count(path), 4))
        else:
            pictures = image.read_image(path)[None]
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
        height, width = grey[0].shape
        rows.append((os.path.getsize(path), np.mean(grey), np.std(grey), width, height))
    return pd.DataFrame(rows, columns=["file_size", "brightness", "contrast", "width", "height"], index=table.index)


def separation(labels, measures):
    """Return the AUC with which each column of `measures` alone separates fake (1) from real (0): a Series.

    A measure with an AUC of 0.5 says nothing about the label; in a clean data set all of them lie within ALLOWED.
    """
    return measures.apply(lambda values: roc_auc_score(labels, values))
