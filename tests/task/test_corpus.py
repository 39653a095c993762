import sys

import pytest
import torch

from danlu.task.corpus import read, split


def test_the_reference_is_read():
    topics = read()
    assert len(topics) > 50
    assert "lambda" in topics


def test_without_pydoc_data_the_standard_library_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    modules = read()
    assert all(text.isascii() for text in modules.values())
    assert any("import" in text for text in modules.values())
    assert 300_000 < sum(map(len, modules.values())) <= 500_000


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_topics_are_held_out_whole(share):
    topics = {f"topic {i}": f"<{i}>" * 10 * (i + 1) for i in range(20)}
    corpus = split(topics, share)
    held_out = {name for name, text in topics.items() if text in corpus.test}
    kept = {name for name, text in topics.items() if text in corpus.train}
    assert held_out | kept == set(topics)
    assert not held_out & kept
    length = sum(len(topics[name]) for name in held_out)
    assert 0.5 * share < length / sum(map(len, topics.values())) <= share


def test_the_split_is_a_function_of_the_names():
    topics = {name: name * 9 for name in "abcdefghijk"}
    assert split(topics) == split(dict(reversed(topics.items())))


def test_encoding_comes_back():
    corpus = split({"a": "some text, ", "b": "and mörê of it", "c": "x" * 300})
    assert list(corpus.alphabet) == sorted(set(corpus.train + corpus.test))
    assert corpus.decode(corpus.encode(corpus.train)) == corpus.train
    assert corpus.encode(corpus.alphabet).equal(torch.arange(len(corpus.alphabet)))
