"""Which texts are nearly the same: MinHash with banding, over whole tables at a time.

Two texts are near when they share most of their words and pairs of neighbouring words, whatever their case, punctuation and
digits (NEAR: the Jaccard similarity of those sets). Each text gets K small numbers, of which two texts share about as many
as their similarity says; texts that share all of a band of them are compared exactly. Of pairs just at the limit a few
are missed, of those at 0.8 one in ten thousand. datasketch does the same text by text, which for a million rows takes minutes.

    texts = ["Where is my parcel 123?", "where is my parcel 456", "Hello"]
    clusters(texts, 3, texts.__getitem__)   # array([0, 0, 2])
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

NEAR = 0.7
BANDS, ROWS_OF_BAND = 12, 3  # three numbers of 16 bits and one more fit into an integer
K = BANDS * ROWS_OF_BAND
CHUNK = 1000  # texts at a time: what is worked out for them is some ten times their size
PAIRS, COMPARED = 20_000, 1000  # pairs whose signatures, and whose texts, are compared together
MOST_THREADS = 4
LIKELY = 0.5  # shared numbers below which a pair is not worth an exact comparison
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, like all factors here: products of 64 bits then lose nothing
POWERS = np.cumprod(np.full(64, BASE), dtype=np.uint64)


def _kinds() -> np.ndarray:
    """What each byte counts as: letters as themselves, digits all alike, the rest of ASCII as space (0)."""
    kinds = np.arange(256, dtype=np.uint8)
    kinds[:128] = [code if chr(code).isalpha() else ord("0") if chr(code).isdigit() else 0 for code in range(128)]
    return kinds


KINDS = _kinds()
FACTORS = np.random.default_rng(0).integers(0, 2**31, size=K, dtype=np.uint32) * 2 + 1
SHIFTS = np.random.default_rng(1).integers(0, 2**32, size=K, dtype=np.uint32)


def clusters(texts: Iterable[str], number: int, text_at: Callable[[int], str]) -> np.ndarray:
    """For each of the texts the number of its cluster: the place of the first text in it. Texts without words stand alone.

    The texts are read once, in order, and then here and there by their place, so that nobody must hold them all.
    """
    signatures, has_words = _signatures(iter(texts), number)
    labels = np.arange(number, dtype=np.int32)
    for band in range(BANDS):
        first, second = _candidates(signatures, has_words, band)
        unknown = labels[first] != labels[second]
        first, second = first[unknown], second[unknown]
        likely = _likely(signatures, first, second)
        first, second = first[likely], second[likely]
        if len(first):
            near = _similarity(text_at, first, second) >= NEAR
            labels = _merged(labels, first[near], second[near])
    return labels


def _signatures(texts: Iterator[str], number: int) -> tuple[np.ndarray, np.ndarray]:
    """K numbers [number, K] for each text, and whether it has words."""
    signatures = np.zeros((number, K), dtype=np.uint16)
    has_words = np.zeros(number, dtype=bool)

    def sign(start: int, some: list[str]) -> None:
        features, counts = _features(some)
        present = np.flatnonzero(counts)
        if not len(present):
            return
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[present]
        short = (features >> np.uint64(32)).astype(np.uint32)
        for place, (factor, shift) in enumerate(zip(FACTORS, SHIFTS, strict=True)):
            least = np.minimum.reduceat(short * factor + shift, starts)
            # Small numbers all begin alike: what tells them apart is in their lower half.
            signatures[start + present, place] = (least ^ (least >> np.uint32(16))).astype(np.uint16)
        has_words[start + present] = True

    # Most of it is arithmetic of numpy, which lets other threads run. A few chunks at a time: texts may be made as they are read.
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, number, CHUNK * threads):
            starts = range(start, min(number, start + CHUNK * threads), CHUNK)
            list(pool.map(sign, starts, [list(islice(texts, CHUNK)) for _ in starts]))
    return signatures, has_words


def _likely(signatures: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether each pair shares enough numbers to be worth an exact comparison."""
    result = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), PAIRS):
        part = slice(start, start + PAIRS)
        result[part] = np.count_nonzero(signatures[first[part]] == signatures[second[part]], axis=1) >= LIKELY * K
    return result


def _features(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for the words and pairs of words of all texts, one text after the other, and how many each text has."""
    data = np.frombuffer(("\0".join(texts).lower() + "\0").encode(), dtype=np.uint8)
    letters = KINDS[data]
    # A word begins after a space, and at each character of three bytes: those scripts mostly write without spaces.
    begins = (letters != 0) & (np.concatenate([[0], letters[:-1]]) == 0) | (letters >= 0xE0)
    starts = np.flatnonzero(begins)
    ends = np.flatnonzero(data == 0)
    of_text = np.searchsorted(ends, starts)
    counts = np.bincount(of_text, minlength=len(texts))[: len(texts)]
    if not len(starts):
        return np.zeros(0, dtype=np.uint64), counts
    word = np.cumsum(begins) - 1
    place = np.arange(len(data)) - starts[np.maximum(word, 0)]
    # Of a number only its first digit counts: 7 is like 2048.
    digits = letters == ord("0")
    values = np.where(digits & np.concatenate([[False], digits[:-1]]), 0, letters)
    words = _mixed(np.add.reduceat(values * POWERS[place & 63], starts))
    follows = np.append(words[1:], np.uint64(0))
    last = np.append(of_text[1:] != of_text[:-1], True)
    pairs = np.where(last, words, _mixed(words * BASE + follows))
    return np.stack([words, pairs], axis=1).ravel(), 2 * counts


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Every bit of a number depends on every bit (the finisher of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _candidates(signatures: np.ndarray, has_words: np.ndarray, band: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of texts that agree in a band: each with the first and with its neighbour among those that agree."""
    places = np.flatnonzero(has_words).astype(np.int32)
    # The band and the number after it as one integer of 64 bits: sorted, neighbours agree as far as possible.
    columns = [(band * ROWS_OF_BAND + offset) % K for offset in range(4)]
    keys = np.zeros(len(places), dtype=np.uint64)
    for column in columns:
        keys <<= np.uint64(16)
        keys |= signatures[places, column]
    order = np.argsort(keys, kind="stable")
    places, keys = places[order], keys[order]
    del order  # 8 MB a million texts, as each array here
    keys >>= np.uint64(16)
    later = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    new = np.ones(len(keys), dtype=bool)
    new[later] = False
    group_start = np.flatnonzero(new)[np.cumsum(new) - 1][later]
    apart = group_start < later - 1  # else both are one pair
    return places[np.concatenate([group_start[apart], later - 1])], places[np.concatenate([later[apart], later])]


def _similarity(text_at: Callable[[int], str], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The Jaccard similarity of each pair."""
    result = np.zeros(len(first))
    for start in range(0, len(first), COMPARED):
        pairs = np.stack([first[start : start + COMPARED], second[start : start + COMPARED]])
        needed, where = np.unique(pairs, return_inverse=True)
        features, counts = _features([text_at(place) for place in needed.tolist()])
        sets = [set(some) for some in _split(features.tolist(), counts.tolist())]
        for place, (one, other) in enumerate(where.reshape(pairs.shape).T.tolist()):
            common = len(sets[one] & sets[other])
            result[start + place] = common / (len(sets[one]) + len(sets[other]) - common)
    return result


def _split(values: list[int], counts: list[int]) -> Iterator[list[int]]:
    remaining = iter(values)
    return (list(islice(remaining, count)) for count in counts)


def _merged(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The clusters after these pairs have been found near; named by their first text."""
    from scipy.sparse import coo_array  # only here: a quarter of a second
    from scipy.sparse.csgraph import connected_components

    names, which = np.unique(np.concatenate([labels[first], labels[second]]), return_inverse=True)
    edges = np.ones(len(first), dtype=bool), (which[: len(first)], which[len(first) :])
    _, component = connected_components(coo_array(edges, shape=(len(names), len(names))), directed=False)
    # Names are in order: the first of a component is the least.
    least = names[np.unique(component, return_index=True)[1]]
    renamed = np.arange(len(labels), dtype=labels.dtype)
    renamed[names] = least[component]
    return renamed[labels]
