"""The cases of a desk's policy (``counterfoil.policy_cases``) for its own tests: one test for each."""

from __future__ import annotations

import os
from pathlib import Path

from counterfoil.policy_cases import Judged
from counterfoil_server import config
from counterfoil_server.cli.policy_cases import judged_cases


def policy_cases(settings: str | os.PathLike[str], file: str | os.PathLike[str] | None = None) -> dict[str, Judged]:
    """What the policy says to each case of ``policy_cases.toml``, by the case's name, as ``counterfoil policy test``
    asks it; ``failures`` are the expectations that it does not meet.

    ``settings`` is the path of ``counterfoil.toml``; ``file`` names other cases than those beside the policy. Raises
    what that command refuses: SettingsError, DeskError, PolicyError and CasesError.
    """
    judged = judged_cases(config.load(Path(settings)), None if file is None else Path(file))
    return {each.case.name: each for each in judged}
