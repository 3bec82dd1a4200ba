"""The cases of a policy, asked from a desk's own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from counterfoil.errors import CasesError
from counterfoil.testing import policy_cases
from server.testing.gym import POLICY

CASES = """
[[case]]
name = "A pause asks the member"
operation = "pause"
facts = { locked = false }
requires = [{ holder = "passkey", code = true }]

[[case]]
name = "A pause asks nobody"
operation = "pause"
facts = { locked = false }
requires = []
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The settings of a desk whose policy has cases."""
    (tmp_path / "gym_with_cases.py").write_text(
        "from server.testing.gym import Gym, gym_desk\ndesk = gym_desk(Gym())\n"
    )
    (tmp_path / "policy.cedar").write_text(POLICY)
    (tmp_path / "policy_cases.toml").write_text(CASES)
    (tmp_path / "counterfoil.toml").write_text('desk = "gym_with_cases:desk"\npolicy = "policy.cedar"\n')
    return tmp_path / "counterfoil.toml"


def test_each_case_has_its_name_and_what_is_not_as_expected(settings: Path) -> None:
    cases = policy_cases(settings)
    assert list(cases) == ["A pause asks the member", "A pause asks nobody"]
    assert cases["A pause asks the member"].failures == ()
    assert "the account holder confirms" in cases["A pause asks nobody"].failures[0]


def test_other_cases_can_be_named_and_a_mistake_in_them_is_refused(settings: Path) -> None:
    other = settings.with_name("other.toml")
    with pytest.raises(CasesError, match="cannot be read"):
        policy_cases(settings, other)
    other.write_text(CASES.replace("locked", "lockd"))
    with pytest.raises(CasesError, match=r"other\.toml has"):
        policy_cases(str(settings), str(other))
