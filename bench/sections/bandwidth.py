"""Does --max-bandwidth keep its rate, over ten seconds and over any one?"""

from __future__ import annotations

from typing import Any

from harness.bench import Bench, sparse
from harness.series import from_start, highest_rate, points, rate

_RATES = (("20MB", 20_000_000), ("50Mbit", 6_250_000), ("100MB", 100_000_000))


def run(bench: Bench) -> dict[str, Any]:
    """Upload over a line that is faster, and look at what the server counted."""
    if not bench.knows("--max-bandwidth", "6MB"):
        return {"skipped": "this GlacierMPUP.py has no --max-bandwidth yet"}
    seconds = 3.0 if bench.options.quick else 10.0
    rates = _RATES[:1] if bench.options.quick else _RATES
    found = []
    with bench.server(line=True) as server:
        for text, wanted in rates:
            server.pace()
            file = sparse(bench.path("sparse"), int(wanted * (seconds + 1.5)))
            words = ["--source-path", file, "--blocksize", 8, "--max-bandwidth", text]
            bench.measure(bench.ours("GlacierMPUP", *words), env=bench.environment(server))
            series = from_start(server.stats()["series"])
            found.append(
                {
                    "asked": text,
                    "wanted": wanted,
                    "error": rate(series, 0.5, 0.5 + seconds) / wanted - 1,
                    "highest_share_of_a_second": highest_rate(series, window=1.0) / wanted,
                    "rates": points(series, step=0.25),
                }
            )
            bench.say(f"bandwidth: {text}: {found[-1]['error']:+.2%} over {seconds:.0f} s")
    return {"seconds": seconds, "runs": found}
