"""Processes that share work: one core each, gone when their parent is."""

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import cv2


def pool(count):
    """Return a ProcessPoolExecutor of `count` fresh processes (OpenCV, FFmpeg and CUDA do not survive a fork)."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_settle)


def _settle():
    # One core a worker; and one thread adds up in the same order everywhere.
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    if "torch" in sys.modules:  # else it reads the variable when it is first imported
        sys.modules["torch"].set_num_threads(1)
    parent = multiprocessing.parent_process()
    # A worker whose parent was killed would wait for work for ever.
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
