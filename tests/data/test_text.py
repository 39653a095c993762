"""The laws of texts against row-by-row oracles."""

import math

import pytest
import torch

from danlu.data import Chain, image, text
from danlu.data.uniforms import uniforms
from danlu.keyed import generator

from .samples import MASK, PAD, VOCABULARY, tokens


def numbers(law, batch, seed=0):
    u = uniforms(seed, torch.arange(len(batch)), law.numbers(batch.shape[1:]))
    return u, u.double().tolist()


def test_masks_are_those_of_bert():
    batch = torch.cat([tokens()] * 3)
    law = text.MaskTokens(MASK, VOCABULARY, 0.4, special=(PAD, 7))
    u, v = numbers(law, batch)
    expected, targets, kinds = batch.clone(), torch.full_like(batch, -100), set()
    for i, j in ((i, j) for i in range(len(batch)) for j in range(13)):
        token = int(batch[i, j])
        if v[i][j] < 0.4 and token not in {PAD, 7}:
            targets[i, j] = token
            how = v[i][13 + j]
            kinds.add(kind := "mask" if how < 0.8 else "any" if how < 0.9 else "same")
            expected[i, j] = {"mask": MASK, "any": int(v[i][26 + j] * VOCABULARY), "same": token}[kind]
    assert kinds == {"mask", "any", "same"}
    inputs, found = law.apply(batch, u)
    assert torch.equal(inputs, expected)
    assert torch.equal(found, targets)


def test_the_shares_of_bert():
    batch = torch.full((400, 100), 10)
    inputs, targets = text.MaskTokens(1, 1000)(batch, generator(0))
    chosen = targets != -100
    n = int(chosen.sum())
    assert n / batch.numel() == pytest.approx(0.15, abs=5 * math.sqrt(0.15 * 0.85 / batch.numel()))
    for part, share in ((inputs == 1, 0.8), ((inputs != 1) & (inputs != 10), 0.0999), ((inputs == 10) & chosen, 0.1001)):
        assert float(part.sum()) / n == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / n) + 1e-3)


def test_deletion_closes_ranks_and_keeps_one():
    batch = tokens()
    for rate in (0.3, 1.0):
        law = text.DeleteTokens(PAD, rate)
        u, v = numbers(law, batch)
        for row, found, w in zip(batch.tolist(), law.apply(batch, u).tolist(), v, strict=True):
            words = [(y, x) for x, y in zip(row, w, strict=True) if x != PAD]
            kept = [x for y, x in words if y >= rate] or [x for _, x in sorted(words)[-1:]]
            assert found == kept + [PAD] * (13 - len(kept))
    assert text.DeleteTokens(PAD, 1.0)(batch).ne(PAD).sum(1).tolist() == [0] + [1] * 11


def test_swaps_are_transpositions_of_tokens():
    batch = tokens()
    law = text.SwapTokens(PAD, 0.4)
    u, v = numbers(law, batch)
    moved = 0
    for row, found, w in zip(batch.tolist(), law.apply(batch, u).tolist(), v, strict=True):
        words = [x for x in row if x != PAD]
        n, expected = len(words), list(words)
        for k in range(math.ceil(0.4 * n) if n > 1 else 0):
            a, b = int(w[2 * k] * n), int(w[2 * k + 1] * (n - 1))
            b += b >= a
            expected[a], expected[b] = expected[b], expected[a]
        moved += expected != words
        assert found == expected + [PAD] * (13 - n)
    assert moved > 8


def test_padding_in_front_stays_in_front():
    batch = tokens().flip(1)
    found = text.SwapTokens(PAD, 0.8)(batch, generator(0))
    assert torch.equal(found == PAD, batch == PAD)
    assert torch.equal(found.sort(1).values, batch.sort(1).values)


def test_laws_of_tokens_make_a_chain():
    x, swap, delete = tokens(), text.SwapTokens(PAD, 0.3), text.DeleteTokens(PAD, 0.3)
    chain, (rows, width) = Chain(swap, delete), (torch.arange(len(x)), swap.numbers(x.shape[1:]))
    u = uniforms(7, rows, chain.numbers(x.shape[1:]))
    assert torch.equal(chain.keyed(x, 7, rows), delete.apply(swap.apply(x, u[:, :width]), u[:, width:]))
    assert chain == Chain(swap, delete)
    with pytest.raises(ValueError, match="Chain: its parts must all be of images or all of tokens, got SwapTokens, Flip"):
        Chain(swap, image.Flip())
    with pytest.raises(ValueError, match=r"Chain: takes a batch of tokens \(N, T\), got shape \[2, 3, 4, 4\]"):
        chain(torch.rand(2, 3, 4, 4))


def test_back_translation_calls_the_users_translators():
    calls = []

    def there(texts):
        calls.append(list(texts))
        return [f"<{t}>" for t in texts]

    def back(texts):
        return [t.strip("<>").upper() for t in texts]

    words = [f"text {i}" for i in range(40)]
    law = text.BackTranslation(there, back, 0.5)
    found = law(words, generator(1))
    assert found == law(words, generator(1)) != law(words, generator(2))
    assert calls[0] == [w for w, f in zip(words, found, strict=True) if f != w]
    assert all(f in {w, w.upper()} for w, f in zip(words, found, strict=True))
    assert 5 < len(calls[0]) < 35
    assert text.BackTranslation(there, back, 0.0)(words, generator(1)) == words
    assert len(calls) == 3  # with nothing to translate nobody is called
    with pytest.raises(ValueError, match="took 40 texts and returned 39"):
        text.BackTranslation(lambda texts: texts[1:], back, 1.0)(words)
    with pytest.raises(ValueError, match=r"BackTranslation: probability must be in \[0, 1\], got 2"):
        text.BackTranslation(there, back, 2.0)


THESAURUS = {"b": ["B1", "B2"], "d": ["D"], "e": ["E1", "E2", "E3"], "f": []}
WORDS = ["a b c d e", "b  b b b b b b b b", " x\ty ", "", "d", "f e d c b a b c d e f"]


def drawn(seed, texts):
    """The numbers that a call with this generator looks up."""
    u = uniforms(int(torch.randint(2**63 - 1, (), generator=generator(seed))), torch.arange(len(texts)), 3 * 11)
    return u.double().tolist()


def test_words_are_replaced_by_their_synonyms():
    for seed in range(20):
        found = text.ReplaceBySynonyms(THESAURUS, 0.3)(WORDS, generator(seed))
        for old, new, u in zip(WORDS, found, drawn(seed, WORDS), strict=True):
            words = old.split()
            known = sorted((u[3 * i], i) for i, word in enumerate(words) if THESAURUS.get(word))
            for _, i in known[: math.ceil(0.3 * len(words))]:
                of = THESAURUS[words[i]]
                words[i] = of[int(u[3 * i + 1] * len(of))]
            assert new == (" ".join(words) if known else old)


def test_synonyms_are_inserted():
    for seed in range(20):
        found = text.InsertSynonyms(THESAURUS, 0.3)(WORDS, generator(seed))
        for old, new, u in zip(WORDS, found, drawn(seed, WORDS), strict=True):
            words = old.split()
            known, after = [word for word in words if THESAURUS.get(word)], list(words)
            for k in range(math.ceil(0.3 * len(words)) if known else 0):
                of = THESAURUS[known[int(u[3 * k] * len(known))]]
                after.insert(int(u[3 * k + 2] * (len(after) + 1)), of[int(u[3 * k + 1] * len(of))])
            assert new == (" ".join(after) if known else old)


@pytest.mark.parametrize("law", [text.ReplaceBySynonyms, text.InsertSynonyms])
def test_synonyms_are_a_function_of_seed_and_place(law):
    state = torch.get_rng_state()
    found = law(THESAURUS, 0.5)(WORDS, generator(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert found == law(THESAURUS, 0.5)(WORDS, generator(1)) != law(THESAURUS, 0.5)(WORDS, generator(2))
    assert found[:2] == law(THESAURUS, 0.5)(WORDS[:2], generator(1))  # whatever else is in the batch
    assert law(THESAURUS, 0.0)(WORDS, generator(1)) == WORDS
    assert law(THESAURUS, 0.5)([], generator(1)) == []
    sets = {word: set(of) for word, of in THESAURUS.items()}
    assert law(lambda word: sets.get(word, ()), 0.5)(WORDS, generator(1)) == found
    assert "cat" in law({"b": "cat"}, 0.5)(["b"], generator(0))[0]  # one word, not three letters
    with pytest.raises(ValueError, match=rf"{law.__name__}: rate must be in \[0, 1\], got 2"):
        law(THESAURUS, 2.0)
