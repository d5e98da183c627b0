"""What differs between the Fineract versions that partners run."""

from dataclasses import dataclass

GENERATIONS = ("1.3", "1.4", "1.6", "1.8", "1.10", "1.11")


@dataclass(frozen=True)
class Generation:
    version: tuple[int, int]

    @classmethod
    def named(cls, name: str) -> "Generation":
        if name not in GENERATIONS:
            raise ValueError(f"Unknown generation {name!r}; known: {', '.join(GENERATIONS)}")
        major, minor = name.split(".")
        return cls((int(major), int(minor)))

    @property
    def logs_in_by_query(self) -> bool:
        return self.version <= (1, 3)

    @property
    def has_actuator(self) -> bool:
        return self.version >= (1, 4)

    @property
    def hook_is_envelope(self) -> bool:
        return self.version >= (1, 5)

    @property
    def hook_checks_tls(self) -> bool:
        return self.version >= (1, 5)

    @property
    def hook_drops_path(self) -> bool:
        # FINERACT-1502, FINERACT-1683: @POST("/") went to the root of the host.
        return (1, 5) <= self.version <= (1, 6)

    @property
    def hook_precedes_commit(self) -> bool:
        return self.version <= (1, 8)

    @property
    def shows_net_disbursal(self) -> bool:
        return self.version >= (1, 6)

    @property
    def has_business_date(self) -> bool:
        return self.version >= (1, 8)

    @property
    def filters_by_status(self) -> bool:
        """Else by sqlSearch. The other one of the two is ignored in silence."""
        return self.version >= (1, 9)

    @property
    def is_idempotent(self) -> bool:
        """Idempotency-Key, subResourceId and external ids all came together."""
        return self.version >= (1, 9)

    @property
    def failure_hook_is_bare(self) -> bool:
        """The hook of a failed or parked command has neither response nor status."""
        return self.version >= (1, 9)
