"""Tests run on one thread each: small tensors gain nothing from more, and the numbers stay the same everywhere."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def interrupted(monkeypatch):
    """Let the n-th call of a function end as Ctrl-C ends it; gives a list that grows by one at each call."""

    def prepare(owner, name, at):
        function, calls = getattr(owner, name), []

        def counted(*arguments):
            calls.append(0)
            if len(calls) == at:
                raise KeyboardInterrupt
            return function(*arguments)

        monkeypatch.setattr(owner, name, counted)
        return calls

    return prepare
