"""The lines that `--threads auto` has to find its way on."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """A line; rates in bytes a second, 0 for no limit. `halves`: midway, to half of `rate`."""

    name: str
    title: str
    block_mib: int
    rate: int = 0
    each: int = 0
    most_parallel: int = 0
    halves: bool = False

    @property
    def is_paced(self) -> bool:
        """Tell whether the server has to wait at all."""
        return bool(self.rate or self.each)

    def line(self, seconds: float) -> dict[str, float]:
        """Return what the server is told, for a run of so many seconds."""
        return {
            "rate": self.rate,
            "each": self.each,
            "most_parallel": self.most_parallel,
            "halves_after": seconds / 2 if self.halves else 0,
        }

    def windows(self, seconds: float, *, settling: float) -> list[tuple[float, float]]:
        """Return the spans to judge a run by: all of it less the first part, of each line."""
        if not self.halves:
            return [(seconds * settling, seconds)]
        half = seconds / 2
        return [(half * settling, half), (half + half * settling, seconds)]


SCENARIOS = (
    Scenario("mbit100", "100 Mbit/s in all, 1 MB/s a connection", 2, rate=25 * MB // 2, each=MB),
    Scenario("mb40", "40 MB/s in all, 8 MB/s a connection", 4, rate=40 * MB, each=8 * MB),
    Scenario("unlimited", "no limit", 16),
    Scenario(
        "halving",
        "40 MB/s in all, midway 20 MB/s, 8 MB/s a connection",
        4,
        rate=40 * MB,
        each=8 * MB,
        halves=True,
    ),
    Scenario("refusing", "4 MB/s a connection, 408 above 6", 4, each=4 * MB, most_parallel=6),
)
