"""Commands of the AWS CLI for the vault that a run talks to, to be pasted as they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from glacier_mpu.cli.options import Options
from glacier_mpu.cli.quoting import pasteable


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCli:
    """The AWS CLI, told the same as this run; None leaves a flag out.

    upload_id  of the upload that the run has left open, or empty
    rehearses  the run talks to its own stand-in, which no other program can reach
    """

    vault: str = ""
    upload_id: str = ""
    account_id: str = "-"
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    rehearses: bool = False

    @classmethod
    def of(cls, options: Options | None, *, region: str = "", upload_id: str = "") -> AwsCli:
        """Return the AWS CLI for these options; `region` is the one that calls went to, if any."""
        if options is None:
            return cls()
        return cls(
            vault=options.vault,
            upload_id=upload_id,
            account_id=options.account_id,
            profile=options.profile,
            region=region or options.region,
            endpoint_url=options.endpoint_url,
            rehearses=options.rehearse is not None,
        )

    def glacier(self, action: str, *words: str) -> str:
        """Return a command about the vault; `words` come before the region and the profile."""
        vault = ["--vault-name", self.vault]
        if self.vault.startswith("-"):  # which would be taken for a flag
            vault = ["=".join(vault)]
        where = _given([("--region", self.region), ("--endpoint-url", self.endpoint_url)])
        return self.command(
            "glacier", action, "--account-id", self.account_id, *vault, *words, *where
        )

    def command(self, *words: str) -> str:
        """Return a command that is about no vault, with the profile."""
        return pasteable(["aws", *words, *_given([("--profile", self.profile)])])


def _given(flags: list[tuple[str, str | None]]) -> list[str]:
    return [word for flag, value in flags if value for word in (flag, value)]
