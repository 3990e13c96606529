"""Records losses over time, averaged over stretches of steps so that a long run stays a short list."""

from typing import TypedDict

POINTS = 100


class HistoryState(TypedDict):
    """How far a history is."""

    step: int
    sums: dict[str, float]
    points: dict[str, list[float]]


class History:
    """Means of named series over stretches of steps.

    Args:
        steps: of the whole run; it is cut into at most 100 stretches.
    """

    def __init__(self, steps: int) -> None:
        self.stretch = max(1, -(-steps // POINTS))
        self.step = 0
        self.sums: dict[str, float] = {}
        self.points: dict[str, list[float]] = {"step": []}

    def add(self, **values: float) -> None:
        """The values of the next step."""
        self.step += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if self.step % self.stretch == 0:
            self.points["step"].append(self.step)
            for name, total in self.sums.items():
                self.points.setdefault(name, []).append(total / self.stretch)
            self.sums = {}

    def report(self) -> dict[str, list[float]]:
        """The last step of each stretch, under `step`, and each series' means."""
        return self.points

    def state_dict(self) -> HistoryState:
        """All of it."""
        return {"step": self.step, "sums": dict(self.sums), "points": {k: list(v) for k, v in self.points.items()}}

    def load_state_dict(self, state: HistoryState) -> None:
        """Takes it on."""
        self.step, self.sums, self.points = state["step"], state["sums"], state["points"]
