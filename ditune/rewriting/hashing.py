"""Counter-based random numbers: hash words that depend on a named stream and a counter, and on nothing else.

32-bit integer arithmetic throughout, so that a CPU and a GPU give the same bits, for any batch and in any order. The
streams of a seed are named (rules, inputs, order, initialisation, ...); each feeds one thing.

Shapes: B counters.
"""

import hashlib
from dataclasses import dataclass

import torch

MASK16, MASK17 = 0xFFFF, 0x1FFFF


def stream(seed: int, name: str) -> tuple[int, int]:
    """Two 32-bit words for the stream `name` of `seed`; streams are independent, so that each changes what it
    should."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little", signed=True) for i in (0, 4))


def mix(h: torch.Tensor, last: bool = True) -> torch.Tensor:
    """A bijection of 32-bit words that scatters them, in place; the constants are Wellons' lowbias32 (hash-prospector).
    Without `last`, its last step is left to the caller."""
    shifted = h >> 16  # one scratch tensor: on a CPU, fresh memory costs more than arithmetic
    h ^= shifted.bitwise_and_(MASK16)  # int32 shifts drag the sign along; the mask takes it away
    h *= 0x7FEB352D
    h ^= torch.bitwise_right_shift(h, 15, out=shifted).bitwise_and_(MASK17)
    h *= 0x846CA68B - (1 << 32)
    if last:
        h ^= torch.bitwise_right_shift(h, 16, out=shifted).bitwise_and_(MASK16)
    return h


@dataclass
class Stream:
    """A stream of hash words for each of B counters: word n is mix(start + n * stride). Both: (B,) int32."""

    start: torch.Tensor
    stride: torch.Tensor

    @classmethod
    def of(cls, key: tuple[int, int], first: torch.Tensor, second: torch.Tensor) -> "Stream":
        """The streams numbered (first, second), int64 (B,). Start and stride see all 64 bits in different order."""
        low, high, other = first.to(torch.int32), (first >> 32).to(torch.int32), second.to(torch.int32)
        start = mix(mix(mix(low ^ key[0]) + high) ^ other)
        stride = mix(mix(mix(other + key[1]) ^ low) + high)
        return cls(start, stride | 1)

    def words(self, first: int, n: int, last: bool = True) -> torch.Tensor:
        """Words first to first + n - 1 of each stream: (B, n) int32."""
        lanes = torch.arange(first, first + n, dtype=torch.int32, device=self.start.device)
        return mix((self.stride[:, None] * lanes).add_(self.start[:, None]), last)

    def word(self, n: int) -> torch.Tensor:
        """Word n of each stream: (B,) int32."""
        return self.words(n, 1)[:, 0]

    def letters(self, first: int, n: int, alphabet_size: int) -> torch.Tensor:
        """(B, n) letters as uint8, two a word; a letter's probability is even to within alphabet_size / 65536."""
        half = -(-n // 2)
        low = self.words(first, half, last=False)
        high = low >> 16
        low ^= high  # the step that is left of `mix`
        out = torch.empty(len(low), 2 * half, dtype=torch.uint8, device=low.device)
        out[:, :half] = low.bitwise_and_(MASK16).mul_(alphabet_size).bitwise_right_shift_(16)
        out[:, half:] = high.bitwise_and_(MASK16).mul_(alphabet_size).bitwise_right_shift_(16)
        return out[:, :n].contiguous()

    def retry(self, rows: torch.Tensor, attempt: torch.Tensor) -> "Stream":
        """Fresh streams for the rows that are drawn again, at each the attempt-th time: (R,) both, int32 the latter."""
        return Stream(mix(self.start[rows] + attempt), self.stride[rows])


def below(words: torch.Tensor, n) -> torch.Tensor:
    """Hash words as numbers 0 .. n - 1, int64; n is an int or a tensor of them."""
    return ((words.long() & 0xFFFFFFFF) * n) >> 32


def permute(i: torch.Tensor, n: torch.Tensor, key: tuple[int, int]) -> torch.Tensor:
    """Place of each i in a keyed permutation of 0 .. n - 1. i (B,), n (B,) or (1,), int64, 0 <= i < n <= 2^31.

    Rounds of multiply, add and xor-shift permute the next power of two; what falls outside walks on until it is inside.

    >>> sorted(permute(torch.arange(10), torch.tensor([10]), stream(0, "rules")).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    last = (n - 1).to(torch.int32)
    bits = torch.frexp((n - 1).double()).exponent.clamp(min=1)

    def scatter(v: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
        mask, half = ((1 << bits.long()) - 1).to(torch.int32), (bits + 1) // 2
        for turn, odd in enumerate((0x2C1B3C6D, 0x297A2D39, 0x1B56C4E9, 0x7FEB352D)):
            # int32: the lowest bits are those of the full product
            v = (v * odd).add_(key[turn % 2] >> turn).bitwise_and_(mask)
            v ^= v >> half
        return v

    out = scatter(i.to(torch.int32), bits)
    todo = (out > last).nonzero()[:, 0]
    while len(todo):
        v = scatter(out[todo], bits.expand_as(i)[todo])
        out[todo] = v
        todo = todo[v > last.expand_as(i)[todo]]
    return out.long()
